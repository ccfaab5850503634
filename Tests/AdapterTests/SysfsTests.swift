import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

@Suite struct SysfsTests {
  private let folder: TemporaryFolder
  private let tree: SysfsTree
  private let device = PCIAddress(sbdf: 0x300)
  private let place = "sys/bus/pci/devices/0000:03:00.0"
  private let driver = "sys/bus/pci/drivers/pciback"

  init() throws {
    folder = try TemporaryFolder()
    tree = SysfsTree(root: folder.path)
  }

  // MARK: Facts

  @Test func `a host without PCI is empty, not a failure`() throws {
    #expect(try !tree.hasPCIBack())
    #expect(try tree.pcibackDevices() == [])
    #expect(try tree.facts(of: device) == nil)
    #expect(try !tree.hasBackEndObject(for: DomainID(3)))
    #expect(tree.listenForExports(sinceBoot: false) == nil)
  }

  @Test func `the driver's folder lists its devices`() throws {
    try folder.makeFolder(driver)
    for name in ["bind", "new_slot", "slots", "module"] { try folder.write("\(driver)/\(name)", "") }
    try folder.link("\(driver)/0000:03:00.0", to: "../../../../devices/pci0000:00/0000:03:00.0")
    try folder.link("\(driver)/0001:3a:1f.7", to: "../../../../devices/pci0001:00/0001:3a:1f.7")
    #expect(try tree.hasPCIBack())
    #expect(try tree.pcibackDevices().map(\.description).sorted() == ["0000:03:00.0", "0001:3a:1f.7"])
  }

