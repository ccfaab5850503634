import FoundationEssentials
import LinuxAdapter
import Model
import TestSupport
import Testing

/// `Scripts/capture-host`: what it writes is the host that it read.
@Suite struct CaptureHostTests {
  private let host: TemporaryFolder
  private let copy: TemporaryFolder

  init() throws { (host, copy) = (try TemporaryFolder(), try TemporaryFolder()) }

  private let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  /// Captures a host of the fixtures, and returns what was written.
  private func capture(_ fixture: String, _ options: String...) async throws -> String {
    let tree = tests.appendingPathComponent("Fixtures/\(fixture).tree").path
    try HostTree(try String(contentsOfFile: tree, encoding: .utf8)).write(to: host)
    let result = try await Command(script(), ["--root", host.path] + options).run()
    #expect(result.status == 0, "\(result.errors)")
    try HostTree(result.output).write(to: copy)
    return result.output
  }

  private func functions(_ folder: TemporaryFolder) throws -> [PCIFunction] {
    try SysfsInventory(root: folder.path).inventory(of: Set(FunctionFact.allCases)).functions.map { function in
      var function = function
      // The two folders differ in the paths of files that are not there.
      function.unread = [:]
      return function
    }
  }

  @Test(arguments: ["workstation", "vmd", "bond", "storage"])
  func `the copy has what the host has`(fixture: String) async throws {
    _ = try await capture(fixture, "--keep-identities")
    #expect(try functions(copy) == functions(host))
    let (before, after) = (UsageReader(root: host.path).usage(), UsageReader(root: copy.path).usage())
    #expect(before.blocks == after.blocks && before.mounts == after.mounts)
    #expect(before.swaps == after.swaps && before.pools == after.pools)
    #expect(before.network == after.network && before.attendants == after.attendants)
  }

  /// A host with routes, a session, a console, storage on another host and what else the interlocks read.
  private func server() -> CraftedHost {
    var server = CraftedHost()
    server.function("pci0000:00/0000:01:00.0", class: "020000", driver: "igb")
    server.interface("pci0000:00/0000:01:00.0/net/eth0", files: ["ifindex": "2"])
    server.interface("virtual/net/br0", lower: ["eth0"], files: ["uevent": "DEVTYPE=bridge"])
    server.interface("virtual/net/vx0", files: ["uevent": "DEVTYPE=vxlan", "iflink": "2"])
    server.route("default via 192.0.2.1 dev br0 table 100")
    server.routeOfIPv6("default via fe80::3eec:efff:fe00:1 dev br0 metric 5")
    server.connection(from: "010200C0:0016", to: "070200C0:C35A", socket: 501)
    server.connection(from: "010200C0:0050", to: "080200C0:C35A", socket: 502)
    server.process(101, "sshd-session", sockets: [501])
    server.process(102, "nginx", sockets: [502])
    let disk = server.block("platform/host6/session1/block/sdz")
    server.mount("\(disk) / /data rw - ext4 /dev/sdz rw")
    server.add(
      """
      /sys/class/iscsi_connection/connection1:0/address = 192.0.2.9
      /proc/spl/kstat/zfs/tank/
      /proc/consoles = ttyS4                -W- (EC   p a)    4:68
      /sys/class/tty/ttyS4 -> ../../devices/pci0000:00/0000:00:16.3/tty/ttyS4
      /sys/class/watchdog/watchdog0 -> ../../devices/pci0000:00/0000:00:1f.0/watchdog/watchdog0
      /run/udev/data/b\(disk) <<
       | E:ID_PART_ENTRY_TYPE=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
       | E:ID_PART_ENTRY_UUID=11112222-3333-4444-5555-666677778888
      /sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f : 06000000\(
        "11112222-3333-4444-5555-666677778888".utf8.map { hex(UInt64($0), 2) + "00" }.joined())0000
      """)
    return server
  }

