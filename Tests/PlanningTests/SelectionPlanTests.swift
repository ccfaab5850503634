import Model
import Planning
import TestSupport
import Testing

/// Plans of manifests that say what a device is, and not where.
@Suite struct SelectionPlanTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func function(_ address: PCIAddress, serial: String?, isSilent: Bool = false) -> PCIFunction {
    var function = PCIFunction(name: FunctionName(address))
    (function.id, function.deviceClass, function.driver) = (DeviceID("8086:1533"), 0x020000, "pciback")
    function.serial = serial
    if isSilent { function.unread[.serial] = ReadFailure(place: "config", .silent) }
    return function
  }

  private func selection(_ change: (inout DeviceSelector) -> Void, isRequired: Bool = true) -> DeviceSelection {
    var selector = DeviceSelector()
    change(&selector)
    return DeviceSelection(selector: selector, label: "lan0", isRequired: isRequired)
  }

  /// Plans for a host with two cards of one type. Domain 1 has `attached`, as Berth's.
  private func plan(
    _ selection: DeviceSelection, attached: [PCIAddress] = [], prune: Policy.Prune = .owned,
    functions: [PCIFunction]? = nil
  ) -> Plan {
    let desired = DesiredState(
      policy: Policy(prune: prune), domains: [DesiredDomain(name: "net", devices: [], selections: [selection])])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", attached)],
      devices: [one, two].map { Sample.device($0, heldBy: attached.contains($0) ? 1 : nil) },
      records: attached.isEmpty
        ? [] : [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: attached)])
    let cards = [function(one, serial: "a0-36-9f-ff-ff-00-00-01"), function(two, serial: "a0-36-9f-ff-ff-00-00-02")]
    observation.inventory = Inventory(functions: functions ?? cards, facts: Set(FunctionFact.allCases))
    return makePlan(desired: desired, observation: observation)
  }

  @Test func `a device that is found is planned as if its address was declared`() throws {
    let found = plan(selection { $0.serial = "a0-36-9f-ff-ff-00-00-02" })
    let step = try #require(found.steps.first)
    #expect((step.device, step.label, step.action) == (two, "lan0", .attach))
    #expect(found.domains[0].unresolved.isEmpty && found.verdict == .applicable(leavesBlocked: false))
    let same = plan(selection { $0.serial = "a0-36-9f-ff-ff-00-00-02" }, attached: [two])
    #expect(same.verdict == .nothingToDo)
  }

  @Test func `a device that is not found blocks, and nothing else is done for it`() throws {
    let open = plan(selection { $0.id = DeviceID("8086:1533") })
    let step = try #require(open.domains.first?.unresolved.first)
    #expect(step.obstacle.rawValue == "selector-ambiguous")
    #expect(step.candidates == [one, two])
    #expect(step.evidence == "\(one) and \(two) have id 8086:1533")
    #expect(
      step.remedy
        == "add one key to the manifest: serial: \"a0-36-9f-ff-ff-00-00-01\" (\(one)), or "
        + "serial: \"a0-36-9f-ff-ff-00-00-02\" (\(two))")
    #expect(open.steps.isEmpty && open.isBlocked && open.count(.blocked) == 1)
    #expect(exitStatus(of: open, isDetailed: false, requiresRunning: false) == .blocked)
  }

  @Test func `a missing device that is optional does not block`() throws {
    let absent = plan(selection({ $0.serial = "a0-36-9f-ff-ff-00-00-09" }, isRequired: false))
    #expect(absent.domains.first?.unresolved.first?.obstacle == .deviceMissing)
    #expect(!absent.isBlocked && exitStatus(of: absent, isDetailed: false, requiresRunning: false) == .done)
    let ambiguous = plan(selection({ $0.id = DeviceID("8086:1533") }, isRequired: false))
    #expect(ambiguous.isBlocked, "what is optional is only whether the device is there")
  }

  @Test(arguments: [Policy.Prune.owned, .all])
  func `a device that may be the declared one stays`(_ prune: Policy.Prune) throws {
    // The domain has the device already. Since a second card is there, the manifest fits both.
    let ambiguous = plan(selection { $0.id = DeviceID("8086:1533") }, attached: [one], prune: prune)
    #expect(ambiguous.steps.map(\.kind) == [.blocked(.selectorAmbiguous)])
    #expect(ambiguous.steps[0].evidence == "it may be the declared device lan0, and stays until that is settled")
    // Its serial number cannot be read now.
    let silent = plan(
      selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }, attached: [one], prune: prune,
      functions: [function(one, serial: nil, isSilent: true), function(two, serial: "a0-36-9f-ff-ff-00-00-02")])
    #expect(silent.steps.map(\.kind) == [.blocked(.selectorUnproven)])
    #expect(silent.domains[0].unresolved[0].obstacle.rawValue == "selector-unproven")
    #expect(!silent.hasChanges && !ambiguous.hasChanges)
  }

  @Test func `a device that is certainly another one is no longer declared`() {
    let other = plan(selection { $0.serial = "a0-36-9f-ff-ff-00-00-02" }, attached: [one])
    #expect(other.steps.map(\.action) == [.detach, .attach])
  }

  @Test func `a card that moved keeps both places as they are`() throws {
    let moved = plan(
      selection { ($0.address, $0.serial) = (one, "a0-36-9f-ff-ff-00-00-02") }, attached: [one])
    let step = try #require(moved.domains.first?.unresolved.first)
    #expect(step.obstacle.rawValue == "device-moved")
    #expect(step.evidence == "the device with serial a0-36-9f-ff-ff-00-00-02 is at \(two), not at \(one)")
    #expect(moved.steps.map(\.kind) == [.blocked(.deviceMoved)] && !moved.hasChanges)
  }

  @Test func `what a selection may mean is not moved to another domain either`() {
    let desired = DesiredState(domains: [
      DesiredDomain(name: "net", devices: [], selections: [selection { $0.id = DeviceID("8086:1533") }]),
      DesiredDomain(name: "web", devices: [DesiredDevice(address: one)]),
    ])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one]), Sample.domain(2, "web")],
      devices: [Sample.device(one, heldBy: 1), Sample.device(two)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    observation.inventory = Inventory(
      functions: [function(one, serial: nil), function(two, serial: nil)], facts: Set(FunctionFact.allCases))
    let plan = makePlan(desired: desired, observation: observation)
    #expect(!plan.hasChanges && plan.isBlocked)
  }

  @Test func `two entries for one device change nothing`() throws {
    let desired = DesiredState(domains: [
      DesiredDomain(
        name: "net", devices: [], selections: [selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }]),
      DesiredDomain(name: "web", devices: [DesiredDevice(address: one)]),
    ])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one]), Sample.domain(2, "web")],
      devices: [Sample.device(one, heldBy: 1)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    observation.inventory = Inventory(
      functions: [function(one, serial: "a0-36-9f-ff-ff-00-00-01")], facts: Set(FunctionFact.allCases))
    let plan = makePlan(desired: desired, observation: observation)
    #expect(!plan.hasChanges)
    let open = plan.domains.flatMap(\.unresolved)
    #expect(open.map(\.obstacle.rawValue) == ["device-contested", "device-contested"])
    #expect(open.map(\.evidence) == ["\(one) also means \(one)", "lan0 also means \(one)"])
  }

  @Test func `a declared card that was pulled is not taken from its domain as undeclared`() throws {
    let pulled = plan(
      selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }, attached: [one],
      functions: [function(two, serial: "a0-36-9f-ff-ff-00-00-02")])
    #expect(pulled.steps.map(\.kind) == [.blocked(.deviceMissing)] && !pulled.hasChanges)
    #expect(pulled.domains[0].unresolved.map(\.obstacle) == [.deviceMissing])
    #expect(!pulled.bookkeeping.contains(.forget(Sample.uuid(1), one)))
  }

  @Test func `a pulled card stays while another device may be the declared one`() throws {
    // Another card hides its hardware address.
    let hidden = plan(
      selection { $0.mac = MACAddress("a0:36:9f:00:00:01") }, attached: [one], functions: [function(two, serial: nil)])
    #expect(hidden.steps.map(\.kind) == [.blocked(.selectorUnproven)] && !hidden.hasChanges)
    // Two spare cards are of its type.
    let spares = plan(
      selection { $0.id = DeviceID("8086:1533") }, attached: [one],
      functions: [function(two, serial: nil), function(Sample.address(3), serial: nil)])
    #expect(spares.steps.map(\.kind) == [.blocked(.selectorAmbiguous)] && !spares.hasChanges)
  }

  @Test(arguments: ["web", "absent"])
  func `a pulled card stays in the domain that has it, for whichever domain it is declared`(_ owner: Name) {
    let desired = DesiredState(
      policy: Policy(maxRemovals: 10),
      domains: [
        DesiredDomain(name: "net", devices: []),
        DesiredDomain(
          name: owner, devices: [], selections: [selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }]),
      ])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one]), Sample.domain(2, "web")],
      devices: [Sample.device(one, heldBy: 1)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    observation.inventory = Inventory(functions: [function(two, serial: nil)], facts: Set(FunctionFact.allCases))
    let plan = makePlan(desired: desired, observation: observation)
    #expect(!plan.hasChanges && plan.refusal == nil)
  }

  @Test func `a renamed domain is recognised by what its selections may mean`() {
    for functions in [[function(two, serial: nil)], [function(one, serial: nil, isSilent: true)]] {
      let desired = DesiredState(
        policy: Policy(maxRemovals: 10),
        domains: [
          DesiredDomain(name: "net", devices: [], selections: [selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }])
        ])
      var observation = Observation(
        host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
        domains: [Sample.domain(1, "netvm", [one])], devices: [Sample.device(one, heldBy: 1)],
        records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
      observation.inventory = Inventory(functions: functions, facts: Set(FunctionFact.allCases))
      let plan = makePlan(desired: desired, observation: observation)
      #expect(!plan.hasChanges && plan.domains.flatMap(\.steps).map(\.kind) == [.blocked(.domainRenamed)])
    }
  }

  @Test func `all functions of a slot stay while one of them is open`() {
    let (first, second) = (PCIAddress(sbdf: 0x308), PCIAddress(sbdf: 0x309))
    let whole = selection { selector in
      (selector.address, selector.serial) = (first, "a0-36-9f-ff-ff-00-00-01")
      selector.takesAllFunctions = true
    }
    let desired = DesiredState(domains: [DesiredDomain(name: "net", devices: [], selections: [whole])])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [first, second])],
      devices: [first, second].map { Sample.device($0, heldBy: 1) },
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [first, second])])
    var bridge = function(first, serial: "a0-36-9f-ff-ff-00-00-01")
    bridge.deviceClass = 0x060100
    for functions in [
      [function(first, serial: nil, isSilent: true), function(second, serial: "other")],
      [bridge, function(second, serial: nil)],
    ] {
      observation.inventory = Inventory(functions: functions, facts: Set(FunctionFact.allCases))
      let plan = makePlan(desired: desired, observation: observation)
      #expect(!plan.hasChanges && plan.count(.blocked) == 3, "\(plan.steps)")
    }
  }

  @Test func `what stays is no loss of a domain that no manifest names`() {
    let desired = DesiredState(
      domains: [
        DesiredDomain(name: "other", devices: [], selections: [selection { $0.id = DeviceID("8086:1533") }])
      ], completeness: .assumed)
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one])], devices: [Sample.device(one, heldBy: 1)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    observation.inventory = Inventory(
      functions: [function(one, serial: nil), function(two, serial: nil)], facts: Set(FunctionFact.allCases))
    let plan = makePlan(desired: desired, observation: observation)
    #expect(plan.refusal == nil && !plan.hasChanges && plan.unreadyCount == 1)
  }

  @Test func `a status shows what was not found, and what may be meant`() throws {
    let desired = DesiredState(domains: [
      DesiredDomain(name: "net", devices: [], selections: [selection { $0.id = DeviceID("8086:1533") }])
    ])
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", [one])], devices: [Sample.device(one, heldBy: 1)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    observation.inventory = Inventory(
      functions: [function(one, serial: nil), function(two, serial: nil)], facts: Set(FunctionFact.allCases))
    let index = ObservationIndex(observation)
    let status = HostStatus(index: index, desired: desired, plan: makePlan(desired: desired, index: index))
    let domain = try #require(status.domains.first)
    #expect(domain.unresolved.map(\.label) == ["lan0"])
    #expect(domain.devices.map(\.perhaps) == ["lan0"])
  }

  @Test func `without an inventory nothing is proven, and nothing is taken away`() {
    let desired = DesiredState(domains: [
      DesiredDomain(name: "net", devices: [], selections: [selection { $0.serial = "a0-36-9f-ff-ff-00-00-01" }])
    ])
    let observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), domains: [Sample.domain(1, "net", [one])],
      devices: [Sample.device(one, heldBy: 1)],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    let plan = makePlan(desired: desired, observation: observation)
    #expect(!plan.hasChanges && plan.isBlocked)
  }
}

/// Cards of which all functions are declared.
@Suite struct CardPlanTests {
  private let first = PCIAddress(sbdf: 0x308)
  private let second = PCIAddress(sbdf: 0x309)

  /// Plans a whole card for `net`, of which `other` has the second function and another tool's attach keeps it.
  @Test func `a card of which another toolstack has a function is blocked as a whole`() {
    var desired = Sample.desired(["net": [first, second]])
    for index in desired.domains[0].devices.indices { desired.domains[0].devices[index].card = first }
    let observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      domains: [Sample.domain(1, "net", []), Sample.domain(2, "other", [second])],
      devices: [Sample.device(first), Sample.device(second, heldBy: 2)])
    let plan = makePlan(desired: desired, observation: observation)
    let own = plan.domains.filter { $0.name == "net" }.flatMap(\.steps)
    #expect(own.map(\.kind.name) == ["card-blocked", "attached-elsewhere"])
    #expect(own.first?.evidence?.contains("\(second) is blocked: attached-elsewhere: other") == true, "\(own)")
    #expect(plan.isBlocked && !plan.hasChanges)
  }
}
