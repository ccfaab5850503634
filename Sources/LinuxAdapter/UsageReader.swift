import Glibc
package import Model
import Ports

/// What dom0 stores its files on, from sysfs, the mounts of process 1, and udev's database.
package struct UsageReader: HostUsagePort {
  /// A host with more lines than this fills more than 4 MiB.
  private static let mostBytes = 4 << 20

  private let root: Root

  /// `root` is `/`, or the folder that replaces it for a sandbox or a captured host.
  package init(root: String) { self.root = Root(root) }

  package func usage() -> HostUsage {
    var usage = HostUsage()
    do throws(ReadFailure) { usage.mounts = try mounts() } catch { usage.unread[.mounts] = error }
    do throws(ReadFailure) { usage.swaps = try swaps() } catch { usage.unread[.swaps] = error }
    do throws(ReadFailure) {
      usage.blocks = try names(root.blockClass).map { (name) throws(ReadFailure) in try block(name) }
      usage.pools = try btrfs() + zfs(usage.blocks)
    } catch { usage.unread[.blockDevices] = error }
    return usage
  }

  // MARK: Mounts and swap

  /// Reads the mounts of process 1: those of this process may be fewer, if systemd has hardened its unit.
  ///
  /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc(5), mountinfo).
  private func mounts() throws(ReadFailure) -> [Mount] {
    var mounts: [Mount] = []
    for line in try lines(root.mounts) {
      let words = line.split(separator: " ")
      guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count > dash + 2 else {
        throw ReadFailure(place: root.mounts, .malformed)
      }
      let options = words.count > dash + 3 ? Self.unescaped(words[dash + 3]).split(separator: ",") : []
      mounts.append(
        Mount(
          number: String(words[2]), type: String(words[dash + 1]), source: device(Self.unescaped(words[dash + 2])),
          point: Self.unescaped(words[4]), layers: options.flatMap(Self.layers)))
    }
    return mounts
  }

  /// Returns the folders in an option of an overlay (Documentation/filesystems/overlayfs.rst, Linux 6.1).
  private static func layers(_ option: Substring) -> [String] {
    for name in ["upperdir=", "lowerdir="] where option.hasPrefix(name) {
      return option.dropFirst(name.count).split(separator: ":").map(String.init)
    }
    return []
  }

  /// Returns the name of the block device at a path; another text as it is. Names that a person gave are links there.
  private func device(_ path: String) -> String {
    guard path.hasPrefix(Root.devices) else { return path }
    func name(_ path: String) -> String { String(path.split(separator: "/").last ?? "") }
    // A link that cannot be read leaves the name that a person gave, by which volumes are found, too.
    do throws(SystemFailure) { return name(try readLink(root.path(path)) ?? path) } catch { return name(path) }
  }

  /// `/dev/sda2  partition  8388604  0  -2`, below a line of heads (proc(5), swaps).
  private func swaps() throws(ReadFailure) -> [String] {
    try lines(root.swaps).dropFirst().compactMap { line in
      line.split { $0 == " " || $0 == "\t" }.first.map { device(Self.unescaped($0)) }
    }
  }

  /// Returns a text in which `\040` and its like stand for characters (`seq_path`, Linux fs/seq_file.c, 6.1).
  private static func unescaped(_ text: Substring) -> String {
    guard text.contains("\\") else { return String(text) }
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3,
        let number = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
      {
        bytes.append(number)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  // MARK: Block devices

  private func block(_ name: String) throws(ReadFailure) -> BlockDevice {
    let folder = "\(root.blockClass)/\(name)"
    var block = BlockDevice(name: name)
    let parts = (try link(folder) ?? "").split(separator: "/").map(String.init)
    block.functions = parts.compactMap { FunctionName($0) }
    block.number = try text("\(folder)/dev")
    block.title = try text("\(folder)/dm/name")
    block.backingFile = try text("\(folder)/loop/backing_file")
    block.parts = try names("\(folder)/slaves")
    // A partition's folder is in its disk's.
    if try text("\(folder)/partition") != nil, parts.count > 1 { block.parts.append(parts[parts.count - 2]) }
    if parts.contains("nvme-subsystem"), parts.count > 1 {
      // With native multipath the disk is the subsystem's, whose folder has a link to each controller
      // (`nvme_mpath_set_live`, Linux drivers/nvme/host/multipath.c, 6.1).
      let subsystem = "\(root.subsystems)/\(parts[parts.count - 2])"
      for controller in try names(subsystem) where controller.hasPrefix("nvme") {
        let way = try link("\(subsystem)/\(controller)") ?? ""
        let found = way.split(separator: "/").compactMap { FunctionName($0) }
        block.functions += try found.isEmpty ? functions(ofController: controller) : found
      }
    }
    block.functions = Set(block.functions).sorted()
    return block
  }

  private func functions(ofController name: String) throws(ReadFailure) -> [FunctionName] {
    (try link("\(root.controllers)/\(name)") ?? "").split(separator: "/").compactMap { FunctionName($0) }
  }

  private func btrfs() throws(ReadFailure) -> [StoragePool] {
    try names(root.btrfs).map { (name) throws(ReadFailure) in
      StoragePool(kind: .btrfs, name: name, members: try names("\(root.btrfs)/\(name)/devices"))
    }.filter { !$0.members.isEmpty }
  }

  /// Returns the ZFS pools. Nothing in sysfs names their devices, but udev has seen what is on each.
  private func zfs(_ blocks: [BlockDevice]) throws(ReadFailure) -> [StoragePool] {
    var members: [String: [String]] = [:]
    for block in blocks {
      guard let number = block.number, let data = try content("\(root.udevData)/b\(number)") else { continue }
      let lines = data.split(separator: "\n")
      guard lines.contains("E:ID_FS_TYPE=zfs_member"),
        let label = lines.first(where: { $0.hasPrefix("E:ID_FS_LABEL=") })?.dropFirst(14)
      else { continue }
      members[String(label), default: []].append(block.name)
    }
    return members.sorted { $0.key < $1.key }.map { StoragePool(kind: .zfs, name: $0.key, members: $0.value) }
  }

  // MARK: Files

  private func lines(_ path: String) throws(ReadFailure) -> [Substring] {
    do throws(SystemFailure) {
      return String(decoding: try readFile(path, atMost: Self.mostBytes), as: UTF8.self).split(separator: "\n")
    } catch { throw ReadFailure(place: path, .failed(error.errno)) }
  }

  private func content(_ path: String) throws(ReadFailure) -> String? {
    do throws(SystemFailure) { return String(decoding: try readFile(path, atMost: 64 << 10), as: UTF8.self) } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  private func text(_ path: String) throws(ReadFailure) -> String? {
    try content(path).map { String($0.prefix { $0 != "\n" }) }
  }

  private func names(_ path: String) throws(ReadFailure) -> [String] {
    do throws(SystemFailure) { return try listFolder(path) } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return [] }
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  private func link(_ path: String) throws(ReadFailure) -> String? {
    do throws(SystemFailure) { return try readLink(path) } catch {
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }
}
