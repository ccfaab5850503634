import FoundationEssentials
import Glibc
import LinuxAdapter
import Model
import Planning
import TestSupport
import Testing

/// What stands on a device, on a captured host: the reader and the graph together.
@Suite struct StorageTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func usage(of host: String) throws -> HostUsage {
    let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"
    try HostTree(try String(contentsOfFile: "\(fixtures)/\(host).tree", encoding: .utf8)).write(to: folder)
    return UsageReader(root: folder.path).usage()
  }

  private func rules(_ usage: HostUsage) -> InterlockRules {
    InterlockRules(usage: usage, inventory: Inventory(functions: [], facts: []))
  }

  private func uses(_ rules: InterlockRules, _ function: String) throws -> [DeviceUse] {
    rules.interlocks(on: try #require(FunctionName(function))).compactMap(DeviceUse.init)
  }

  private func chains(_ rules: InterlockRules, _ function: String) throws -> [String] {
    try uses(rules, function).map { $0.chain.joined(separator: " → ") }.sorted()
  }

  @Test(arguments: [
    ("0000:00:1d.0", ["/", "/boot/efi", "/store/overlay", "swap"]),
    ("0000:02:00.0", ["/", "/boot/efi", "/store/overlay", "swap"]),
    // The image lies on the array, and the overlay's lower folder on the image.
    ("0000:05:00.0", ["/store/image", "/store/overlay", "/store/raid array"]),
    ("0000:06:00.0", ["/store/image", "/store/overlay", "/store/raid array"]),
    // Both members of the btrfs count, although the mount names one. The swap file lies on it.
    ("0000:07:00.0", ["/store/btrfs", "/store/overlay", "swap"]),
    ("0000:08:00.0", ["/store/btrfs", "/store/overlay", "swap"]),
    ("0000:09:00.0", ["/store/zfs"]),
    ("0000:0a:00.0", ["/store/by-name"]),
    // Every function of both ways to the multipath disk, the VMD controller among them.
    ("0000:0b:00.0", ["/store/multipath"]), ("0000:00:1d.1", ["/store/multipath"]),
    ("0000:00:0e.0", ["/store/multipath"]), ("10000:e1:00.0", ["/store/multipath"]),
    ("0000:03:00.0", []),
  ])
  func `what stands on a function is found`(function: String, subjects: [String]) throws {
    let usage = try usage(of: "storage")
    #expect(usage.unread.isEmpty)
    let graph = rules(usage)
    let found = try uses(graph, function)
    #expect(found.compactMap(\.chain.last).sorted() == subjects)
    #expect(found.allSatisfy { $0.chain.first == function })
  }

  @Test func `a chain has each step from the device to the folder`() throws {
    let graph = rules(try usage(of: "storage"))
    #expect(try chains(graph, "0000:05:00.0").contains("0000:05:00.0 → sda1 → md0 → /store/raid array"))
    #expect(try chains(graph, "0000:09:00.0") == ["0000:09:00.0 → sde → tank → /store/zfs"])
    #expect(
      try chains(graph, "0000:02:00.0") == [
        "0000:02:00.0 → nvme0n1p1 → /boot/efi", "0000:02:00.0 → nvme0n1p2 → luks → vg-root → /",
        "0000:02:00.0 → nvme0n1p2 → luks → vg-root → / → /store/overlay",
        "0000:02:00.0 → nvme0n1p2 → luks → vg-swap → swap",
      ])
    #expect(
      try chains(graph, "0000:05:00.0").contains(
        "0000:05:00.0 → sda1 → md0 → /store/raid array → loop0 → /store/image"))
  }

  @Test func `a file system whose device is not known is named`() throws {
    let graph = rules(try usage(of: "storage"))
    #expect(graph.unexplainedMounts == ["/store/nfs"])
  }

  @Test func `a host without these files is unknown, not unused`() throws {
    let usage = UsageReader(root: folder.path).usage()
    // It has no network interfaces, so it has neither routes nor sessions.
    #expect(Set(usage.unread.keys) == [.mounts, .swaps, .consoles, .keyboards])
    #expect(usage.unread[.mounts]?.cause == .failed(ENOENT))
  }

  @Test(arguments: ["22 1 8:1 / / rw", "22 1 8:1 / / rw shared:1 ext4 /dev/sda1 rw", "x"])
  func `a line of mounts that is not understood makes the mounts unknown`(line: String) throws {
    try folder.write("proc/1/mountinfo", line + "\n")
    #expect(UsageReader(root: folder.path).usage().unread[.mounts]?.cause == .malformed)
  }

  @Test func `a stack that contains itself ends, and is not understood`() throws {
    try HostTree(
      """
      /proc/1/mountinfo <<
       | 22 1 253:0 / / rw - ext4 /dev/dm-0 rw
       | 23 22 7:0 / /loop rw - ext4 /dev/loop0 rw
      /proc/swaps = Filename
      /proc/consoles =
      /proc/bus/input/devices =
      /sys/class/block/dm-0/dev = 253:0
      /sys/class/block/dm-0/slaves/dm-1 -> ../../dm-1
      /sys/class/block/dm-1/dev = 253:1
      /sys/class/block/dm-1/slaves/dm-0 -> ../../dm-0
      /sys/class/block/loop0/dev = 7:0
      /sys/class/block/loop0/loop/backing_file = /loop/image
      """
    ).write(to: folder)
    let usage = UsageReader(root: folder.path).usage()
    #expect(usage.unread.isEmpty && usage.mounts.count == 2)
    let graph = rules(usage)
    #expect(graph.unexplainedMounts == ["/", "/loop"])
  }
}
