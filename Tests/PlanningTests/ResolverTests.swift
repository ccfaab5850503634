import Model
import Planning
import Testing

@Suite struct ResolverTests {
  /// A host with two cards of one type, a card that pciback has, an NVMe controller, and a graphics card with sound.
  private func inventory(_ change: (inout [PCIFunction]) throws -> Void = { _ in }) throws -> Inventory {
    func function(_ name: String, _ id: String, _ deviceClass: UInt32, _ change: (inout PCIFunction) -> Void) throws
      -> PCIFunction
    {
      var function = PCIFunction(name: try #require(FunctionName(name)))
      (function.id, function.deviceClass) = (DeviceID(id), deviceClass)
      change(&function)
      return function
    }
    var functions = [
      try function("0000:00:1c.0", "8086:a338", 0x060400) { $0.driver = "pcieport" },
      try function("0000:01:00.0", "10de:2504", 0x030000) { $0.path = PCIPath("00_01.0-00_00.0") },
      try function("0000:01:00.1", "10de:228e", 0x040300) { $0.path = PCIPath("00_01.0-00_00.1") },
      try function("0000:03:00.0", "8086:1533", 0x020000) { card in
        (card.serial, card.slots, card.revision) = ("a0-36-9f-ff-ff-00-00-01", ["PCIE1"], 3)
        card.interfaces = [NetworkInterface(name: "lan0", address: MACAddress("a0:36:9f:00:00:01"))]
      },
      try function("0000:04:00.0", "8086:1533", 0x020000) { card in
        (card.serial, card.slots, card.revision) = ("a0-36-9f-ff-ff-00-00-02", ["PCIE2"], 3)
        card.interfaces = [NetworkInterface(name: "lan1", address: MACAddress("a0:36:9f:00:00:02"))]
      },
      try function("0000:05:00.0", "10ec:8125", 0x020000) { $0.driver = "pciback" },
      try function("0000:06:00.0", "144d:a80a", 0x010802) {
        $0.nvme = [NVMeController(name: "nvme0", serial: "S4EVNX0R", model: nil)]
      },
      try function("10000:e1:00.0", "144d:a80b", 0x010802) { _ in },
    ]
    try change(&functions)
    return Inventory(functions: functions, facts: Set(FunctionFact.allCases))
  }

  private func selector(_ change: (inout DeviceSelector) -> Void) -> DeviceSelector {
    var selector = DeviceSelector()
    change(&selector)
    return selector
  }

  private func resolved(_ selectors: [DeviceSelector], in inventory: Inventory) -> DesiredDomain {
    let selections = selectors.enumerated().map { DeviceSelection(selector: $1, label: "device\($0)") }
    let desired = DesiredState(domains: [DesiredDomain(name: "sys-net", devices: [], selections: selections)])
    return desired.resolved(in: inventory).domains[0]
  }

  private func found(_ selector: DeviceSelector, in inventory: Inventory? = nil) throws -> [String] {
    let domain = resolved([selector], in: try inventory ?? self.inventory())
    #expect(domain.unresolved.isEmpty && domain.selections.isEmpty)
    return domain.devices.map(\.address.description)
  }

  private func problem(_ selector: DeviceSelector, in inventory: Inventory? = nil) throws -> SelectionProblem {
    let domain = resolved([selector], in: try inventory ?? self.inventory())
    #expect(domain.devices.isEmpty)
    return try #require(domain.unresolved.first).problem
  }

  private func name(_ text: String) throws -> FunctionName { try #require(FunctionName(text)) }
  private func address(_ text: String) throws -> PCIAddress { try #require(PCIAddress(text)) }

  // MARK: One device

  @Test func `each unique key finds its device`() throws {
    #expect(try found(selector { $0.serial = "a0-36-9f-ff-ff-00-00-02" }) == ["0000:04:00.0"])
    #expect(try found(selector { $0.mac = MACAddress("a0:36:9f:00:00:01") }) == ["0000:03:00.0"])
    #expect(try found(selector { $0.nvmeSerial = "S4EVNX0R" }) == ["0000:06:00.0"])
    #expect(try found(selector { $0.slot = "PCIE2" }) == ["0000:04:00.0"])
    #expect(try found(selector { $0.path = PCIPath("00_01.0-00_00.1") }) == ["0000:01:00.1"])
    #expect(try found(selector { $0.id = DeviceID("10de:2504") }) == ["0000:01:00.0"])
  }

  @Test func `all keys must hold`() throws {
    let right = selector { ($0.serial, $0.id) = ("a0-36-9f-ff-ff-00-00-02", DeviceID("8086:1533")) }
    #expect(try found(right) == ["0000:04:00.0"])
    let wrong = selector { ($0.serial, $0.id) = ("a0-36-9f-ff-ff-00-00-02", DeviceID("8086:1521")) }
    #expect(try problem(wrong) == .missing)
    let classed = selector { ($0.id, $0.deviceClass) = (DeviceID("10de:2504"), ClassPrefix("0403")) }
    #expect(try problem(classed) == .missing)
  }

  @Test func `a device found by what it is keeps its options, and its id is checked again`() throws {
    let selection = DeviceSelection(
      selector: selector { $0.slot = "PCIE1" }, label: "lan0", options: DeviceOptions(permissive: true),
      isRequired: false)
    let desired = DesiredState(domains: [DesiredDomain(name: "a", devices: [], selections: [selection])])
    #expect(
      desired.resolved(in: try inventory()).domains[0].devices == [
        DesiredDevice(
          address: try address("0000:03:00.0"), id: DeviceID("8086:1533"), serial: "a0-36-9f-ff-ff-00-00-01",
          label: "lan0", options: DeviceOptions(permissive: true), isRequired: false)
      ])
  }

  @Test func `without selections nothing is read and nothing changes`() throws {
    let desired = DesiredState(
      domains: [DesiredDomain(name: "a", devices: [DesiredDevice(address: try address("0000:03:00.0"))])])
    #expect(desired.neededFacts.isEmpty)
    #expect(desired.resolved(in: nil) == desired)
  }

  @Test func `all functions of a slot become single functions`() throws {
    let gpu = selector { ($0.path, $0.takesAllFunctions) = (PCIPath("00_01.0-00_00.0"), true) }
    #expect(try found(gpu) == ["0000:01:00.0", "0000:01:00.1"])
    let byAddress = selector { ($0.address, $0.takesAllFunctions) = (PCIAddress("0000:01:00.1"), true) }
    #expect(try found(byAddress) == ["0000:01:00.0", "0000:01:00.1"])
  }

  // MARK: Not exactly one

  @Test func `two cards of one type are ambiguous, and a key that separates them is named`() throws {
    let both = [try name("0000:03:00.0"), try name("0000:04:00.0")]
    #expect(try problem(selector { $0.id = DeviceID("8086:1533") }) == .ambiguous(both, separatedBy: .serial))
    let equal = try inventory { functions in
      for index in 3...4 { (functions[index].serial, functions[index].interfaces) = (nil, []) }
    }
    let byID = selector { $0.id = DeviceID("8086:1533") }
    #expect(try problem(byID, in: equal) == .ambiguous(both, separatedBy: .slot))
  }

  @Test func `a serial number on two cards identifies neither`() throws {
    let twins = try inventory { functions in
      for index in 3...4 { functions[index].serial = "a0-36-9f-ff-ff-00-00-01" }
    }
    let both = [try name("0000:03:00.0"), try name("0000:04:00.0")]
    let serial = selector { $0.serial = "a0-36-9f-ff-ff-00-00-01" }
    #expect(try problem(serial, in: twins) == .ambiguous(both, separatedBy: .mac))
  }

  @Test func `what cannot be read is unknown, not absent`() throws {
    let failure = ReadFailure(place: "config", .silent)
    let silent = try inventory { functions in
      (functions[4].serial, functions[4].unread) = (nil, [.serial: failure])
    }
    let card = selector { $0.serial = "a0-36-9f-ff-ff-00-00-02" }
    #expect(try problem(card, in: silent) == .unproven([name("0000:04:00.0")], .serial))
    // Another key says that it is not this one.
    let other = selector { ($0.serial, $0.id) = ("a0-36-9f-ff-ff-00-00-09", DeviceID("10ec:8125")) }
    #expect(try problem(other, in: silent) == .missing)
    // A unique key that holds proves the device, whatever is not known of others.
    #expect(try found(selector { $0.serial = "a0-36-9f-ff-ff-00-00-01" }, in: silent) == ["0000:03:00.0"])
  }

  @Test func `a type is not proven while another device may be of it`() throws {
    let failure = ReadFailure(place: "modalias", .malformed)
    let open = try inventory { functions in
      (functions[5].id, functions[5].deviceClass, functions[5].unread) = (nil, nil, [.ids: failure])
    }
    let gpu = selector { $0.id = DeviceID("10de:2504") }
    #expect(
      try problem(gpu, in: open) == .unproven([name("0000:01:00.0"), name("0000:05:00.0")], .id))
  }

  @Test func `without any function nothing is proven`() throws {
    let card = selector { $0.serial = "a0-36-9f-ff-ff-00-00-01" }
    #expect(try problem(card, in: Inventory(functions: [], facts: [])) == .unproven([], .serial))
  }

  /// A card with two ports, whose functions have one serial number, behind a bridge of its own.
  private func ports(secondIsSilent: Bool = false) throws -> Inventory {
    try inventory { functions in
      for number in 0..<2 {
        var port = PCIFunction(name: try name("0000:08:00.\(number)"))
        (port.id, port.deviceClass, port.slots) = (DeviceID("8086:1521"), 0x020000, ["PCIE3"])
        if number == 1, secondIsSilent {
          port.unread[.serial] = ReadFailure(place: "config", .silent)
        } else {
          port.serial = "b0-36-9f-ff-ff-00-00-01"
        }
        functions.insert(port, at: functions.count - 1)
      }
    }
  }

  @Test func `the functions of a card may share its serial number and its slot`() throws {
    let serial = selector { $0.serial = "b0-36-9f-ff-ff-00-00-01" }
    let both = [try name("0000:08:00.0"), try name("0000:08:00.1")]
    #expect(try problem(serial, in: ports()) == .ambiguous(both, separatedBy: .address))
    #expect(try problem(serial, in: ports(secondIsSilent: true)) == .unproven(both, .serial))
    let whole = selector { ($0.slot, $0.takesAllFunctions) = ("PCIE3", true) }
    #expect(try found(whole, in: ports()) == ["0000:08:00.0", "0000:08:00.1"])
    let silent = selector { ($0.serial, $0.takesAllFunctions) = ("b0-36-9f-ff-ff-00-00-01", true) }
    #expect(try found(silent, in: ports(secondIsSilent: true)) == ["0000:08:00.0", "0000:08:00.1"])
  }

  @Test func `a card with several functions is followed to the function with the same number`() throws {
    func port(_ address: String, follows: Bool) -> DeviceSelector {
      selector { selector in
        (selector.address, selector.serial) = (PCIAddress(address), "b0-36-9f-ff-ff-00-00-01")
        selector.follows = follows
      }
    }
    #expect(try found(port("0000:07:00.1", follows: true), in: ports()) == ["0000:08:00.1"])
    #expect(
      try problem(port("0000:07:00.0", follows: false), in: ports())
        == .moved(from: address("0000:07:00.0"), to: name("0000:08:00.0"), by: .serial))
    let both = [try name("0000:08:00.0"), try name("0000:08:00.1")]
    #expect(try problem(port("0000:07:00.2", follows: true), in: ports()) == .ambiguous(both, separatedBy: .address))
  }

