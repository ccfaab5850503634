import Model
import Ports
import Snapshots
import XenProtocol

/// The scenario of a sandbox that has what a snapshot has, as far as a sandbox can have it.
struct SnapshotScenario {
  /// The text of the scenario, for the reader of scenarios.
  private(set) var text = ""
  /// What the sandbox does not have, each as a sentence without its full stop.
  private(set) var missing: [String] = []

  private let snapshot: Snapshot
  private let store: StoreAnswers

  init(of snapshot: Snapshot) {
    self.snapshot = snapshot
    store = snapshot.answers.store
    text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      metadata: {name: \(jsonString(snapshot.hostName))}
      spec:

      """
    addHost()
    addDevices()
    addDomains()
    addNodes()
    noteTheRest()
  }

  // MARK: The host and its devices

  private mutating func addHost() {
    var keys: [String] = []
    if case .answer(let facts)? = snapshot.answers.hypervisor.facts {
      keys = ["xen: \(jsonString(facts.version))", "iommu: \(facts.hasIOMMU)"]
    }
    let known = Set(devices.compactMap { interface(of: $0)?.name })
    let routes = (snapshot.answers.usage.host?.network.defaultRoutes ?? []).flatMap(\.interfaces)
    let own = Set(routes).intersection(known).sorted()
    if !own.isEmpty { keys.append("routes: [\(own.joined(separator: ", "))]") }
    if Set(routes).subtracting(known).count > 0 {
      missing.append("a default route leaves by an interface that no device has by itself, such as a bridge")
    }
    if !keys.isEmpty { text += "  host: {\(keys.joined(separator: ", "))}\n" }
  }

  /// The functions that Xen has an address for, and whose ids are known.
  private var devices: [PCIFunction] { snapshot.functions.filter { $0.address != nil && $0.id != nil } }

  private func interface(of function: PCIFunction) -> NetworkInterface? {
    function.interfaces.first { $0.address != nil && isFileName($0.name) }
  }

  private mutating func addDevices() {
    let all = devices
    for function in snapshot.functions where function.address == nil || function.id == nil {
      missing.append("\(function.name) is left out: Xen has no address for it, or its ids are not known")
    }
    guard !all.isEmpty else { return }
    text += "  devices:\n"
    let bridges = Set(all.filter { $0.isBridge == true }.map(\.name))
    let disks = snapshot.answers.usage.host?.blocks ?? []
    for function in all {
      text += "    - {\(keys(of: function, bridges: bridges, disks: disks).joined(separator: ", "))}\n"
    }
  }

  private mutating func keys(of function: PCIFunction, bridges: Set<FunctionName>, disks: [BlockDevice]) -> [String] {
    var keys = ["address: \"\(function.name)\""]
    if let id = function.id { keys.append("id: \"\(id)\"") }
    if let subsystem = function.subsystem { keys.append("subsystem: \"\(subsystem)\"") }
    if let code = function.deviceClass { keys.append("class: \"\(hex(UInt64(code), 6))\"") }
    keys.append("driver: \(jsonString(function.driver ?? "none"))")
    if !function.resources.isEmpty {
      keys.append("resources: [\(function.resources.prefix(7).map { "\"\($0)\"" }.joined(separator: ", "))]")
    }
    if let line = function.interrupt?.line, line <= 1023 { keys.append("irq: \(line)") }
    keys.append("reset: \(function.reset?.isPossible ?? true)")
    if function.virtualisation.parent != nil { keys.append("virtualFunction: true") }
    if let bridge = function.chain.dropLast().last, bridges.contains(bridge), bridge.bus < function.name.bus {
      keys.append("behind: \"\(bridge)\"")
    }
    if let revision = function.revision { keys.append("revision: \(revision)") }
    if let slot = function.slots.first(where: { isFileName($0) }) { keys.append("slot: \"\(slot)\"") }
    if let serial = function.serial, serialNumber(serial) != nil { keys.append("serial: \"\(serial)\"") }
    if let interface = interface(of: function), let address = interface.address {
      keys.append("interface: {name: \"\(interface.name)\", mac: \"\(address)\"}")
    }
    if let controller = function.nvme.first, let serial = controller.serial, isFileName(controller.name) {
      let model = controller.model.map { ", model: \(jsonString($0))" } ?? ""
      keys.append("nvme: {name: \"\(controller.name)\", serial: \(jsonString(serial))\(model)}")
    }
    if let disk = disks.first(where: { $0.functions.last == function.name && isFileName($0.name) }) {
      keys.append("disk: \(self.disk(disk))")
    }
    if let address = function.address, case .answer(let ranges)? = snapshot.answers.hypervisor.reservedMemory[address],
      !ranges.isEmpty
    {
      let texts = ranges.map { "\"\(DeviceResource(frames: $0))\"".replacing("memory ", with: "") }
      keys.append("reservedMemory: [\(texts.joined(separator: ", "))]")
    }
    return keys
  }

  private func disk(_ disk: BlockDevice) -> String {
    let mounts = snapshot.answers.usage.host?.mounts ?? []
    let mount = mounts.first { $0.source == disk.name || $0.number == disk.number }
    return "{name: \"\(disk.name)\"" + (mount.map { ", mount: \(jsonString($0.point))" } ?? "") + "}"
  }

  // MARK: Domains

  /// The domains that Xen listed, without stub domains, which belong to their guests.
  private mutating func addDomains() {
    guard case .answer(let domains)? = snapshot.answers.hypervisor.domains, !domains.isEmpty else { return }
    let stubs = Set(domains.compactMap { stub(of: $0.id) })
    var names: Set<String> = []
    var lines: [String] = []
    for domain in domains where !stubs.contains(domain.id) {
      let name = value(StorePath.home(domain.id).child("name")) ?? ""
      guard !name.isEmpty, names.insert(name).inserted else {
        missing.append("domain \(domain.id) is left out: it has no name of its own")
        continue
      }
      lines.append("    - {\(keys(of: domain, name, domains).joined(separator: ", "))}\n")
    }
    if !lines.isEmpty { text += "  domains:\n" + lines.joined() }
  }

  private func value(_ path: StorePath) -> String? { store.values[path.text] ?? nil }

  private func stub(of domain: DomainID) -> DomainID? {
    guard let number = value(.stubDomain(of: domain)).flatMap({ decimal($0) }), number > 0 else { return nil }
    return DomainID(UInt32(number))
  }

  private mutating func keys(of domain: HypervisorDomain, _ name: String, _ all: [HypervisorDomain]) -> [String] {
    var keys = ["name: \(jsonString(name))", "domid: \(domain.id)", "uuid: \"\(domain.uuid)\""]
    let kind = value(StorePath.toolstack(domain.id).child("type")).flatMap(DomainKind.init) ?? .unknown
    let kindHere = domain.isHardwareVirtualised ? kind : .pv
    keys.append("kind: \(kindHere.rawValue)")
    let saved = savedDevices(of: domain)
    let lifecycle = lifecycle(of: domain, isBuilt: saved != nil)
    keys.append("lifecycle: \(lifecycle)")
    if case .answer(.noIOMMU)? = snapshot.answers.hypervisor.passthrough[domain.id.description] {
      keys.append("iommu: false")
    }
    let stub = stub(of: domain.id)
    let listed = Set(entries(of: stub ?? domain.id))
    let (attached, stale) = split(saved ?? [], listed: listed, canHave: kindHere != .pvh && lifecycle != "building")
    if !attached.isEmpty { keys.append("devices: [\(attached.map { text(of: $0) }.joined(separator: ", "))]") }
    if !stale.isEmpty { keys.append("staleDevices: [\(stale.map { text(of: $0) }.joined(separator: ", "))]") }
    let unsaved = listed.subtracting((saved ?? []).map(\.address))
    if !unsaved.isEmpty {
      missing.append("\(name) lists devices that its saved configuration lacks: its guest does not have them")
    }
    if kindHere == .hvm {
      if let stub, let twin = all.first(where: { $0.id == stub }) {
        keys.append("stubDomain: {domid: \(stub), uuid: \"\(twin.uuid)\"}")
      }
      if value(StorePath.toolstack(domain.id).child("dm-version")) == "qemu_xen_traditional" {
        keys.append("deviceModel: qemu-traditional")
      }
    }
    return keys
  }

  private func savedDevices(of domain: HypervisorDomain) -> [SavedDevice]? {
    guard case .answer(let text?)? = snapshot.answers.toolstack.savedConfigurations["\(domain.id) \(domain.uuid)"]
    else { return nil }
    do throws(SavedConfigurationError) { return try SavedConfiguration(Array(text.utf8) + [0]).devices } catch {
      return nil
    }
  }

  private func lifecycle(of domain: HypervisorDomain, isBuilt: Bool) -> String {
    if domain.isShutDown { return domain.shutdownCode == 3 ? "crashed" : "shutdown" }
    if !isBuilt { return "building" }
    if domain.isPaused { return domain.cpuTime == 0 ? "cold" : "paused" }
    return "running"
  }

  /// The devices that the recorded nodes of a back end list.
  private func entries(of domain: DomainID) -> [PCIAddress] {
    let home = StorePath.backEnd(domain)
    let count = value(home.child("num_devs")).flatMap { decimal($0) } ?? 0
    return (0..<min(count, BackEnd.mostDevices)).compactMap { index in
      value(home.child("dev-\(index)")).flatMap { PCIAddress($0) }
    }
  }

  /// Separates what a domain has from what only its saved configuration lists.
  private func split(
    _ saved: [SavedDevice], listed: Set<PCIAddress>, canHave: Bool
  ) -> (attached: [SavedDevice], stale: [SavedDevice]) {
    let onPCIBack = Set(devices.filter(\.isOnPCIBack).compactMap(\.address))
    let isAttached = { (device: SavedDevice) in
      canHave && listed.contains(device.address) && onPCIBack.contains(device.address)
    }
    return (saved.filter(isAttached), saved.filter { !isAttached($0) })
  }

  private func text(of device: SavedDevice) -> String {
    let options = device.options
    var keys = ["address: \"\(device.address)\""]
    if options.permissive { keys.append("permissive: true") }
    if options.msiTranslate { keys.append("msiTranslate: true") }
    if options.powerManagement { keys.append("powerManagement: true") }
    if options.rdmPolicy != .strict { keys.append("rdmPolicy: \(options.rdmPolicy.rawValue)") }
    if let slot = options.virtualSlot { keys.append("virtualSlot: \(slot)") }
    return "{\(keys.joined(separator: ", "))}"
  }

  // MARK: xenstore

  /// Adds the recorded nodes of back ends and claims, over what the simulator makes.
  private mutating func addNodes() {
    let kept = store.values.filter { path, _ in
      path.hasPrefix("/libxl/pci/") || path.hasPrefix("/local/domain/0/backend/")
        || path.hasPrefix("/local/domain/0/error/")
    }
    guard !kept.isEmpty else { return }
    text += "  faults:\n    store:\n"
    for (path, value) in kept.sorted(by: { $0.key < $1.key }) {
      text += "      \(jsonString(path)): \(value.map { jsonString($0) } ?? "null")\n"
    }
  }

  private mutating func noteTheRest() {
    let answers = snapshot.answers
    if case .answer(let records)? = answers.records.owned, !records.contents.isEmpty {
      missing.append("Berth's records of what it owns are left out: an apply adopts the devices first")
    }
    if case .answer(let records)? = answers.records.preparations, !records.contents.isEmpty {
      missing.append("Berth's records of devices that it took from drivers are left out")
    }
    if case .answer(let intents)? = answers.records.intents, !intents.contents.isEmpty {
      missing.append("what a run was about to do is left out")
    }
    let usage = answers.usage.host ?? HostUsage()
    if !usage.pools.isEmpty || usage.blocks.contains(where: { !$0.parts.isEmpty || $0.isVirtual }) {
      missing.append("partitions, volumes, arrays and pools are left out: a disk is mounted as a whole")
    }
    if !usage.swaps.isEmpty || !usage.network.sessions.isEmpty {
      missing.append("swap areas and ssh sessions are left out")
    }
    if !snapshot.failures.isEmpty { missing.append("what the snapshot could not read is there, and answers") }
  }

  private func isFileName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count) && !text.hasPrefix(".")
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }
}