  @Test func `the copy has what the interlocks read, and other connections stay at home`() async throws {
    try HostTree(server().text).write(to: host)
    let before = UsageReader(root: host.path).usage()
    #expect(before.unread.isEmpty && before.network.sessions == ["192.0.2.7"] && before.loaderPartition != nil)
    #expect(before.network.ways.keys.sorted() == ["192.0.2.7", "192.0.2.9"] && before.pools.count == 1)
    let exact = try await Command(script(), ["--root", host.path, "--keep-identities"]).run()
    try HostTree(exact.output).write(to: copy)
    #expect(UsageReader(root: copy.path).usage() == before)
    #expect(!exact.output.contains("080200C0"))
    // The partition that the boot loader names is the one that udev names, under another number.
    let disguised = try TemporaryFolder()
    let text = try await Command(script(), ["--root", host.path]).run().output
    try HostTree(text).write(to: disguised)
    let after = UsageReader(root: disguised.path).usage()
    #expect(!text.contains("3eec:efff:fe00:1") && !text.contains("11112222") && text.contains("fe80::3eec:efff:fe"))
    #expect(after.loaderPartition == after.blocks.first?.partition?.number && after.loaderPartition != nil)
    #expect(after.loaderPartition != before.loaderPartition)
  }

  @Test func `serial numbers and hardware addresses are replaced, the same by the same`() async throws {
    let text = try await capture("bond")
    #expect(!text.contains("3c:ec:ef:00:00:0"))
    let cards = try functions(copy)
    let addresses = cards.compactMap { $0.interfaces.first?.address }
    #expect(addresses.count == 2 && Set(addresses).count == 2)
    // The makers stay, and the bond's list agrees with the cards.
    #expect(addresses.allSatisfy { $0.description.hasPrefix("3c:ec:ef:") })
    let other = try TemporaryFolder()
    try HostTree(try await Command(script(), ["--root", host.path]).run().output).write(to: other)
    #expect(try functions(other).map(\.interfaces) != cards.map(\.interfaces), "each capture has its own salt")
  }

  @Test func `an NVMe serial and a card's serial are replaced`() async throws {
    let folder = "sys/devices/pci0000:00/0000:00:05.0"
    var bytes = [UInt8](repeating: 0, count: 4096)
    let words: [Int: UInt32] = [
      0x00: 0x1533_8086, 0x04: 0x0010_0000, 0x34: 0x40, 0x40: 0x0002_0010, 0x100: 0x0001_0003, 0x104: 0xFF12_3456,
      0x108: 0xA036_9FFF,
    ]
    for (offset, word) in words {
      for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }
    }
    try host.write("\(folder)/config", bytes)
    try host.makeFolder("sys/bus/pci/devices")
    try host.link("sys/bus/pci/devices/0000:00:05.0", to: "../../../devices/pci0000:00/0000:00:05.0")
    let text = try await capture("workstation")
    #expect(!text.contains("S4EVNX0R123456") && !text.contains("563412ff"))
    let card = try #require(try functions(copy).first { $0.name.description == "0000:00:05.0" })
    #expect(card.serial != nil && card.serial != "a0-36-9f-ff-ff-12-34-56")
  }

  @Test func `a hardware address in an IPv6 address, and an input device's serial number, are replaced`() async throws {
    let route = "0000000000000001000000000000ffff"
    try host.write(
      "proc/net/ipv6_route", "fe800000000000003eeceffffe000001 80 \(route) 00 lan0\nfe80 80 \(route) 00 lan0\n")
    try host.write("proc/bus/input/devices", "N: Name=\"Keyboard\"\nU: Uniq=KB1234567\nU: Uniq=3c:ec:ef:00:00:01\n")
    let text = try await capture("bond")
    #expect(!text.contains("KB1234567") && !text.contains("3eeceffffe000001") && !text.contains("3c:ec:ef:00:00:0"))
    // The address is the same card's as before.
    let card = try #require(try functions(copy).first?.interfaces.first?.address).description
    let end = card.split(separator: ":").suffix(3).joined()
    #expect(text.contains("fe800000000000003eeceffffe\(end)") && text.contains("U: Uniq=\(card)"), "\(text)")
    #expect(text.contains("N: Name=\"Keyboard\"") && text.contains(route))
  }

  private func script() -> String {
    tests.deletingLastPathComponent().deletingLastPathComponent().path + "/Scripts/capture-host"
  }
}
