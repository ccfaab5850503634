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
