import FoundationEssentials
import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

@Suite struct InventoryTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Writes a host's files, and returns what the inventory has of each function.
  private func functions(
    of host: String, _ facts: Set<FunctionFact> = Set(FunctionFact.allCases)
  ) throws -> [String: PCIFunction] {
    let text = try String(contentsOfFile: "\(fixtures)/\(host).tree", encoding: .utf8)
    try HostTree(text).write(to: folder)
    return try functions(facts)
  }

  private func functions(_ facts: Set<FunctionFact> = Set(FunctionFact.allCases)) throws -> [String: PCIFunction] {
    let inventory = try SysfsInventory(root: folder.path).inventory(of: facts)
    #expect(inventory.functions.map(\.name) == inventory.functions.map(\.name).sorted())
    return Dictionary(inventory.functions.map { ("\($0.name)", $0) }, uniquingKeysWith: { first, _ in first })
  }

  private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"

  @Test func `a host without PCI has no functions`() throws {
    #expect(try functions().isEmpty)
  }

  @Test func `a card's files become facts`() throws {
    let functions = try functions(of: "workstation")
    let card = try #require(functions["0000:03:00.0"])
    #expect(card.id == DeviceID("8086:1533"))
    #expect(card.subsystem == DeviceID("8086:0001"))
    #expect(card.deviceClass == 0x020000)
    #expect(card.revision == 3)
    #expect(card.driver == "igb")
    #expect(card.driverOverride == nil)
    #expect(card.slots == ["PCIE1", "PCIE1-1"])
    #expect(card.interfaces == [NetworkInterface(name: "lan0", address: MACAddress("a0:36:9f:12:34:56"))])
    #expect(card.interrupt == Interrupt(line: 16, usesMessages: true))
    #expect(card.resources.map(\.description) == ["memory 0xdf200000-0xdf2fffff", "ports 0xd000-0xd01f"])
    #expect(card.reset == ResetMethods(isPossible: false, methods: nil))
    let usb = try #require(functions["0000:00:14.0"])
    #expect(usb.interrupt == Interrupt(line: nil, usesMessages: false))
    #expect(usb.reset == ResetMethods(isPossible: true, methods: ["pm", "bus"]))
    #expect(usb.power == PowerState(state: "D0", mayReachD3Cold: true))
    let disk = try #require(functions["0000:04:00.0"])
    #expect(disk.driverOverride == "pciback")
    #expect(
      disk.nvme == [NVMeController(name: "nvme0", serial: "S4EVNX0R123456", model: "Samsung SSD 980 PRO 1TB")])
    #expect(disk.virtualisation.limit == 8)
    #expect(disk.virtualisation.children.map(\.description) == ["0000:04:10.0"])
    #expect(functions["0000:04:10.0"]?.virtualisation.parent == disk.name)
  }

  @Test func `a function's path has its bridges, with buses that count from each bridge`() throws {
    let functions = try functions(of: "workstation")
    #expect(
      functions.mapValues { $0.path?.description } == [
        "0000:00:14.0": "00_14.0", "0000:00:1c.0": "00_1c.0", "0000:00:1c.4": "00_1c.4",
        "0000:03:00.0": "00_1c.0-00_00.0", "0000:04:00.0": "00_1c.4-00_00.0", "0000:04:10.0": "00_1c.4-00_10.0",
      ])
    #expect(functions["0000:03:00.0"]?.chain.map(\.description) == ["0000:00:1c.0", "0000:03:00.0"])
    #expect(functions["0000:00:1c.4"]?.secondaryBus == 4)
  }

  @Test func `behind VMD a path begins at the second host bridge, and the chain has both`() throws {
    let disk = try #require(try functions(of: "vmd")["10000:e1:00.0"])
    #expect(disk.chain.map(\.description) == ["0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0"])
    #expect(disk.path?.description == "10000_e0_06.0-00_00.0")
    #expect(disk.address == nil)
  }

  @Test func `a bond's cards keep their own addresses, and a set address is unknown`() throws {
    let functions = try functions(of: "bond", [.interfaces])
    #expect(functions["0000:01:00.0"]?.interfaces.first?.address == MACAddress("3c:ec:ef:00:00:01"))
    #expect(functions["0000:01:00.1"]?.interfaces.first?.address == MACAddress("3c:ec:ef:00:00:02"))
    let other = try #require(functions["0000:02:00.0"])
    #expect(other.interfaces == [NetworkInterface(name: "eth0", address: nil)])
    #expect(other.unread[.interfaces]?.cause == .overwritten)
  }

  @Test func `only the facts that are asked for are read`() throws {
    let card = try #require(try functions(of: "workstation", [.driver])["0000:03:00.0"])
    var expected = PCIFunction(name: card.name)
    expected.chain = card.chain
    expected.driver = "igb"
    #expect(card == expected)
  }

  // MARK: What cannot be read

  private let place = "sys/devices/pci0000:00/0000:00:05.0"

  private func makeCard(isBare: Bool = false) throws {
    try folder.makeFolder("sys/bus/pci/devices")
    try folder.makeFolder(place)
    if !isBare {
      try folder.write("\(place)/modalias", "pci:v00008086d00001533sv00008086sd00000001bc02sc00i00\n")
      try folder.write("\(place)/revision", "0x03\n")
    }
    try folder.link("sys/bus/pci/devices/0000:00:05.0", to: "../../../devices/pci0000:00/0000:00:05.0")
  }

  private func card(_ facts: Set<FunctionFact> = Set(FunctionFact.allCases)) throws -> PCIFunction {
    try #require(try functions(facts)["0000:00:05.0"])
  }

  @Test(arguments: [
    (FunctionFact.ids, "modalias", "pci:v0000"), (.revision, "revision", "3"), (.power, "d3cold_allowed", "yes"),
    (.interrupt, "irq", "-1"), (.resources, "resource", "0x1 0x0 0x0"), (.bootDisplay, "boot_vga", "x"),
    (.virtualFunctions, "sriov_totalvfs", "many"), (.nvme, "nvme/nvme0/serial", "\u{FFFD}"),
    (.driverOverride, "driver_override", String(repeating: "x", count: 5000)),
  ])
  func `a file that is not understood makes one fact unknown`(fact: FunctionFact, file: String, text: String) throws {
    try makeCard()
    try folder.write("\(place)/\(file)", text + "\n")
    let card = try card(Set(FunctionFact.allCases).subtracting([.serial, .isolation]))
    #expect(Set(card.unread.keys) == [fact])
    #expect(card.unread[fact]?.place == folder.path + "/sys/bus/pci/devices/0000:00:05.0/\(file)")
    #expect(card.unread[fact]?.cause == (text.utf8.count > 4096 ? .failed(EFBIG) : .malformed))
  }

  @Test func `bytes that are no text make one fact unknown`() throws {
    try makeCard()
    try folder.write("\(place)/nvme/nvme0/serial", "S4EV\n")
    try folder.write("\(place)/nvme/nvme0/model", [0xFF, 0xFE, 0x0A])
    #expect(try card([.nvme]).unread[.nvme]?.cause == .malformed)
  }

  @Test func `an NVMe controller without a file for its serial number is not known to have none`() throws {
    try makeCard()
    try folder.write("\(place)/nvme/nvme0/model", "Disk\n")
    let card = try card([.nvme])
    #expect(card.unread[.nvme]?.cause == .failed(ENOENT) && card.nvme.isEmpty)
  }

  @Test func `a function that is no link has no path`() throws {
    try folder.makeFolder("sys/bus/pci/devices/0000:00:05.0")
    let card = try card([.path])
    #expect(card.unread[.path]?.cause == .malformed)
    #expect(card.chain.map(\.description) == ["0000:00:05.0"])
  }

  @Test(arguments: ["secondary_bus_number = 9", "secondary_bus_number = x", "x = 1"])
  func `a bridge's bus that does not fit makes the path unknown`(file: String) throws {
    let bridge = "/sys/devices/pci0000:00/0000:00:1c.0"
    try HostTree(
      """
      /sys/bus/pci/devices/0000:00:1c.0 -> ../../../devices/pci0000:00/0000:00:1c.0
      /sys/bus/pci/devices/0000:03:00.0 -> ../../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0
      \(bridge)/\(file)
      \(bridge)/0000:03:00.0/x = 1
      """
    ).write(to: folder)
    let card = try #require(try functions([.path])["0000:03:00.0"])
    #expect(card.path == nil)
    #expect(card.unread[.path]?.cause == .malformed)
    #expect(card.chain.count == 2)
  }

  // MARK: The configuration space

  /// Writes a configuration space: words at offsets, zeros elsewhere.
  private func writeConfiguration(_ words: [Int: UInt32], size: Int = 4096) throws {
    try makeCard()
    try rewriteConfiguration(words, size: size)
  }

  private func rewriteConfiguration(_ words: [Int: UInt32], size: Int) throws {
    var bytes = [UInt8](repeating: 0, count: size)
    for (offset, word) in words {
      for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }
    }
    try folder.write("\(place)/config", bytes)
  }

  @Test func `capabilities of the configuration space are found`() throws {
    // Power management leads to PCI Express, and ACS to the serial number. The type is a root port's.
    try writeConfiguration([
      0x00: 0x1533_8086, 0x04: 0x0010_0406, 0x0C: 0x0080_0000, 0x34: 0x40, 0x40: 0x0000_5001, 0x50: 0x0042_0010,
      0x100: 0x1401_000D, 0x104: 0x001D_001F, 0x140: 0x0001_0003, 0x144: 0xFF12_3456, 0x148: 0xA036_9FFF,
    ])
    let card = try card([.serial, .isolation])
    #expect(card.serial == "a0-36-9f-ff-ff-12-34-56")
    #expect(
      card.isolation
        == IsolationFacts(
          isMultiFunction: true, type: .rootPort, isExpress: true,
          accessControl: IsolationFacts.AccessControl(capabilities: 0x1F, control: 0x1D), hasExtendedSpace: true))
    #expect(card.unread.isEmpty)
  }

  @Test func `conventional PCI has neither extended space nor serial`() throws {
    try writeConfiguration([0x00: 0x100E_8086, 0x04: 0x0010_0406, 0x34: 0xDC, 0xDC: 0x0002_E401, 0xE4: 0x7], size: 256)
    let card = try card([.serial, .isolation])
    #expect(card.serial == nil)
    #expect(
      card.isolation
        == IsolationFacts(
          isMultiFunction: false, type: nil, isExpress: false, accessControl: nil, hasExtendedSpace: false))
    #expect(card.unread.isEmpty)
  }

  @Test func `a function of PCI Express whose extended space does not answer has an unknown serial`() throws {
    let capability: [Int: UInt32] = [
      0x00: 0x1533_8086, 0x04: 0x0010_0406, 0x34: 0x40, 0x40: 0x0002_0010, 0x100: .max,
    ]
    try writeConfiguration(capability)
    #expect(try card([.serial]).unread[.serial]?.cause == .failed(EOPNOTSUPP))
    var short = capability
    short[0x100] = nil
    try folder.write("\(place)/config", [UInt8](repeating: 0, count: 0))
    try rewriteConfiguration(short, size: 256)
    #expect(try card([.serial]).unread[.serial]?.cause == .failed(EOPNOTSUPP))
    try rewriteConfiguration([0x00: 0x1533_8086, 0x04: 0x0010_0406, 0x34: 0x40], size: 64)
    #expect(try card([.serial]).unread[.serial]?.cause == .failed(EPERM))
  }

  @Test func `a virtual function answers although its ids are ones`() throws {
    try writeConfiguration([
      0x00: .max, 0x04: 0x0010_0000, 0x08: 0x0200_0001, 0x34: 0x40, 0x40: 0x0002_0010, 0x100: 0x0001_000E,
    ])
    let card = try card([.serial, .isolation])
    #expect(card.unread.isEmpty && card.serial == nil && card.isolation?.isExpress == true)
  }

  @Test(arguments: [(FunctionFact.ids, "modalias"), (.revision, "revision")])
  func `a file that each function has, and that is missing, is unknown`(fact: FunctionFact, file: String) throws {
    try makeCard(isBare: true)
    #expect(try card([fact]).unread[fact]?.cause == .failed(ENOENT))
  }

  @Test func `a slot whose address cannot be read makes the slots unknown`() throws {
    try makeCard()
    try folder.makeFolder("sys/bus/pci/slots/7")
    #expect(try card([.slot]).unread[.slot]?.cause == .failed(ENOENT))
  }

  @Test func `a function that is switched off is silent, not gone`() throws {
    try makeCard()
    try folder.write("\(place)/config", [UInt8](repeating: 0xFF, count: 4096))
    let card = try card([.serial, .isolation])
    #expect(card.unread.mapValues(\.cause) == [.serial: .silent, .isolation: .silent])
  }

  @Test func `the first 64 bytes alone leave the isolation unknown`() throws {
    try writeConfiguration([0x00: 0x1533_8086, 0x04: 0x0010_0406, 0x34: 0x40], size: 64)
    #expect(try card([.isolation]).unread[.isolation]?.cause == .failed(EPERM))
  }

  @Test func `chains of capabilities that are loops end`() throws {
    try writeConfiguration([
      0x00: 0x1533_8086, 0x04: 0x0010_0406, 0x34: 0x40, 0x40: 0x0000_4001, 0x100: 0x1001_000D,
    ])
    let card = try card([.serial, .isolation])
    #expect(card.serial == nil)
    #expect(card.isolation?.isExpress == false)
  }
}
