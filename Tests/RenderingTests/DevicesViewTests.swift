import Model
import Planning
import Rendering
import Testing
import XenProtocol

@Suite struct DevicesViewTests {
  private func function(_ name: String, _ change: (inout PCIFunction) -> Void) throws -> PCIFunction {
    var function = PCIFunction(name: try #require(FunctionName(name)))
    change(&function)
    return function
  }

  /// A host with one device of each kind.
  private func listing(hasXen: Bool = true) throws -> DeviceListing {
    let bridge = try #require(FunctionName("0000:00:1c.0"))
    let functions = [
      try function("0000:00:14.0") { usb in
        (usb.id, usb.deviceClass, usb.driver) = (DeviceID("8086:a36d"), 0x0C0330, "xhci_hcd")
        usb.reset = ResetMethods(isPossible: true, methods: ["pm", "bus"])
        usb.interrupt = Interrupt(line: 16, usesMessages: false)
        (usb.companions, usb.reservedMemory) = ([], [0x7B800...0x7B9FF])
      },
      try function("0000:00:17.0") { disks in
        (disks.id, disks.deviceClass, disks.driver) = (DeviceID("8086:a352"), 0x010601, "ahci")
        disks.interrupt = Interrupt(line: 16, usesMessages: false)
        disks.reset = ResetMethods(isPossible: false, methods: nil)
        disks.driverOverride = "vfio-pci"
        (disks.companions, disks.reservedMemory) = ([], [0x100...0x100, 0x7B800...0x7B9FF])
      },
      try function("0000:00:1c.0") {
        ($0.id, $0.deviceClass, $0.driver) = (DeviceID("8086:a338"), 0x060400, "pcieport")
      },
      try function("0000:03:00.0") { card in
        card.chain = [bridge, card.name]
        (card.id, card.subsystem, card.deviceClass) = (DeviceID("8086:1533"), DeviceID("8086:0001"), 0x020000)
        (card.driver, card.revision, card.slots) = ("pciback", 3, ["PCIE1"])
        card.path = PCIPath("00_1c.0-00_00.0")
        card.serial = "a0-36-9f-ff-ff-12-34-56"
        (card.companions, card.reservedMemory) = ([bridge], [])
      },
      try function("0000:04:00.0") { disk in
        (disk.id, disk.deviceClass, disk.driver) = (DeviceID("144d:a80a"), 0x010802, "nvme")
        disk.nvme = [NVMeController(name: "nvme0", serial: "S4EVNX0R", model: "Samsung SSD 980 PRO")]
        disk.power = PowerState(state: "D0", mayReachD3Cold: true)
        (disk.companions, disk.reservedMemory) = ([bridge], [0x200...0x2FF])
      },
      try function("0000:05:00.0") {
        ($0.id, $0.deviceClass, $0.driver) = (DeviceID("10ec:8125"), 0x020000, "pciback")
      },
      try function("0000:06:00.0") { card in
        (card.id, card.deviceClass, card.driver) = (DeviceID("8086:1521"), 0x020000, "igb")
        card.interfaces = [NetworkInterface(name: "eth0", address: MACAddress("52:54:00:00:00:01"))]
        card.virtualisation.limit = 7
        card.virtualisation.children = [FunctionName("0000:06:10.0")].compactMap(\.self)
      },
      try function("0000:06:10.0") { card in
        (card.id, card.deviceClass) = (DeviceID("8086:1520"), 0x020000)
        card.virtualisation.parent = FunctionName("0000:06:00.0")
        card.unread = [
          .serial: ReadFailure(place: "/sys/bus/pci/devices/0000:06:10.0/config", .silent),
          .companions: ReadFailure(place: "xc_get_device_group", .refused(1)),
        ]
      },
      try function("10000:e1:00.0") { ($0.id, $0.deviceClass, $0.driver) = (DeviceID("144d:a80a"), 0x010802, "nvme") },
    ]
    let facts = Set(FunctionFact.allCases).subtracting([.isolation])
    let inventory = Inventory(functions: functions, facts: facts)
    let rules = InterlockRules(usage: try usage(), inventory: inventory)
    guard hasXen else { return DeviceListing(inventory: inventory, observation: nil, rules: rules) }
    return DeviceListing(inventory: inventory, observation: ObservationIndex(try observation()), rules: rules)
  }

  /// dom0 has its root and a boot partition on a disk, its default route on a card, and one of two keyboards on USB.
  private func usage() throws -> HostUsage {
    func functions(_ name: String) throws -> [FunctionName] { [try #require(FunctionName(name))] }
    var usage = HostUsage()
    usage.purposes = ["/boot/efi": .boot]
    for (number, name) in ["nvme0n1", "nvme0n1p1", "nvme0n1p2"].enumerated() {
      var block = BlockDevice(name: name)
      (block.number, block.functions) = ("259:\(number)", try functions("0000:04:00.0"))
      usage.blocks.append(block)
    }
    var root = BlockDevice(name: "dm-0")
    (root.number, root.title, root.parts, root.isVirtual) = ("253:0", "vg-root", ["nvme0n1p2"], true)
    usage.blocks.append(root)
    usage.mounts = [
      Mount(number: "253:0", type: "ext4", source: "dm-0", point: "/"),
      Mount(number: "259:1", type: "vfat", source: "nvme0n1p1", point: "/boot/efi"),
    ]
    usage.network.interfaces = [
      HostInterface(name: "eth0", kind: .device, functions: try functions("0000:06:00.0")),
      HostInterface(name: "xenbr0", kind: .virtual, lower: ["eth0"]),
    ]
    usage.network.defaultRoutes = [DefaultRoute(family: .ipv4, table: "main", interfaces: ["xenbr0"])]
    usage.attendants.keyboards = [
      Attendant(name: "USB keyboard", functions: try functions("0000:00:14.0")), Attendant(name: "AT keyboard"),
    ]
    return usage
  }

  /// A guest has one device, another device is free, and a third one is reserved.
  private func observation() throws -> Observation {
    let (device, id) = (try Samples.address("0000:05:00.0"), DomainID(2))
    let bus = BackEnd(
      domain: id, state: StateNode(.connected), frontEndState: StateNode(.connected), count: .number(1),
      hasFrontEndPath: true, entries: [BackEndEntry(index: 0, device: device, state: StateNode(.initialised))])
    let domain = ObservedDomain(
      id: id, uuid: try Samples.uuid("2"), name: "sys-net", kind: .pv, lifecycle: .running, backEnd: bus,
      saved: .devices([]))
    let facts = DeviceFacts(driver: "pciback", isOnPCIBack: true)
    return Observation(
      host: Samples.host, domains: [domain],
      devices: [
        ObservedDevice(address: try Samples.address("0000:03:00.0"), facts: facts, assignment: .free),
        ObservedDevice(address: device, facts: facts, claim: id, assignment: .assigned),
      ])
  }

  private let names = FunctionNames(
    device: Samples.naming, deviceClass: { $0 >> 8 == 0x0200 ? "Ethernet controller" : nil })

  @Test func `a host with one of each device`() throws {
    let view = DevicesView(
      hostName: "host17", listing: try listing(), names: names, warnings: ["a record is damaged"])
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "everything/devices.txt")
    try expectRecorded(
      "```\n\(try rendered(view, as: .table, style: TextStyle()))```\n", "devices", in: "docs/devices.md")
    try expectGolden(try rendered(view, as: .wide, style: TextStyle()), "everything/devices.wide.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/devices.json")
  }

  @Test func `the page of documentation has each availability`() throws {
    try expectRecorded(Availability.table, "availability", in: "docs/devices.md")
  }

  @Test func `an explanation says what a device is, what its state means, and what to do`() throws {
    var product = ProductData()
    (product.name, product.partNumber, product.serial) = ("NVMe SSD", "MZVL2", "S4EV")
    let view = DevicesView(
      hostName: "host17", listing: try listing().matching(["0000:04:00.0"]), names: names,
      explanation: DeviceExplanation(product: product))
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "everything/device.explained.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/device.explained.json")
  }

  @Test func `an explanation says what follows from shared reserved memory`() throws {
    for (address, isShared) in [("0000:00:14.0", true), ("0000:04:00.0", false)] {
      let view = DevicesView(
        hostName: "host17", listing: try listing().matching([address]), names: names,
        explanation: DeviceExplanation(product: nil))
      let text = try rendered(view, as: .table, style: TextStyle())
      #expect(text.contains("refuses the device unless its rdmPolicy is relaxed") == isShared, "\(text)")
    }
  }

  @Test func `what dom0 stores its files on is not offered`() throws {
    var usage = HostUsage()
    var disk = BlockDevice(name: "nvme0n1")
    (disk.number, disk.functions) = ("259:0", [FunctionName("0000:04:00.0")].compactMap(\.self))
    usage.blocks = [disk]
    usage.mounts = [Mount(number: "259:0", type: "ext4", source: "nvme0n1", point: "/")]
    let inventory = Inventory(functions: try listing().devices.map(\.function), facts: [])
    let view = DevicesView(
      hostName: "host17",
      listing: DeviceListing(
        inventory: inventory, observation: nil, rules: InterlockRules(usage: usage, inventory: inventory)),
      explanation: DeviceExplanation(product: nil))
    let text = try rendered(view, as: .table, style: TextStyle())
    #expect(text.contains("root-file-system refuses: 0000:04:00.0 → nvme0n1 → /"))
    #expect(text.contains("next: keep the device in dom0"))
    #expect(!text.contains("xl pci-assignable-add 0000:04:00.0"))
  }

  @Test func `without Xen nothing is said of domains`() throws {
    let view = DevicesView(hostName: "host17", listing: try listing(hasXen: false), names: names, showsBridges: true)
    let text = try rendered(view, as: .table, style: TextStyle())
    #expect(text.contains("? 0000:05:00.0"))
    #expect(text.contains("driver pciback"))
    #expect(text.contains("8 devices, domains unknown."))
    #expect(!text.contains("assignable") && !text.contains("in use") && text.contains("0000:00:1c.0"))
    #expect(try rendered(view, as: .json, style: TextStyle()).contains(#""isXenKnown" : false"#))
  }

  @Test func `a listing can be narrowed to addresses`() throws {
    let all = try listing()
    #expect(all.matching(["03:00"]).devices.map(\.function.name.description) == ["0000:03:00.0"])
    #expect(all.matching(["0000:06"]).devices.count == 2)
    #expect(all.matching(["10000:e1"]).devices.count == 1)
    #expect(all.matching(["10000:E1"]).devices.count == 1)
    #expect(all.matching(["07:00"]).devices.isEmpty)
  }
}