  @Test func `a device's files become facts`() throws {
    try folder.write("\(place)/modalias", "pci:v00008086d00001533sv00001AF4sd00001100bc02sc00i00\n")
    #expect(
      try tree.facts(of: device)
        == DeviceFacts(
          id: DeviceID(vendor: 0x8086, device: 0x1533), subsystem: DeviceID(vendor: 0x1AF4, device: 0x1100),
          deviceClass: 0x020000))
    try folder.link("\(place)/driver", to: "../../../bus/pci/drivers/igb")
    #expect(try tree.facts(of: device)?.driver == "igb")
    #expect(try tree.facts(of: device)?.isOnPCIBack == false)
  }

  @Test func `a device that pciback has taken is on pciback`() throws {
    try folder.makeFolder(place)
    #expect(try tree.facts(of: device) == DeviceFacts())
    try folder.link("\(place)/driver", to: "../../../bus/pci/drivers/pciback")
    #expect(try tree.facts(of: device) == DeviceFacts(driver: "pciback", isOnPCIBack: true))
  }

  @Test(arguments: [
    "", "8086\n", "pci:v00008086\n", "pci:v00018086d00001533sv00000000sd00000000bc02sc00i00\n",
    "pci:v00008086d0000153gsv00000000sd00000000bc02sc00i00\n",
    "pci:v00008086d00001533sv00000000sd00000000bc02sc00i0\n",
    "pci:v00008086d00001533sv00000000sd00000000bc02sc00i00.\n",
  ])
  func `a file without the kernel's form is malformed, not missing`(text: String) throws {
    try folder.write("\(place)/modalias", text)
    let failure = DeviceTreeError(.malformed, operation: "read", place: "\(folder.path)/\(place)/modalias")
    #expect(throws: HostError.tree(failure)) { try tree.facts(of: device) }
  }

  // MARK: Grants

  @Test func `the first seven ranges are granted, ports and memory separately`() throws {
    try folder.write(
      "\(place)/resource",
      """
      0x00000000febc0000 0x00000000febdffff 0x0000000000040200
      0x000000000000c000 0x000000000000c03f 0x0000000000040101
      0x0000000000000000 0x0000000000000000 0x0000000000000000
      0x0000000000000000 0x0000000000000000 0x0000000000000000
      0x000000380000c800 0x000000380000c8ff 0x000000000014220c
      0x0000000000000000 0x0000000000000000 0x0000000000000000
      0x00000000feb80000 0x00000000febbffff 0x0000000000046200
      0x00000000aaaa0000 0x00000000aaaaffff 0x0000000000040200

      """)
    try folder.write("\(place)/irq", "11\n")
    let grants = try tree.grants(for: device)
    #expect(
      grants.resources == [
        DeviceResource(space: .memory, range: 0xfebc_0000...0xfebd_ffff),
        DeviceResource(space: .ports, range: 0xc000...0xc03f),
        DeviceResource(space: .memory, range: 0x38_0000_c800...0x38_0000_c8ff),
        DeviceResource(space: .memory, range: 0xfeb8_0000...0xfebb_ffff),
      ])
    #expect(grants.interrupt == 11)
  }

  @Test(
    arguments: [("0\n", nil), ("255\n", nil), ("2147483648\n", nil), ("256\n", 256), ("19", 19)] as [(String, UInt32?)])
  func `an interrupt line that means none is none`(text: String, line: UInt32?) throws {
    try folder.write("\(place)/resource", "")
    try folder.write("\(place)/irq", text)
    #expect(try tree.grants(for: device).interrupt == line)
  }

  @Test(arguments: [
    "0x2000 0x1fff 0x200\n", "0x1000 0x1fff\n", "0x1000 0x1fff 0x200 0x0\n", "1000 1fff 200\n", "words\n",
  ])
  func `a meaningless range is malformed`(text: String) throws {
    try folder.write("\(place)/resource", text)
    let failure = DeviceTreeError(.malformed, operation: "read", place: "\(folder.path)/\(place)/resource")
    #expect(throws: HostError.tree(failure)) { try tree.grants(for: device) }
  }

  @Test func `a device that is gone has no grants`() throws {
    let path = "\(folder.path)/\(place)/resource"
    #expect(throws: HostError.tree(DeviceTreeError(.missing, operation: "read", place: path))) {
      try tree.grants(for: device)
    }
  }

  // MARK: Identity

  /// Returns a configuration space with these words.
  private func configuration(_ words: [Int: UInt32], size: Int = 4096) -> String {
    var bytes = [UInt8](repeating: 0, count: size)
    for (offset, word) in words { for byte in 0..<4 { bytes[offset + byte] = UInt8(word >> (8 * byte) & 0xFF) } }
    return String(bytes.map { Character(Unicode.Scalar($0 & 0x7F)) })
  }

  @Test func `the serial number is found in the chain of capabilities`() throws {
    let words: [Int: UInt32] = [
      // Advanced error reporting, then the serial number; no byte above 7f, so that the file is text here.
      0x100: 0x1401_0001, 0x140: 0x0001_0003, 0x144: 0x1234_5678, 0x148: 0x2036_1F7F,
    ]
    try folder.write("\(place)/config", configuration(words))
    #expect(try tree.serial(of: device) == "20-36-1f-7f-12-34-56-78")
    // What a reader without CAP_SYS_ADMIN gets.
    try folder.write("\(place)/config", configuration([:], size: 64))
    #expect(try tree.serial(of: device) == nil)
  }

  @Test(
    arguments: [
      [:], [0x100: 0x0001_0003], [0x100: 0x1001_0001], [0x100: 0x7FC1_0003, 0x104: 0], [0x100: 0x0401_0001],
    ] as [[Int: UInt32]])
  func `a chain without a serial number ends`(words: [Int: UInt32]) throws {
    try folder.write("\(place)/config", configuration(words))
    #expect(try tree.serial(of: device) == nil)
  }

  @Test func `a serial number at the end of the file is not read beyond it`() throws {
    try folder.write("\(place)/config", configuration([0x100: 0x7F81_0001, 0x7F8: 0x0001_0003], size: 0x7FC))
    #expect(try tree.serial(of: device) == nil)
  }

  @Test func `neighbours are the other functions of the bus, if the kernel can reset them`() throws {
    for name in ["0000:03:00.0", "0000:03:00.1", "0000:03:1f.0", "0000:04:00.0", "0001:03:00.1"] {
      try folder.makeFolder("sys/bus/pci/devices/\(name)")
    }
    #expect(try tree.neighbours(of: device) == [])
    try folder.write("\(driver)/do_flr", "")
    #expect(try tree.neighbours(of: device).map(\.description).sorted() == ["0000:03:00.1", "0000:03:1f.0"])
  }

  @Test func `a device that is reset alone is not reset by its slot`() throws {
    try folder.write("\(driver)/do_flr", "")
    #expect(try tree.reset(device, alone: true) == .unsupported)
    try folder.write("\(place)/reset", "")
    #expect(try tree.reset(device, alone: true) == .done)
    #expect(try folder.read("\(driver)/do_flr").isEmpty)
  }

  // MARK: Writes

  @Test func `reset tries the slot first, then the device, then nothing`() throws {
    #expect(try tree.reset(device, alone: false) == .unsupported)
    try folder.write("\(place)/reset", "")
    #expect(try tree.reset(device, alone: false) == .done)
    #expect(try folder.read("\(place)/reset") == Array("1".utf8))
    try folder.write("\(driver)/do_flr", "")
    #expect(try tree.reset(device, alone: false) == .done)
    #expect(try folder.read("\(driver)/do_flr") == Array("0000:03:00.0".utf8))
  }

  @Test func `a reset that the kernel refuses has failed`() throws {
    // Every write to this path fails.
    try folder.makeFolder(place)
    try folder.link("\(place)/reset", to: "/dev/full")
    #expect(try tree.reset(device, alone: false) == .failed)
  }

  @Test func `permissive access is requested from the driver`() throws {
    let path = "\(folder.path)/\(driver)/permissive"
    #expect(throws: HostError.tree(DeviceTreeError(.missing, operation: "open", place: path, errno: ENOENT))) {
      try tree.setPermissive(device)
    }
    try folder.write("\(driver)/permissive", "")
    try tree.setPermissive(device)
    #expect(try folder.read("\(driver)/permissive") == Array("0000:03:00.0".utf8))
  }

  @Test func `permissive devices are those that the driver lists`() throws {
    #expect(try tree.permissiveDevices() == [])
    try folder.write("\(driver)/permissive", "0000:03:00.0\n10000:01:00.0\n0000:03:00.1\n")
    #expect(try tree.permissiveDevices().map(\.description).sorted() == ["0000:03:00.0", "0000:03:00.1"])
    // The kernel cuts the list in the middle of a line.
    try folder.write("\(driver)/permissive", "0000:03:00.0\n0000:03:00.")
    #expect(try tree.permissiveDevices().map(\.description) == ["0000:03:00.0"])
  }

  @Test func `a device is unbound from the driver and bound to it`() throws {
    for name in ["unbind", "bind"] { try folder.write("\(driver)/\(name)", "") }
    let drivers = SysfsDrivers(root: folder.path)
    #expect(try drivers.unbind(device, from: "pciback", until: .now + .seconds(60)) == .answered(errno: nil))
    #expect(try folder.read("\(driver)/unbind") == Array("0000:03:00.0".utf8))
    #expect(try drivers.bind(device, to: "pciback", until: .now + .seconds(60)) == .answered(errno: nil))
    #expect(try folder.read("\(driver)/bind") == Array("0000:03:00.0".utf8))
  }

  @Test func `virtual functions and the driver's parameter are found`() throws {
    #expect(try !tree.hasVirtualFunctions(device) && !tree.isPermissiveForAll())
    try folder.write("sys/bus/pci/devices/0000:03:00.0/virtfn0", "")
    #expect(try tree.hasVirtualFunctions(device))
    for (text, isSet) in [("N\n", false), ("Y\n", true)] {
      try folder.write("sys/module/xen_pciback/parameters/permissive", text)
      #expect(try tree.isPermissiveForAll() == isSet)
    }
  }

  @Test func `the kernel's back-end object is found by the domain's number`() throws {
    try folder.makeFolder("sys/bus/xen-backend/devices")
    try folder.link("sys/bus/xen-backend/devices/pci-3-0", to: "../../../devices/pci-3-0")
    #expect(try tree.hasBackEndObject(for: DomainID(3)))
    #expect(try !tree.hasBackEndObject(for: DomainID(30)))
  }

  // MARK: Kernel log

  @Test func `exports are reported from the start of listening`() throws {
    try folder.write("dev/kmsg", "6,1,100,-;pciback 0000:00:06.0: registering for 9\n")
    let log = try #require(tree.listenForExports(sinceBoot: false))
    #expect(try log.exports() == [])
    try append(
      """
      [   75.178429] pciback 0000:00:05.0: xen_pciback: seizing device
      [   86.055680] pciback 0000:00:05.0: xen_pciback: vpci: assign to virtual slot 0
      [   86.058810] pciback 0000:00:05.0: registering for 1
      6,339,100338613,-;pciback 0000:00:07.0: xen_pciback: vpci: assign to virtual slot 1 func 3
      6,340,100415075,-;pciback 0000:00:07.0: regis
      """)
    let first = ExportRecord(device: PCIAddress(sbdf: 0x28), domain: DomainID(1), slot: 0)
    #expect(try log.exports() == [first])
    try append(
      """
      tering for 1
       SUBSYSTEM=pci
      6,341,2,-;usb 1-1: registering for 1
      6,342,2,-;pciback 0000:01:1f.0: registering for 12
      6,343,2,-;pciback 0000:01:00.0: registering for
      6,344,2,-;pciback 0000:01:00.0: registering for x

      """)
    let others = [
      ExportRecord(device: PCIAddress(sbdf: 0x38), domain: DomainID(1), slot: 1),
      ExportRecord(device: PCIAddress(sbdf: 0x1f8), domain: DomainID(12), slot: 31),
    ]
    #expect(try log.exports() == [first] + others)
    #expect(try log.exports() == [first] + others)
  }

  @Test func `the log since boot counts only if its first record exists`() throws {
    let export = "6,1,100,-;pciback 0000:00:06.0: registering for 9\n"
    try folder.write("dev/kmsg", "5,0,0,-;Linux version 6.1.0\n" + export)
    let record = ExportRecord(device: PCIAddress(sbdf: 0x30), domain: DomainID(9), slot: 6)
    #expect(try tree.listenForExports(sinceBoot: true)?.exports() == [record])
    #expect(try tree.listenForExports(sinceBoot: false)?.exports() == [])
    try folder.write("dev/kmsg", export)
    let log = try #require(tree.listenForExports(sinceBoot: true))
    #expect(try log.exports() == nil)
    #expect(try log.exports() == nil)
  }

  private func append(_ text: String) throws {
    let number = unsafe open(folder.path + "/dev/kmsg", O_WRONLY | O_APPEND | O_CLOEXEC)
    defer { close(number) }
    let bytes = Array(text.utf8)
    #expect(unsafe write(number, bytes, bytes.count) == bytes.count)
  }

  @Test func `this machine's own tree is readable`() throws {
    let here = SysfsTree(root: "/")
    for device in try here.pcibackDevices() { #expect(try here.facts(of: device)?.isOnPCIBack == true) }
    if let log = here.listenForExports(sinceBoot: false) { #expect(try log.exports() != nil) }
  }
}

@Suite struct MachineTests {
  @Test func `names come from the list, and vendors lose their legal form`() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "usr/share/misc/pci.ids",
      """
      # List of PCI IDs
      1002  Advanced Micro Devices, Inc. [AMD/ATI]
      \t1533  Wrong vendor
      10ec  Realtek Semiconductor Co., Ltd.
      \t8125  RTL8125 2.5GbE Controller
      8086  Intel Corporation
      \t1533  I210 Gigabit Network Connection
      \t\t103c 0003  Ethernet I210-T1 GbE NIC
      \t1539  I211 Gigabit Network Connection
      C 02  Network controller
      \t00  Ethernet controller

      """)
    let names = PCINames(root: folder.path)
    let (intel, realtek) = (DeviceID(vendor: 0x8086, device: 0x1533), DeviceID(vendor: 0x10ec, device: 0x8125))
    #expect(
      names.names(for: [intel, realtek, DeviceID(vendor: 0x8086, device: 0x103c)]) == [
        intel: "Intel I210 Gigabit Network Connection", realtek: "Realtek RTL8125 2.5GbE Controller",
      ])
    #expect(
      names.names(for: [DeviceID(vendor: 0x1002, device: 0x1533)]).values.first == "AMD/ATI Wrong vendor")
    #expect(names.names(for: []) == [:])
    #expect(PCINames(root: folder.path + "/none").names(for: [intel]) == [:])
  }

  @Test func `classes have the names of the list's second part`() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "usr/share/misc/pci.ids",
      """
      0c03  Not a class
      \t0200  Not a subclass
      C 01  Mass storage controller
      \t08  Non-Volatile memory controller
      \t\t02  NVM Express
      C 02  Network controller
      \t00  Ethernet controller

      """)
    let names = PCINames(root: folder.path)
    #expect(
      names.classNames(for: [0x010802, 0x010801, 0x020000, 0x0C0330]) == [
        0x010802: "Non-Volatile memory controller (NVM Express)", 0x010801: "Non-Volatile memory controller",
        0x020000: "Ethernet controller",
      ])
    #expect(names.classNames(for: []) == [:])
    #expect(PCINames(root: folder.path + "/none").classNames(for: [0x020000]) == [:])
  }

  @Test func `the machine reports its name and time`() throws {
    #expect(!Machine.hostName.isEmpty)
    #expect(Machine.secondsSince1970 > 1_700_000_000)
  }

  /// Runs this program a second time, which a signal ends. It is not an exit test: the monitor of exit tests waits for
  /// any child, and this program has many.
  @Test func `the first signal is a wish, and the second ends the program`() async throws {
    guard unsafe getenv("BERTH_TEST_SIGNALS") != nil else {
      let result = try await Command(
        programPath(), ["--testing-library", "swift-testing", "--filter", "the first signal is a wish"],
        environment: ["BERTH_TEST_SIGNALS": "1"]
      ).run()
      #expect(result.status == 128 + SIGTERM, "\(result.output)\(result.errors)")
      return
    }
    let signals = InterruptSignals()
    var ends = [pollfd(fd: signals.descriptor ?? -1, events: Int16(POLLIN), revents: 0)]
    guard !signals.isInterrupted, unsafe poll(&ends, 1, 0) == 0 else { exit(1) }
    // The signal is sent to the process, because this thread may block signals.
    kill(getpid(), SIGINT)
    while unsafe poll(&ends, 1, 30_000) < 0 {}
    guard ends[0].revents != 0, signals.isInterrupted else { exit(2) }
    kill(getpid(), SIGTERM)
    while true { pause() }
  }
}
