import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// A manifest of what a host has: a plan for it adopts devices, and changes nothing else.
@Suite struct HostImportTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func observe(
    _ domains: [ObservedDomain], held: [PCIAddress: UInt32], records: [OwnershipRecord] = []
  ) -> Observation {
    Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000, domains: domains,
      devices: [one, two].map { Sample.device($0, heldBy: held[$0]) }, records: records)
  }

  private func imported(
    _ observation: Observation, _ inventory: Inventory? = nil, canName: (Name) -> Bool = { !$0.isEmpty }
  ) -> ImportedManifest {
    var observation = observation
    observation.inventory = inventory
    let index = ObservationIndex(observation)
    let candidates = HostImport(hostName: "host", index: index, inventory: inventory, canName: canName)
    return candidates.settled(by: index) { makePlan(desired: $0, index: $1) }
  }

  private func function(_ address: PCIAddress, _ change: (inout PCIFunction) -> Void = { _ in }) -> PCIFunction {
    var function = PCIFunction(name: FunctionName(address))
    function.id = DeviceID("8086:1533")
    function.deviceClass = 0x020000
    change(&function)
    return function
  }

  private func reasons(_ manifest: ImportedManifest) -> [ImportRemark] { manifest.allRemarks.map(\.remark) }

  // MARK: What every import is

  @Test func `after an import, a plan adopts and changes nothing that an empty manifest would not change`() {
    var random = SeededGenerator(seed: 20_261_129)
    var (adopted, leftOut) = (0, 0)
    for _ in 0..<600 {
      let (_, observation) = RandomHost.make(&random)
      let index = ObservationIndex(observation)
      let manifest = imported(observation)
      let plan = makePlan(desired: manifest.desired, index: index)
      let empty = makePlan(desired: DesiredState(policy: Policy(prune: .never)), index: index)
      let known = Set(empty.steps.filter(\.isChange).map(\.id))
      let announced = reasons(manifest).flatMap { remark -> [DeviceStep] in
        switch remark {
        case .ownedChanges(let step): [step]
        case .domainWouldChange(let steps): steps
        default: []
        }
      }
      #expect(plan.refusal == nil)
      for step in plan.steps where step.isChange && step.change != .adopt && !known.contains(step.id) {
        // Only what Berth has already is repaired, and the manifest says so.
        let isOwned = observation.records.contains { $0.uuid == plan.owner(of: step) && !$0.devices.isEmpty }
        #expect(isOwned && announced.contains(step), "\(step)")
        #expect(step.change?.isRemoval != true, "\(step)")
      }
      adopted += plan.count(.adopt)
      leftOut += manifest.domains.flatMap(\.devices).count(where: \.isLeftOut)
    }
    #expect(adopted > 200 && leftOut > 50, "\(adopted) adopted, \(leftOut) left out")
  }

  // MARK: Single cases

  @Test func `a device that Berth owns stays declared, though an apply repairs it`() throws {
    var observation = observe(
      [Sample.domain(1, "web", [one])], held: [one: 1],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "web", devices: [one])])
    observation.devices[0].claim = nil
    let manifest = imported(observation)
    #expect(manifest.desired.domains.map(\.name) == ["web"])
    #expect(manifest.prune == nil)
    guard case .ownedChanges(let step)? = reasons(manifest).first else { throw NoRemark() }
    #expect(step.change == .repair(.writeClaim(replacing: nil)))
  }

  @Test func `a device whose claim is gone is left out, because an apply would write the claim`() throws {
    var observation = observe([Sample.domain(1, "web", [one, two])], held: [one: 1, two: 1])
    observation.devices[0].claim = nil
    let manifest = imported(observation)
    #expect(manifest.desired.domains.flatMap(\.devices).map(\.address) == [two])
    guard case .deviceWouldChange(let step)? = reasons(manifest).first else { throw NoRemark() }
    #expect(step.reason == .drift(.claimMissing))
  }

  @Test func `a line that only the saved configuration has leaves out its whole domain`() throws {
    var domain = Sample.domain(1, "web", [one])
    domain.saved = .devices([one, two].map { SavedDevice(address: $0, options: DeviceOptions()) })
    let manifest = imported(observe([domain], held: [one: 1]))
    #expect(manifest.desired.domains.isEmpty)
    guard case .domainWouldChange(let steps)? = reasons(manifest).first else { throw NoRemark() }
    #expect(steps.map(\.device) == [two])
  }

  @Test func `what Berth owns in a domain that no manifest can name is kept by the policy`() {
    let observation = observe(
      [Sample.domain(1, "${HOST}", [one]), Sample.domain(2, "web", [two])], held: [one: 1, two: 2],
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "${HOST}", devices: [one])])
    let manifest = imported(observation, canName: { $0 != "${HOST}" })
    #expect(manifest.prune == .never)
    #expect(reasons(manifest) == [.keepsUndeclared, .domainName])
    #expect(manifest.desired.domains.map(\.name) == ["web"])
  }

  @Test func `two domains of one name are left out, and so is a device that two buses list`() {
    let twins = observe([Sample.domain(1, "web", [one]), Sample.domain(2, "web", [two])], held: [one: 1, two: 2])
    #expect(imported(twins).desired.domains.isEmpty)
    #expect(reasons(imported(twins)) == [.nameShared, .nameShared])
    let shared = observe([Sample.domain(1, "a", [one]), Sample.domain(2, "b", [one])], held: [one: 1])
    #expect(imported(shared).desired.domains.isEmpty)
    #expect(reasons(imported(shared)) == [.listedTwice("b"), .listedTwice("a")])
  }

  @Test func `options are those that the guest has, and a slot only if a manifest can declare it`() {
    let options = DeviceOptions(permissive: true, powerManagement: true, rdmPolicy: .relaxed, virtualSlot: 5)
    var domain = Sample.domain(1, "web", [one])
    domain.backEnd?.entries = [Sample.entry(one, 0, slot: 0, options: options)]
    domain.saved = .devices([SavedDevice(address: one, options: options)])
    var observation = observe([domain], held: [one: 1])
    observation.devices[0].isPermissive = true
    let device = imported(observation).desired.domains.first?.devices.first
    #expect(device?.options == DeviceOptions(permissive: true, powerManagement: true, rdmPolicy: .relaxed))
    #expect(reasons(imported(observation)) == [.slot(5, .kind)])
    // pciback's own list decides: the entry says what was asked for.
    observation.devices[0].isPermissive = false
    #expect(imported(observation).desired.domains.first?.devices.first?.options.permissive == false)
  }

  // MARK: What identifies a device

  @Test func `a serial number identifies a card if no other function has it, and otherwise the path does`() throws {
    let bridge = try #require(FunctionName("0000:00:1c.0"))
    let inventory = Inventory(
      functions: [
        function(one) {
          ($0.serial, $0.path, $0.chain) = ("a0-36-9f-ff-ff-00-00-01", PCIPath("00_1c.0-00_00.0"), [bridge, $0.name])
        },
        function(two) { ($0.path, $0.chain) = (PCIPath("00_1c.0-00_01.0"), [bridge, $0.name]) },
      ], facts: Set(FunctionFact.allCases))
    let observation = observe([Sample.domain(1, "web", [one, two])], held: [one: 1, two: 1])
    func keys(_ inventory: Inventory) -> [[DeviceSelector.Key]] {
      imported(observation, inventory).domains.flatMap(\.devices).map(\.selector.keys)
    }
    #expect(keys(inventory) == [[.address, .id, .serial], [.address, .id, .path]])
    var twins = inventory
    twins.functions[1].serial = twins.functions[0].serial
    #expect(keys(twins) == [[.address, .id, .path], [.address, .id, .path]])
    // On a root bus the path says no more than the address.
    for index in twins.functions.indices { twins.functions[index].chain = [twins.functions[index].name] }
    #expect(keys(twins) == [[.address, .id], [.address, .id]])
  }

  @Test func `devices are named by class, in order of address`() {
    let inventory = Inventory(
      functions: [function(one), function(two) { $0.deviceClass = 0x0C0330 }], facts: [])
    let observation = observe([Sample.domain(1, "b", [one]), Sample.domain(2, "a", [two])], held: [one: 1, two: 2])
    #expect(imported(observation, inventory).domains.flatMap(\.devices).map(\.label) == ["usb0", "net0"])
    #expect(imported(observation).domains.flatMap(\.devices).map(\.label) == ["device1", "device0"])
  }
}

/// The expected remark is not there.
private struct NoRemark: Error {}

extension Plan {
  /// The domain of a step.
  fileprivate func owner(of step: DeviceStep) -> DomainUUID? {
    domains.first { $0.steps.contains(step) }?.uuid
  }
}