  @Test func `each function keeps its own id`() throws {
    let gpu = selector { selector in
      (selector.address, selector.id) = (PCIAddress("0000:01:00.0"), DeviceID("10de:2504"))
      selector.takesAllFunctions = true
    }
    let devices = resolved([gpu], in: try inventory()).devices
    #expect(devices.map(\.id) == [DeviceID("10de:2504"), DeviceID("10de:228e")])
  }

  @Test func `pciback hides a hardware address, so the card may be the one`() throws {
    let hidden = selector { $0.mac = MACAddress("00:e0:4c:68:00:01") }
    #expect(try problem(hidden) == .unproven([name("0000:05:00.0")], .mac))
    let noNetwork = try inventory { $0.remove(at: 5) }
    #expect(try problem(hidden, in: noNetwork) == .missing)
    let disk = selector { $0.nvmeSerial = "S4EVNX0X" }
    #expect(try problem(disk) == .unproven([name("10000:e1:00.0")], .nvmeSerial))
  }

  @Test func `bridges, and what Xen has no address for, are named`() throws {
    #expect(try problem(selector { $0.id = DeviceID("8086:a338") }) == .bridge(name("0000:00:1c.0")))
    #expect(try problem(selector { $0.id = DeviceID("144d:a80b") }) == .segmentTooLarge(name("10000:e1:00.0")))
  }

