import Model
import Planning
import Testing

/// What is stored on a device, from values: each test is a host, and the interlocks with their ways.
@Suite struct StorageInterlockTests {
  @Test func `a root on LVM on an array of two NVMe disks stands on both, and on their root ports`() throws {
    var host = InterlockHost()
    try host.block("nvme0n1", on: "0000:00:1d.0 0000:02:00.0")
    try host.block("nvme1n1", on: "0000:00:1d.4 0000:03:00.0")
    try host.block("md0") { $0.parts = ["nvme0n1", "nvme1n1"] }
    try host.block("dm-0") { ($0.title, $0.parts) = ("vg0-root", ["md0"]) }
    host.mount("dm-0", "/")
    try host.function("0000:00:1d.0 0000:02:00.0", 0x010802)
    #expect(
      try host.interlocks("0000:02:00.0") == ["!root-file-system: 0000:02:00.0 → nvme0n1 → md0 → vg0-root → /"])
    #expect(
      try host.interlocks("0000:00:1d.4") == ["!root-file-system: 0000:00:1d.4 → nvme1n1 → md0 → vg0-root → /"])
  }

  @Test func `each mount is named by its purpose`() throws {
    var host = InterlockHost()
    host.usage.purposes = ["/var/lib/berth": .berth, "/var/lib/xen": .toolstack, "/boot/efi": .boot]
    for (number, point) in ["/", "/boot/efi", "/var/lib", "/var/lib/xen", "/data"].enumerated() {
      try host.block("sd\(number)", on: "0000:00:17.0")
      host.mount("sd\(number)", point)
    }
    try host.function("0000:00:17.0", 0x010601)
    #expect(
      try host.interlocks("0000:00:17.0") == [
        "!root-file-system: 0000:00:17.0 → sd0 → /", "!boot-partition: 0000:00:17.0 → sd1 → /boot/efi",
        "!berth-state: 0000:00:17.0 → sd2 → /var/lib", "!toolstack-state: 0000:00:17.0 → sd3 → /var/lib/xen",
        "!mounted-file-system: 0000:00:17.0 → sd4 → /data",
      ])
  }

  @Test func `a partition for the firmware counts if its disk is used, or if the loader names it`() throws {
    var host = InterlockHost()
    try host.block("sda", on: "0000:00:17.0")
    try host.block("sda1", on: "0000:00:17.0") {
      $0.partition = PartitionIdentity(type: PartitionIdentity.firmwareType, number: "one")
    }
    try host.block("sdb1", on: "0000:05:00.0") {
      $0.partition = PartitionIdentity(type: PartitionIdentity.firmwareType, number: "two")
    }
    try host.function("0000:00:17.0", 0x010601)
    try host.function("0000:05:00.0", 0x010601)
    #expect(try host.interlocks("0000:00:17.0").isEmpty)
    host.mount("sda", "/")
    #expect(
      try host.interlocks("0000:00:17.0").contains("!boot-partition: 0000:00:17.0 → sda1 → EFI system partition"))
    #expect(try host.interlocks("0000:05:00.0").isEmpty)
    host.usage.loaderPartition = "two"
    #expect(try host.interlocks("0000:05:00.0") == ["!boot-partition: 0000:05:00.0 → sdb1 → EFI system partition"])
  }

  @Test func `a pool that is used without a visible mount stands on its members`() throws {
    var host = InterlockHost()
    try host.block("sda", on: "0000:01:00.0")
    try host.block("sdb", on: "0000:02:00.0")
    try host.block("zd16")
    host.usage.pools = [
      StoragePool(kind: .zfs, name: "tank", members: ["sda"]),
      StoragePool(kind: .zfs, name: "old", members: ["sdb"], isImported: false),
    ]
    #expect(try host.interlocks("0000:01:00.0") == ["!imported-pool: 0000:01:00.0 → sda → tank"])
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
    // A volume of ZFS may be of any pool that is used.
    host.usage.swaps = ["zd16"]
    #expect(try host.interlocks("0000:01:00.0").contains("!active-swap: 0000:01:00.0 → sda → tank → zd16 → swap"))
  }

  @Test func `a member of what is not assembled is only warned of`() throws {
    var host = InterlockHost()
    try host.block("sda1", on: "0000:01:00.0") { $0.membership = "LVM2_member" }
    try host.block("sdb1", on: "0000:02:00.0") { $0.membership = "linux_raid_member" }
    try host.block("md0") { $0.parts = ["sdb1"] }
    #expect(try host.interlocks("0000:01:00.0") == ["storage-member: 0000:01:00.0 → sda1 → LVM2_member"])
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
  }

  @Test func `a root that is made of folders which it hides is not understood`() throws {
    var host = InterlockHost()
    try host.function("0000:01:00.0", 0x010601)
    host.usage.mounts = [
      Mount(number: "0:20", type: "overlay", source: "overlay", point: "/", layers: ["/lower", "/cow/upper"])
    ]
    #expect(try host.interlocks("0000:01:00.0") == ["!interlock-unknown: 0000:01:00.0 → ? → /"])
    host.usage.mounts[0] = Mount(number: "0:20", type: "overlay", source: "overlay", point: "/", layers: ["l/A"])
    #expect(try host.interlocks("0000:01:00.0") == ["!interlock-unknown: 0000:01:00.0 → ? → /"])
  }

  @Test func `a swap area by the name that a person gave it is found`() throws {
    var host = InterlockHost()
    try host.block("sda", on: "0000:01:00.0")
    try host.block("dm-1") { ($0.title, $0.parts) = ("vg-swap", ["sda"]) }
    host.usage.swaps = ["vg-swap"]
    #expect(try host.interlocks("0000:01:00.0") == ["!active-swap: 0000:01:00.0 → sda → vg-swap → swap"])
    host.usage.swaps = ["gone"]
    #expect(try host.interlocks("0000:01:00.0") == ["!interlock-unknown: 0000:01:00.0 → ? → gone → swap"])
  }

  @Test func `a stack with many ways through it is followed once`() throws {
    var host = InterlockHost()
    try host.block("sda", on: "0000:01:00.0")
    for level in 0..<24 {
      let below = level == 0 ? ["sda"] : ["l\(level - 1)", "r\(level - 1)"]
      try host.block("l\(level)") { $0.parts = below }
      try host.block("r\(level)") { $0.parts = below }
    }
    host.mount("l23", "/")
    #expect(try host.interlocks("0000:01:00.0").count == 1)
  }

  // MARK: What is not known of storage

  @Test func `a file system whose devices are not understood refuses all that can store`() throws {
    var host = InterlockHost()
    try host.block("dm-3")
    host.mount("dm-3", "/data")
    try host.function("0000:01:00.0", 0x010601)
    try host.function("0000:00:1c.0", 0x060400)
    try host.function("0000:00:1c.0 0000:02:00.0", nil)
    try host.function("0000:00:1d.0", 0x060400)
    try host.function("0000:03:00.0", 0x030000) { $0.isBootDisplay = false }
    try host.function("0000:04:00.0", 0x040300)
    for name in ["0000:01:00.0", "0000:02:00.0", "0000:00:1c.0"] {
      #expect(
        try host.interlocks(name).first == "!interlock-unknown: \(name) → ? → dm-3 → /data", "of \(name)")
    }
    #expect(try host.interlocks("0000:04:00.0").isEmpty && host.interlocks("0000:00:1d.0").isEmpty)
    // A function that is not in the inventory may be anything.
    #expect(try !host.interlocks("0000:09:00.0").isEmpty)
    #expect(host.rules().unexplainedMounts == ["/data"])
  }

  @Test(arguments: [
    (HostUsage.Fact.mounts, ["0000:01:00.0", "0000:02:00.0"]), (.swaps, ["0000:01:00.0"]),
    (.blockDevices, ["0000:01:00.0", "0000:05:00.0"]), (.routes, ["0000:02:00.0"]), (.sessions, ["0000:02:00.0"]),
    (.interfaces, ["0000:02:00.0", "0000:05:00.0"]), (.keyboards, ["0000:05:00.0"]),
    (.consoles, ["0000:05:00.0", "0000:06:00.0"]), (.attendants, []),
  ])
  func `what could not be read refuses the devices that may be meant`(fact: HostUsage.Fact, refused: [String]) throws {
    var host = InterlockHost()
    for (number, deviceClass) in [0x010601, 0x020000, 0x040300, 0x060400, 0x0C0330, 0x070002].enumerated() {
      try host.function("0000:0\(number + 1):00.0", UInt32(deviceClass))
    }
    host.usage.unread[fact] = ReadFailure(place: "/file", .failed(13))
    let found = try host.functions.map(\.name.description).filter { try !host.interlocks($0).isEmpty }
    #expect(found == refused)
    for name in refused { #expect(try host.interlocks(name) == ["!interlock-unknown: \(name) → ? → /file"]) }
    // What pciback has is not dom0's.
    for index in host.functions.indices { host.functions[index].driver = "pciback" }
    #expect(try refused.allSatisfy { try host.interlocks($0).isEmpty })
  }

  @Test func `a disk that somebody holds refuses its device, and so does one that cannot be opened`() throws {
    var host = InterlockHost()
    try host.block("sda", on: "0000:01:00.0")
    try host.block("sdb", on: "0000:01:00.0")
    let name = try #require(FunctionName("0000:01:00.0"))
    #expect(host.rules().disks(of: name) == ["sda", "sdb"])
    #expect(
      try host.interlocks("0000:01:00.0", openings: [DiskOpening(disk: "sda", answer: .free)]).isEmpty)
    #expect(
      try host.interlocks(
        "0000:01:00.0",
        openings: [
          DiskOpening(disk: "sda", answer: .held),
          DiskOpening(disk: "sdb", answer: .failed(ReadFailure(place: "/dev/sdb", .failed(13)))),
        ]) == [
          "!held-open: 0000:01:00.0 → sda → held by the kernel or a program",
          "!interlock-unknown: 0000:01:00.0 → sdb → ? → /dev/sdb",
        ])
  }
}
