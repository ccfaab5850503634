import Model

/// Follows one thing that dom0 uses down to the PCI functions on which it stands.
///
/// Each function in the path of a device's folder counts: who gives one of them to a guest gives away what is below it.
struct UsageWalk {
  typealias Link = Interlock.Link

  /// What a way down reached.
  struct Ends {
    /// One way per function, from the function up.
    var ways: [FunctionName: [Link]] = [:]
    /// The ways whose continuation is not known, from there up.
    var gaps: [Gap] = []
    /// The guests that a network reaches, each with a way from the guest up.
    var guests: [DomainID: [Link]] = [:]
    /// Whether the subject stands on those guests, because its network reaches no device beside them.
    var needsGuests = false
  }

  /// A way that ends without an answer.
  struct Gap: Hashable {
    let concern: Concern
    let way: [Link]
  }

  /// Where a network interface leads.
  struct Reach: OptionSet {
    let rawValue: UInt8
    /// To a device, or to the host itself.
    static let device = Reach(rawValue: 1)
    static let guest = Reach(rawValue: 2)
    static let tunnel = Reach(rawValue: 4)
  }

  let index: UsageIndex
  private(set) var ends = Ends()
  /// What was followed already. One way to each thing is enough to show that the subject stands on it.
  private var visited: Set<Link> = []
  /// What is being followed now. What leads to itself is not understood.
  private var open: [Link] = []
  private var reached: [String: Reach] = [:]

  /// Stacks of block devices are at most this deep.
  private static let deepest = 64

  init(_ index: UsageIndex) { self.index = index }

  // MARK: Files

  /// Follows the file system of this number in the list of mounts. `way` leads from the subject down.
  mutating func follow(mount number: Int, _ way: [Link]) {
    let mount = index.usage.mounts[number]
    visit(Link(.mount, "\(number)"), way) { $0.descend(from: mount, way) }
  }

  /// Follows something that was not followed before.
  private mutating func visit(_ key: Link, _ way: [Link], _ body: (inout UsageWalk) -> Void) {
    if open.contains(key) || way.count >= Self.deepest { return leave(way, [.storage, .network]) }
    guard visited.insert(key).inserted else { return }
    open.append(key)
    body(&self)
    open.removeLast()
  }

  private mutating func descend(from mount: Mount, _ way: [Link]) {
    if mount.type == "zfs" {
      let name = mount.source.split(separator: "/").first.map(String.init) ?? ""
      return follow(pool: { $0.kind == .zfs && $0.name == name }, way)
    }
    let layers = mount.layers.filter { $0.hasPrefix("/") }
    if !layers.isEmpty {
      for layer in layers { follow(file: layer, way) }
      return
    }
    if let name = index.numbers[mount.number] ?? index.block(named: mount.source) {
      // A btrfs is on all its devices, and shows one of them.
      let isPool =
        mount.type == "btrfs" && index.usage.pools.contains { $0.kind == .btrfs && $0.members.contains(name) }
      return isPool ? follow(pool: { $0.kind == .btrfs && $0.members.contains(name) }, way) : follow(block: name, way)
    }
    if !mount.carriers.isEmpty { return reach(mount.carriers, way) }
    if !mount.peers.isEmpty { return mount.peers.forEach { follow(peer: $0, way) } }
    guard !FileSystemTypes.needNoDevice.contains(mount.type) else { return }
    if FileSystemTypes.needNetwork.contains(mount.type) { return leave(way, [.network]) }
    leave(way, [.storage, .network])
  }

  /// Follows a file down to the file system that has it.
  mutating func follow(file path: String, _ way: [Link]) {
    guard let number = index.mount(having: path) else { return leave(way, [.storage]) }
    let link = Link(.mount, index.usage.mounts[number].point)
    follow(mount: number, way.last == link ? way : way + [link])
  }

  /// Follows the first pool that is meant down to its devices.
  mutating func follow(pool isMeant: (StoragePool) -> Bool, _ way: [Link]) {
    guard let pool = index.usage.pools.first(where: isMeant), !pool.members.isEmpty else {
      return leave(way, [.storage])
    }
    let link = Link(.pool, pool.name)
    let isShown = pool.kind == .zfs && way.last != link
    for member in pool.members { follow(block: member, isShown ? way + [link] : way) }
  }

  // MARK: Block devices

