import Model

/// What dom0 uses, by name.
struct UsageIndex {
  let usage: HostUsage
  let blocks: [String: BlockDevice]
  /// The names of block devices by their numbers, and by the names that a person gave them.
  let numbers: [String: String]
  let titles: [String: String]
  let interfaces: [String: HostInterface]
  /// The ports of Open vSwitch. Which of its bridges has which ports is not visible, so each bridge has all of them.
  let ports: [String]

  init(_ usage: HostUsage) {
    self.usage = usage
    func names(by key: (BlockDevice) -> String?) -> [String: String] {
      Dictionary(
        usage.blocks.compactMap { block in key(block).map { ($0, block.name) } },
        uniquingKeysWith: { first, _ in first })
    }
    blocks = Dictionary(usage.blocks.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    (numbers, titles) = (names(by: \.number), names(by: \.title))
    interfaces = Dictionary(
      usage.network.interfaces.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    ports = usage.network.interfaces.filter { $0.kind == .datapath }.flatMap(\.lower)
  }

  /// Returns the name of the block device that has this name or this title.
  func block(named name: String) -> String? { blocks[name] == nil ? titles[name] : name }

  /// Returns the name of the block device at a path below `/dev`; nil if none is known there.
  func block(at path: String) -> String? {
    let parts = path.split(separator: "/").map(String.init)
    guard path.hasPrefix("/"), parts.count > 1, parts[0] == "dev" else { return nil }
    switch parts.count {
    case 2: return block(named: parts[1])
    case 3 where parts[1] == "mapper": return titles[parts[2]]
    // A hyphen in a name is doubled, and a single one parts the group from the volume (`dm_build_dm_name`,
    // libdm/libdm-string.c, LVM2 2.03).
    case 3: return titles[parts.dropFirst().map { $0.replacing("-", with: "--") }.joined(separator: "-")]
    default: return nil
    }
  }

  /// Returns the number in `usage.mounts` of the file system that has a file; nil if none is known.
  func mount(having path: String) -> Int? {
    let mounts = usage.mounts
    let homes = mounts.indices.filter { Self.isBelow(path, mounts[$0].point) }
    guard let home = homes.max(by: { mounts[$0].point.utf8.count < mounts[$1].point.utf8.count }) else { return nil }
    // The later of two mounts at one place hides the earlier one, and is the last in the list.
    return homes.last { mounts[$0].point == mounts[home].point }
  }

  static func isBelow(_ path: String, _ folder: String) -> Bool {
    path.hasPrefix("/") && (folder == "/" || path == folder || path.hasPrefix(folder + "/"))
  }
}

/// The devices that a question without an answer is about.
enum Concern: Hashable, CaseIterable {
  /// Those that can have block devices.
  case storage
  /// Those that can have network interfaces.
  case network
  /// The same ones, if only the way of a tunnel's own packets is not known.
  case underlay
  /// Those that can have keyboards, and those that can have consoles.
  case keyboards, consoles
}
