import Model

/// Finds everything that stands on the devices of a host.
struct InterlockFinder {
  typealias Link = Interlock.Link

  /// A question without an answer, and the devices of which it is.
  struct Question: Hashable {
    let concern: Concern
    /// From what is not understood up to what stands on it.
    let way: [Link]
  }

  let index: UsageIndex
  private let functions: [FunctionName: PCIFunction]
  private let served: ServedDevices
  /// In the order in which they are found.
  private(set) var found: [FunctionName: [Interlock]] = [:]
  private var known: Set<Interlock> = []
  private(set) var questions: [Question] = []
  /// The folders of the file systems of which it is not known what they are on.
  private(set) var unexplained: [String] = []

  init(usage: HostUsage, functions: [FunctionName: PCIFunction], served: ServedDevices) {
    index = UsageIndex(usage)
    (self.functions, self.served) = (functions, served)
    findMounts()
    findSwaps()
    findPools()
    findLoaders()
    findDisksOfGuests()
    findRoutes()
    findSessions()
    findHiddenInterfaces()
    findBridgesOfGuests()
    findFunctionsOfGuests()
    findMembers()
    findAttendants()
    for (fact, failure) in usage.unread.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
      for concern in Concern.concerned(by: fact) { ask(Question(concern: concern, way: [Link(.file, failure.place)])) }
    }
    for node in served.unread {
      for concern in [Concern.storage, .network] { ask(Question(concern: concern, way: [Link(.file, node)])) }
    }
  }

  private var usage: HostUsage { index.usage }

  // MARK: Notes

  private mutating func ask(_ question: Question) { questions.append(question) }

  /// Notes an interlock on a function. `way` leads from the function up.
  private mutating func note(_ name: InterlockName, on function: FunctionName, _ way: [Link]) {
    let interlock = Interlock(name, chain: way)
    if known.insert(interlock).inserted { found[function, default: []].append(interlock) }
    // Virtual functions end with their physical one (`pci_disable_sriov`, Linux drivers/pci/iov.c, 6.1).
    if let parent = functions[function]?.virtualisation.parent, parent != function {
      let interlock = Interlock(name, chain: [.function(parent)] + way)
      if known.insert(interlock).inserted { found[parent, default: []].append(interlock) }
    }
  }

  /// Follows a subject down, and notes what it stands on. Returns whether all of that is known.
  @discardableResult
  private mutating func walk(
    _ name: InterlockName, _ subject: Link, _ body: (inout UsageWalk, [Link]) -> Void
  ) -> Bool {
    var walk = UsageWalk(index)
    body(&walk, [subject])
    let ends = walk.ends
    for (function, way) in ends.ways.sorted(by: { $0.key < $1.key }) {
      let isRemote = way.contains { $0.what == .peer }
      note(isRemote ? .networkStorage : name, on: function, way)
    }
    for gap in ends.gaps { ask(Question(concern: gap.concern, way: gap.way)) }
    guard ends.needsGuests else { return ends.gaps.isEmpty }
    return followGuests(ends.guests, subject) && ends.gaps.isEmpty
  }

  /// Notes that the host stands on guests' network cards; returns whether any of the guests has one.
  private mutating func followGuests(_ guests: [DomainID: [Link]], _ subject: Link) -> Bool {
    var isKnown = false
    for (guest, way) in guests.sorted(by: { $0.key < $1.key }) {
      for (function, holder) in served.holders.sorted(by: { $0.key < $1.key }) where holder == guest {
        guard functions[function]?.baseClass ?? 0x02 == 0x02 else { continue }
        note(.servesHost, on: function, [.function(function), link(of: [guest])] + way)
        isKnown = true
      }
    }
    if !isKnown { ask(Question(concern: .network, way: guests.min { $0.key < $1.key }?.value ?? [subject])) }
    return isKnown
  }

  /// Returns the link of one or more guests, the first ones by name.
  private func link(of guests: [DomainID]) -> Link {
    let most = 8
    let names = guests.prefix(most).map { id in served.names[id].map { "\($0) (domid \(id))" } ?? "domid \(id)" }
    return Link(
      .guest, names.joined(separator: ", ") + (guests.count > most ? " and \(guests.count - most) more" : ""))
  }

  // MARK: Storage

  private mutating func findMounts() {
    for (number, mount) in usage.mounts.enumerated() {
      let isKnown = walk(name(ofMount: number), Link(.mount, mount.point)) { $0.follow(mount: number, $1) }
      if !isKnown { unexplained.append(mount.point) }
    }
  }

  private func name(ofMount number: Int) -> InterlockName {
    let point = usage.mounts[number].point
    if point == "/" { return .rootFileSystem }
    if usage.purposes[point] == .boot { return .bootPartition }
    for (purpose, name) in [(FolderPurpose.berth, InterlockName.berthState), (.toolstack, .toolstackState)] {
      let folders = usage.purposes.filter { $0.value == purpose && UsageIndex.isBelow($0.key, point) }.keys
      if folders.contains(where: { index.mount(having: $0) == number }) { return name }
    }
    return .mountedFileSystem
  }

  private mutating func findSwaps() {
    for swap in usage.swaps {
      walk(.activeSwap, Link(.swap, "swap")) { walk, way in
        let block = walk.index.block(named: swap) ?? swap
        swap.hasPrefix("/") ? walk.follow(file: swap, way) : walk.follow(block: block, way)
      }
    }
  }

  /// Finds the pools that are used, but not by a mount that is visible: by volumes, or in another namespace.
  private mutating func findPools() {
    for pool in usage.pools where pool.isImported {
      let isMounted = usage.mounts.contains { mount in
        switch pool.kind {
        case .zfs: mount.type == "zfs" && mount.source.split(separator: "/").first.map(String.init) == pool.name
        case .btrfs:
          mount.type == "btrfs"
            && (index.numbers[mount.number] ?? index.block(named: mount.source)).map(pool.members.contains) ?? false
        }
      }
      if !isMounted {
        walk(.importedPool, Link(.pool, pool.name)) { walk, way in walk.follow(pool: { $0 == pool }, way) }
      }
    }
  }

  /// Finds the partition that firmware reads: the boot loader's, and each one on a disk that is used.
  private mutating func findLoaders() {
    for block in usage.blocks {
      guard let partition = block.partition else { continue }
      let isLoaders = partition.number != nil && partition.number == usage.loaderPartition
      let isFirmwares =
        partition.type == PartitionIdentity.firmwareType && block.functions.contains { found[$0] != nil }
      guard isLoaders || isFirmwares, !isMounted(block) else { continue }
      let subject = Link(.membership, "EFI system partition")
      walk(.bootPartition, subject) { $0.follow(block: block.name, $1) }
    }
  }

  private func isMounted(_ block: BlockDevice) -> Bool {
    usage.mounts.contains { $0.number == block.number || $0.source == block.name }
  }

  /// Finds members of what is not assembled now, and would be at the next boot.
  private mutating func findMembers() {
    let used = Set(usage.blocks.flatMap(\.parts) + usage.pools.filter(\.isImported).flatMap(\.members))
    for block in usage.blocks {
      guard let membership = block.membership, !used.contains(block.name), !isMounted(block) else { continue }
      walk(.storageMember, Link(.membership, membership)) { $0.follow(block: block.name, $1) }
    }
  }

  // MARK: Network

  private mutating func findRoutes() {
    for (link, routes) in Dictionary(grouping: usage.network.defaultRoutes, by: Self.link).sorted(by: {
      $0.key.name < $1.key.name
    }) {
      for names in routes.map(\.interfaces) { walk(.defaultRoute, link) { $0.follow(interfaces: names, $1) } }
    }
  }

  private static func link(of route: DefaultRoute) -> Link {
    let table = route.table == "main" ? "" : ", table \(route.table)"
    return Link(.route, "default route (\(route.family.rawValue)\(table))")
  }

  private mutating func findSessions() {
    for peer in usage.network.sessions {
      let names = usage.network.ways[peer] ?? []
      walk(.sessionRoute, Link(.session, "ssh from \(peer)")) { $0.follow(interfaces: names, $1) }
    }
  }

  /// Finds cards whose interfaces are in another network namespace: what they serve there is not visible.
  private mutating func findHiddenInterfaces() {
    for function in usage.network.hidden {
      note(.unknown, on: function, [.function(function), .gap, Link(.interface, "in another network namespace")])
    }
  }

  // MARK: Guests

  private mutating func findDisksOfGuests() {
    for disk in served.disks {
      let number = disk.number.flatMap { index.numbers[$0] }
      let path = disk.path ?? ""
      guard disk.number != nil || !path.isEmpty else { continue }
      let atPath = index.block(at: path)
      walk(.guestDisk, link(of: [disk.guest])) { walk, way in
        if let name = number ?? atPath { return walk.follow(block: name, way) }
        guard disk.number == nil, path.hasPrefix("/") else {
          return walk.leave(way + [Link(.file, path.isEmpty ? disk.number ?? "" : path)], [.storage, .network])
        }
        walk.follow(file: path, way + [Link(.file, path)])
      }
    }
  }

  /// Finds the bridges of dom0 to which guests are joined. Their other ports are those guests' way out.
  private mutating func findBridgesOfGuests() {
    var guests: [String: Set<DomainID>] = [:]
    for interface in served.interfaces {
      if let bridge = interface.bridge { guests[bridge, default: []].insert(interface.guest) }
    }
    let named = Set(guests.values.joined())
    for interface in usage.network.interfaces {
      for case .guest(let id)? in interface.lower.map({ index.interfaces[$0]?.kind }) {
        if interface.kind != .datapath || !named.contains(id) { guests[interface.name, default: []].insert(id) }
      }
    }
    for (bridge, ids) in guests.sorted(by: { $0.key < $1.key }) {
      walk(.servesGuests, link(of: ids.sorted())) { walk, way in
        // Open vSwitch takes a VLAN and trunks behind the name (tools/hotplug/Linux/vif-openvswitch, Xen 4.17).
        let plain = bridge.prefix { $0 != "." && $0 != ":" }
        let name = walk.index.interfaces[bridge] == nil ? String(plain) : bridge
        guard walk.index.interfaces[name] != nil else {
          return walk.leave(way + [Link(.interface, bridge)], [.network])
        }
        _ = walk.follow(interface: name, way)
      }
    }
  }

  /// Finds the virtual functions that guests have: they end with their physical function.
  private mutating func findFunctionsOfGuests() {
    for (function, guest) in served.holders.sorted(by: { $0.key < $1.key }) {
      guard let parent = functions[function]?.virtualisation.parent, parent != function else { continue }
      let chain: [Link] = [.function(parent), .function(function), link(of: [guest])]
      found[parent, default: []].append(Interlock(.servesGuests, chain: chain))
    }
  }

  // MARK: Attendants

  private mutating func findAttendants() {
    let attendants = usage.attendants
    for (name, kind, devices) in [
      (InterlockName.securityModule, Link.Kind.securityModule, attendants.securityModules),
      (.watchdog, .watchdog, attendants.watchdogs),
      (.managementController, .managementController, attendants.managementControllers),
    ] {
      for device in devices {
        for function in device.functions { note(name, on: function, [.function(function), Link(kind, device.name)]) }
      }
    }
    // AMD's firmware has its security module in this processor, and shows it as a device of ACPI.
    for module in attendants.securityModules where module.functions.isEmpty {
      for function in functions.values where function.deviceClass.map({ $0 >> 8 }) == 0x1080 {
        note(
          .securityModule, on: function.name,
          [.function(function.name), .gap, Link(.securityModule, module.name)])
      }
    }
  }
}

extension Concern {
  /// Returns of which devices the question is that a fact would have answered.
  fileprivate static func concerned(by fact: HostUsage.Fact) -> [Concern] {
    switch fact {
    case .mounts: [.storage, .network]
    case .swaps, .blockDevices: [.storage]
    case .interfaces, .routes, .sessions: [.network]
    case .consoles: [.consoles]
    case .keyboards: [.keyboards]
    // These only warn.
    case .attendants: []
    }
  }
}

extension PCIFunction {
  /// The upper eight bits of the class; nil if the class is unknown.
  var baseClass: UInt32? { deviceClass.map { $0 >> 16 } }
}