  mutating func follow(block name: String, _ way: [Link]) {
    guard let block = index.blocks[name] else { return leave(way + [Link(.blockDevice, name)], [.storage]) }
    visit(Link(.blockDevice, name), way) { $0.descend(from: block, way) }
  }

  private mutating func descend(from block: BlockDevice, _ way: [Link]) {
    let name = block.name
    let title = block.title.map { Link(.blockDevice, $0) }
    let way = way + [title.flatMap { way.contains($0) ? nil : $0 } ?? Link(.blockDevice, name)]
    reach(block.functions, way)
    for part in block.parts { follow(block: part, way) }
    if let file = block.backingFile { follow(file: file, way) }
    if let peers = block.peers {
      if peers.isEmpty { leave(way, [.network]) }
      for peer in peers { follow(peer: peer, way) }
    }
    guard block.isVirtual, block.functions.isEmpty, block.parts.isEmpty, block.backingFile == nil, block.peers == nil
    else { return }
    if FileSystemTypes.volumesOfZFS.contains(where: { name.hasPrefix($0) }) { return followAllPools(way) }
    if !FileSystemTypes.inMemory.contains(where: { name.hasPrefix($0) }) { leave(way, [.storage, .network]) }
  }

  /// Follows a volume of ZFS. Which pool has it is not visible, so each pool that is used may.
  private mutating func followAllPools(_ way: [Link]) {
    let pools = index.usage.pools.filter { $0.kind == .zfs && $0.isImported }
    if pools.isEmpty { leave(way, [.storage]) }
    for pool in pools { follow(pool: { $0 == pool }, way) }
  }

  // MARK: Network

  /// Follows the address of another host down to the interfaces by which it is reached.
  mutating func follow(peer: String, _ way: [Link]) {
    let link = Link(.peer, peer)
    follow(interfaces: index.usage.network.ways[peer] ?? [], way.last == link ? way : way + [link])
  }

  /// Follows interfaces down; whatever is not understood stays a gap, unless a device is reached beside it.
  mutating func follow(interfaces names: [String], _ way: [Link]) {
    var reach: Reach = []
    for name in names { reach.formUnion(follow(interface: name, way)) }
    if reach.contains(.device) { return }
    if reach.contains(.guest) {
      ends.needsGuests = true
    } else {
      leave(way + names.map { Link(.interface, $0) }.prefix(1), [reach.contains(.tunnel) ? .underlay : .network])
    }
  }

  /// Follows one interface down, and returns where it leads.
  mutating func follow(interface name: String, _ way: [Link]) -> Reach {
    if let known = reached[name] { return known }
    // An interface that is made of itself does not exist, but what is read may say so.
    reached[name] = []
    let way = way + [Link(.interface, name)]
    guard let interface = index.interfaces[name], way.count < Self.deepest else { return [] }
    reach(interface.functions, way)
    var result: Reach = []
    switch interface.kind {
    case .device, .loopback: result = .device
    case .guest(let id):
      result = .guest
      if ends.guests[id] == nil { ends.guests[id] = Array(way.reversed()) }
    case .tunnel: result = .tunnel
    case .datapath, .virtual: break
    }
    let isBridgeOfSwitch = interface.kind == .virtual && interface.lower.isEmpty
    for lower in isBridgeOfSwitch ? index.ports : interface.lower {
      result.formUnion(follow(interface: lower, way))
    }
    reached[name] = result
    return result
  }

  // MARK: Ends

  private mutating func reach(_ functions: [FunctionName], _ way: [Link]) {
    for function in functions where ends.ways[function] == nil {
      ends.ways[function] = [.function(function)] + way.reversed()
    }
  }

  /// Ends a way at something that is not understood, which concerns these devices.
  mutating func leave(_ way: [Link], _ concerns: [Concern]) {
    for concern in concerns { ends.gaps.append(Gap(concern: concern, way: way.reversed())) }
  }
}

/// What is known of file systems and block devices by their types and names.
enum FileSystemTypes {
  /// File systems that are in memory or in the kernel.
  static let needNoDevice: Set<String> = [
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore",
    "ramfs", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs", "xenfs",
  ]
  /// File systems that other hosts have.
  static let needNetwork: Set<String> = [
    "9p", "afs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "nfs", "nfs4", "smb3",
  ]
  /// What the names of block devices in memory begin with.
  static let inMemory = ["ram", "zram"]
  /// What the names of volumes of ZFS begin with.
  static let volumesOfZFS = ["zd"]
}