  // MARK: An expected address

  private func card(at address: String, follows: Bool = false) -> DeviceSelector {
    selector { selector in
      (selector.address, selector.serial) = (PCIAddress(address), "a0-36-9f-ff-ff-00-00-02")
      selector.follows = follows
    }
  }

  @Test func `a card at its expected address is found`() throws {
    #expect(try found(card(at: "0000:04:00.0")) == ["0000:04:00.0"])
  }

  @Test(arguments: ["0000:07:00.0", "0000:03:00.0"])
  func `a card that moved is named, and followed only if the manifest says so`(expected: String) throws {
    #expect(
      try problem(card(at: expected)) == .moved(from: address(expected), to: name("0000:04:00.0"), by: .serial))
    #expect(try found(card(at: expected, follows: true)) == ["0000:04:00.0"])
  }

  @Test func `a card that moved is found by what goes with it, not by its old place`() throws {
    var selector = card(at: "0000:07:00.0", follows: true)
    selector.slot = "PCIE9"
    #expect(try found(selector) == ["0000:04:00.0"])
  }

  @Test func `another card at the address is a difference, and an empty place is missing`() throws {
    var other = card(at: "0000:03:00.0")
    other.serial = "a0-36-9f-ff-ff-00-00-09"
    #expect(try problem(other) == .differs(address("0000:03:00.0"), .serial))
    other.address = PCIAddress("0000:07:00.0")
    #expect(try problem(other) == .missing)
    // A type is not followed: it may be another card.
    let typed = selector { selector in
      (selector.address, selector.id, selector.revision) = (PCIAddress("0000:07:00.0"), DeviceID("10de:2504"), 3)
    }
    #expect(try problem(typed) == .missing)
  }

  @Test func `a card at its address whose serial cannot be read is not proven`() throws {
    let silent = try inventory { functions in
      (functions[4].serial, functions[4].unread) = (nil, [.serial: ReadFailure(place: "config", .silent)])
    }
    #expect(try problem(card(at: "0000:04:00.0"), in: silent) == .unproven([name("0000:04:00.0")], .serial))
  }

  @Test func `a card is not missing while another device may be it`() throws {
    func silent(_ index: Int) throws -> Inventory {
      try inventory { functions in
        (functions[index].serial, functions[index].unread) = (nil, [.serial: ReadFailure(place: "config", .silent)])
      }
    }
    // The expected place is empty, or has another card.
    #expect(
      try problem(card(at: "0000:07:00.0", follows: true), in: silent(4)) == .unproven([name("0000:04:00.0")], .serial))
    #expect(
      try problem(card(at: "0000:03:00.0"), in: silent(4))
        == .unproven([name("0000:04:00.0"), name("0000:03:00.0")], .serial))
    // The device at the expected place does not answer, and the card is elsewhere.
    #expect(
      try problem(card(at: "0000:03:00.0"), in: silent(3))
        == .moved(from: address("0000:03:00.0"), to: name("0000:04:00.0"), by: .serial))
  }

  @Test func `a card at its address with another slot differs, and is not elsewhere`() throws {
    var stale = card(at: "0000:04:00.0", follows: true)
    stale.slot = "PCIE9"
    #expect(try problem(stale) == .differs(address("0000:04:00.0"), .slot))
  }

  // MARK: Two entries for one device

  @Test func `two entries that mean one device are both left open`() throws {
    let domain = resolved(
      [selector { $0.slot = "PCIE1" }, selector { $0.serial = "a0-36-9f-ff-ff-00-00-01" }], in: try inventory())
    #expect(domain.devices.isEmpty)
    let place = try address("0000:03:00.0")
    #expect(
      domain.unresolved.map(\.problem) == [
        .contested(place, with: ["device1"]), .contested(place, with: ["device0"]),
      ])
  }

  @Test func `a card is left open as a whole if one of its functions is contested`() throws {
    let desired = DesiredState(domains: [
      DesiredDomain(name: "a", devices: [DesiredDevice(address: try address("0000:01:00.1"))]),
      DesiredDomain(
        name: "b", devices: [],
        selections: [
          DeviceSelection(
            selector: selector { ($0.path, $0.takesAllFunctions) = (PCIPath("00_01.0-00_00.0"), true) }, label: "gpu")
        ]),
    ])
    let resolved = desired.resolved(in: try inventory())
    #expect(resolved.domains.flatMap(\.devices).isEmpty)
    #expect(resolved.domains[1].unresolved.map(\.selection.label) == ["gpu"])
    // No function of the card is taken from a domain meanwhile.
    #expect(resolved.domains[1].unresolved[0].candidates.contains(try address("0000:01:00.0")))
    let alone = try #require(desired.domains.last)
    let card = DesiredState(domains: [alone]).resolved(in: try inventory()).domains[0].devices
    #expect(card.map(\.card) == card.map { _ in PCIAddress("0000:01:00.0") } && card.count == 2)
  }

  @Test func `a plain address is contested, too`() throws {
    let place = try address("0000:03:00.0")
    let desired = DesiredState(domains: [
      DesiredDomain(name: "a", devices: [DesiredDevice(address: place)]),
      DesiredDomain(
        name: "b", devices: [],
        selections: [DeviceSelection(selector: selector { $0.slot = "PCIE1" }, label: "lan0")]),
    ])
    let resolved = desired.resolved(in: try inventory())
    #expect(resolved.domains.flatMap(\.devices).isEmpty)
    #expect(resolved.domains[0].unresolved.map(\.problem) == [.contested(place, with: ["lan0"])])
    #expect(resolved.domains[1].unresolved.map(\.problem) == [.contested(place, with: ["0000:03:00.0"])])
  }
}
