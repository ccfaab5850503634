package import Model

/// Something of dom0 that stands on a device, and the way from the device to it.
package struct DeviceUse: Hashable, Sendable {
  package enum Subject: Hashable, Sendable {
    /// A mounted file system, by the folder where it is.
    case mount(String)
    /// A device or file that is swapped to.
    case swap(String)
  }

  package let subject: Subject
  /// The device, then what is made of it, and at last what a person knows: a folder, or `swap`.
  package let chain: [String]

  package init(subject: Subject, chain: [String]) { (self.subject, self.chain) = (subject, chain) }
}

/// What dom0 stores its files on: from each mounted file system, and each swap area, down to PCI functions.
///
/// Every function in a disk's path counts. A guest that gets any of them gets the disk.
package struct StorageGraph {
  private let blocks: [String: BlockDevice]
  private let numbers: [String: String]
  private let titles: [String: String]
  private let usage: HostUsage
  private var found: [FunctionName: [DeviceUse]] = [:]
  /// The file systems of which it is not known what they are on, by their folders.
  package private(set) var unexplained: [String] = []

  package init(_ usage: HostUsage) {
    self.usage = usage
    func first(_ key: (BlockDevice) -> String?) -> [String: String] {
      Dictionary(
        usage.blocks.compactMap { block in key(block).map { ($0, block.name) } },
        uniquingKeysWith: { first, _ in first })
    }
    blocks = Dictionary(usage.blocks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    (numbers, titles) = (first(\.number), first(\.title))
    for mount in usage.mounts {
      let way = Way(subject: .mount(mount.point), steps: [mount.point])
      if !follow(mount, way), !Self.needNoDevice.contains(mount.type) { unexplained.append(mount.point) }
    }
    for swap in usage.swaps {
      let way = Way(subject: .swap(swap), steps: ["swap"])
      if swap.hasPrefix("/") { followFile(swap, way) } else { followBlock(swap, way) }
    }
  }

  /// Returns what stands on a function, in the order of the mounts.
  package func uses(of function: FunctionName) -> [DeviceUse] { found[function] ?? [] }

  // MARK: -

  /// The steps so far, from the subject down.
  private struct Way {
    let subject: DeviceUse.Subject
    var steps: [String]

    func adding(_ step: String) -> Way {
      var way = self
      way.steps.append(step)
      return way
    }
  }

  /// File systems that are in memory or in the kernel. One on another host needs a network card, and which is not known.
  private static let needNoDevice: Set<String> = [
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs",
    "fuse.lxcfs", "fusectl", "hugetlbfs", "mqueue", "nfsd", "nsfs", "proc", "pstore", "ramfs", "rootfs", "rpc_pipefs",
    "securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs", "xenfs",
  ]

  /// Follows a mount down; returns whether it is on anything that is known.
  private mutating func follow(_ mount: Mount, _ way: Way) -> Bool {
    if mount.type == "zfs" {
      let name = mount.source.split(separator: "/").first.map(String.init) ?? ""
      return followPool(.zfs, { $0.name == name }, way)
    }
    if !mount.layers.isEmpty {
      for layer in mount.layers { followFile(layer, way) }
      return true
    }
    guard let name = numbers[mount.number] ?? block(named: mount.source) else { return false }
    // A btrfs is on all its devices, and shows one of them.
    if mount.type == "btrfs", followPool(.btrfs, { $0.members.contains(name) }, way) { return true }
    followBlock(name, way)
    return true
  }

  private func block(named name: String) -> String? { blocks[name] == nil ? titles[name] : name }

  /// Follows a pool down to its devices; returns whether there is one that is meant.
  private mutating func followPool(_ kind: StoragePool.Kind, _ isMeant: (StoragePool) -> Bool, _ way: Way) -> Bool {
    guard let pool = usage.pools.first(where: { $0.kind == kind && isMeant($0) }) else { return false }
    for member in pool.members { followBlock(member, kind == .zfs ? way.adding(pool.name) : way) }
    return true
  }

  /// Follows a file down to the file system that has it.
  private mutating func followFile(_ path: String, _ way: Way) {
    let home = usage.mounts.filter { Self.isBelow(path, $0.point) }.max { $0.point.utf8.count < $1.point.utf8.count }
    // The later of two mounts at one place hides the earlier one, and is the last in the list.
    guard let point = home?.point, let mount = usage.mounts.last(where: { $0.point == point }) else { return }
    // A file system that is made of itself does not exist, but what is read may say so.
    guard !way.steps.dropFirst().contains(point), way.steps.count < 64 else { return }
    _ = follow(mount, way.adding(point))
  }

  private static func isBelow(_ path: String, _ folder: String) -> Bool {
    folder == "/" || path == folder || path.hasPrefix(folder + "/")
  }

  private mutating func followBlock(_ name: String, _ way: Way) {
    guard let block = blocks[name], !way.steps.contains(name), way.steps.count < 64 else { return }
    let title = block.title ?? name
    let way = way.adding(way.steps.contains(title) ? name : title)
    for function in block.functions {
      let use = DeviceUse(subject: way.subject, chain: [function.description] + way.steps.reversed())
      // One way to a subject is enough to show that it stands on the function.
      if found[function]?.contains(where: { $0.subject == use.subject }) != true {
        found[function, default: []].append(use)
      }
    }
    for part in block.parts { followBlock(part, way) }
    if let file = block.backingFile { followFile(file, way) }
  }
}
