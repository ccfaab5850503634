import Glibc
package import Model
import Ports

/// What dom0 uses its devices for. What it stores its files on comes from sysfs, the mounts of process 1 and of this
/// process, and udev's database; the rest from the readers that are named below.
package struct UsageReader: HostUsagePort {
  private let root: Root
  private let files = FactFiles()

  /// `root` is `/`, or the folder that replaces it for a sandbox or a captured host.
  package init(root: String) { self.root = Root(root) }

  package func usage() -> HostUsage {
    var usage = HostUsage()
    do throws(ReadFailure) { usage.mounts = try mounts() } catch { usage.unread[.mounts] = error }
    do throws(ReadFailure) { usage.swaps = try swaps() } catch { usage.unread[.swaps] = error }
    do throws(ReadFailure) {
      let reader = BlockReader(root: root)
      usage.blocks = try reader.blocks()
      usage.pools = try reader.pools(usage.blocks, mounts: usage.mounts)
      usage.loaderPartition = try reader.loaderPartition()
    } catch { usage.unread[.blockDevices] = error }
    for (folder, purpose) in root.purposes { usage.purposes[folder] = purpose }
    NetworkReader(root: root).read(into: &usage)
    AttendantReader(root: root).read(into: &usage)
    return usage
  }

  package func openings(of disks: [String]) -> [DiskOpening] {
    disks.map { DiskOpening(disk: $0, answer: opening(of: $0)) }
  }

  /// Tries to open a block device exclusively, and closes it at once.
  ///
  /// Whoever mounts a device, or makes something of it, holds it exclusively, and a partition's holder keeps the whole
  /// disk from others (`bd_may_claim`, Linux block/bdev.c, 6.1). Reading causes no event of udev's.
  private func opening(of disk: String) -> DiskOpening.Answer {
    // The kernel writes a slash in a name as an exclamation mark (`dev_set_name`, Linux drivers/base/core.c).
    let path = root.path(Root.devices + disk.replacing("!", with: "/"))
    do throws(SystemFailure) {
      var found = stat()
      guard unsafe stat(path, &found) == 0 else { throw SystemFailure("stat", errno) }
      guard found.st_mode & S_IFMT == S_IFBLK else { return .failed(ReadFailure(place: path, .malformed)) }
      _ = try Descriptor(opening: path, O_RDONLY | O_EXCL | O_NONBLOCK)
      return .free
    } catch {
      switch error.errno {
      case EBUSY: return .held
      // An empty drive holds nothing.
      case ENOMEDIUM: return .free
      default: return .failed(ReadFailure(place: path, .failed(error.errno)))
      }
    }
  }

  // MARK: Mounts and swap

  /// Reads the mounts of process 1, and those of this process: systemd can hide from a unit what the host has mounted, and
  /// a person can mount what process 1 does not see.
  private func mounts() throws(ReadFailure) -> [Mount] {
    let mounts = try mounts(in: root.mounts, files.lines(root.mounts))
    guard let own = try files.optionalLines(root.ownMounts) else { return mounts }
    let known = Set(mounts)
    return mounts + (try self.mounts(in: root.ownMounts, own)).filter { !known.contains($0) }
  }

  /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` (proc(5), mountinfo).
  private func mounts(in file: String, _ lines: [Substring]) throws(ReadFailure) -> [Mount] {
    var mounts: [Mount] = []
    for line in lines {
      let words = line.split(separator: " ")
      guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count > dash + 2 else {
        throw ReadFailure(place: file, .malformed)
      }
      let options = words.count > dash + 3 ? Self.unescaped(words[dash + 3]).split(separator: ",") : []
      let (type, source) = (String(words[dash + 1]), Self.unescaped(words[dash + 2]))
      mounts.append(
        Mount(
          number: String(words[2]), type: type, source: device(source), point: Self.unescaped(words[4]),
          layers: options.flatMap(Self.layers), peers: Self.peers(type, source, options),
          carriers: try carriers(type, source, options)))
    }
    return mounts
  }

  /// Returns the functions of the devices by which a shared folder comes, if it comes over virtio. Without a device of its
  /// tag, each device of the driver may be meant (`p9_virtio_probe`, Linux net/9p/trans_virtio.c, 6.1).
  private func carriers(
    _ type: String, _ source: String, _ options: [Substring]
  ) throws(ReadFailure) -> [FunctionName] {
    let driver: String
    switch type {
    case "9p" where options.contains("trans=virtio"): driver = "9pnet_virtio"
    case "virtiofs": driver = "virtiofs"
    default: return []
    }
    let folder = root.virtioDrivers + "/" + driver
    var (all, tagged): ([FunctionName], [FunctionName]) = ([], [])
    for name in try files.names(folder) {
      let functions = FactFiles.functions(in: try files.link("\(folder)/\(name)") ?? "")
      all += functions
      // The tag ends with a NUL (`p9_mount_tag_show`).
      if try files.text("\(folder)/\(name)/mount_tag")?.prefix(while: { $0 != "\0" }) == source[...] {
        tagged += functions
      }
    }
    return Set(tagged.isEmpty ? all : tagged).sorted()
  }

  /// Returns the addresses of the hosts that have the files. NFS and CIFS show theirs as an option (`nfs_show_mount_options`,
  /// Linux fs/nfs/super.c, 6.1); Ceph mounts `10.0.0.1:6789,10.0.0.2:6789:/`.
  private static func peers(_ type: String, _ source: String, _ options: [Substring]) -> [String] {
    let addresses =
      type == "ceph"
      ? source.split(separator: ":/", maxSplits: 1).prefix(1).flatMap { $0.split(separator: ",") }.map { host in
        let end = host.lastIndex(of: ":") ?? host.endIndex
        return host.hasPrefix("[") ? host.dropFirst().prefix { $0 != "]" } : host[..<end]
      } : options.filter { $0.hasPrefix("addr=") }.map { $0.dropFirst(5) }
    return addresses.compactMap { InternetAddress(String($0))?.text }
  }

  /// Returns the folders in an option of an overlay (Documentation/filesystems/overlayfs.rst, Linux 6.1). Each folder has
  /// an option of its own since Linux 6.8 (`ovl_show_options`, fs/overlayfs/params.c).
  private static func layers(_ option: Substring) -> [String] {
    for name in ["upperdir=", "lowerdir=", "lowerdir+=", "datadir+="] where option.hasPrefix(name) {
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
    try files.lines(root.swaps).dropFirst().compactMap { line in
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
}
