import Model
import Planning
import TestSupport
import Testing
import XenProtocol

/// Each way in which stores can disagree, made by hand: its name, and the plan's reaction.
@Suite struct DriftMatrixTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  /// Returns a host on which `net` has `one`, declared and owned, after `change` has damaged it.
  private func host(
    _ change: (inout ObservedDomain, inout ObservedDevice, inout Observation) -> Void = { _, _, _ in }
  ) -> Observation {
    var domain = Sample.domain(1, "net", [one])
    var device = Sample.device(one, heldBy: 1)
    var observation = Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), takenAt: 1000,
      records: [OwnershipRecord(uuid: Sample.uuid(1), name: "net", devices: [one])])
    change(&domain, &device, &observation)
    observation.domains.insert(domain, at: 0)
    observation.devices.insert(device, at: 0)
    return observation
  }

  private func matrix(_ observation: Observation, _ desired: DesiredState?) -> DriftMatrix {
    let plan = makePlan(desired: desired ?? DesiredState(policy: Policy(prune: .never)), observation: observation)
    return makeDriftMatrix(desired: desired, observation: observation, plan: plan)
  }

  /// Returns the names of everything that is wrong, with the plan's reaction. `net` is declared to have `one`.
  private func names(
    declaring devices: [PCIAddress]? = nil,
    _ change: (inout ObservedDomain, inout ObservedDevice, inout Observation) -> Void
  ) -> Set<String> {
    let matrix = matrix(host(change), Sample.desired(["net": devices ?? [one]]))
    return Set(matrix.findings.map { "\($0.name.rawValue) \(words($0.outcome))" })
  }

  private func words(_ outcome: DriftOutcome) -> String {
    switch outcome {
    case .planned(let action): action.rawValue
    case .removed: "removed"
    case .atWork: "at work"
    case .left(let reason): "left: \(reason.name)"
    }
  }

  @Test func `a host in order has a row that shows this in every column`() throws {
    let matrix = matrix(host(), Sample.desired(["net": [one]]))
    #expect(matrix.findings.isEmpty)
    let row = try #require(matrix.rows.first)
    #expect(matrix.rows.count == 1)
    let net = Holder(id: DomainID(1), name: "net")
    #expect(row.manifest == "net" && row.records == ["net"] && row.saved == [net] && row.claim == net)
    #expect(row.entries.map(\.holder) == [net])
    #expect(row.entries.first?.state == StateNode(.initialised))
    #expect(row.assignment == .assigned && row.isOnPCIBack == true && row.driver == "pciback")
  }

  @Test func `without a manifest its column is absent, and Berth's own devices are no drift`() {
    let matrix = matrix(host(), nil)
    #expect(!matrix.hasManifest && matrix.findings.isEmpty)
    #expect(matrix.rows.map(\.manifest) == [nil])
  }

  @Test func `stores that lack a device or have it alone`() {
    #expect(names { domain, _, _ in domain.saved = .devices([]) } == ["store-only repair"])
    #expect(names { _, device, _ in device.claim = nil } == ["claim-missing repair"])
    #expect(
      names { domain, device, observation in
        domain.backEnd = nil
        (device.claim, device.assignment) = (nil, .free)
      } == ["config-only attach"])
    #expect(
      names(declaring: []) { domain, device, observation in
        domain.backEnd = nil
        (device.claim, device.assignment) = (nil, .free)
      } == ["config-only repair"])
    #expect(names { domain, _, _ in domain.backEnd = nil } == ["overwritten attach"])
    #expect(
      names(declaring: []) { domain, _, observation in
        domain.backEnd = nil
        observation.records = []
      } == ["overwritten left: overwritten"])
    #expect(
      names(declaring: []) { domain, device, observation in
        (domain.backEnd, domain.saved) = (nil, .devices([]))
        (device.assignment, observation.records) = (.free, [])
      } == ["claim-only left: not-owned"])
    #expect(
      names(declaring: []) { domain, device, _ in
        (domain.backEnd, domain.saved) = (nil, .devices([]))
        (device.claim, device.assignment) = (nil, .free)
      } == ["record-only removed"])
    #expect(
      names(declaring: []) { domain, device, observation in
        (domain.backEnd, domain.saved) = (nil, .devices([]))
        (device.claim, observation.records) = (nil, [])
      } == ["assignment-only left: assignment-only"])
    #expect(
      names(declaring: []) { domain, device, observation in
        (domain.backEnd, domain.saved) = (nil, .devices([]))
        (device.claim, device.assignment, observation.records) = (DomainID(9), .free, [])
      } == ["stale-claim removed"])
  }

  @Test func `claims of others`() {
    #expect(names { _, device, _ in device.claim = DomainID(9) } == ["claim-foreign repair"])
    #expect(
      names { _, device, observation in
        observation.domains.append(Sample.domain(2, "other", [one]))
        device.claim = DomainID(2)
      }.isSuperset(of: ["attached-twice left: attached-twice", "claim-foreign left: claim-foreign"]))
  }

  @Test func `a foreign claim by a domain without the device is reported once`() {
    #expect(
      names { _, device, observation in
        observation.domains.append(Sample.domain(2, "other", []))
        device.claim = DomainID(2)
      } == ["claim-foreign repair"])
  }

  @Test func `entries whose content is wrong`() {
    #expect(
      names { domain, _, _ in domain.backEnd = Sample.bus(domain.id, [one], states: [.initialising]) }
        == ["export-pending attach"])
    #expect(
      names { domain, device, _ in
        domain.backEnd = Sample.bus(domain.id, [one], states: [.initialising])
        device.facts?.isOnPCIBack = false
      } == ["not-on-pciback left: not-on-pciback"])
    #expect(
      names { _, device, _ in device.facts?.isOnPCIBack = false } == ["not-on-pciback left: not-on-pciback"])
    #expect(
      names { domain, _, _ in domain.backEnd = Sample.bus(domain.id, [one], states: [.closing]) }
        == ["half-removed attach"])
    #expect(names { _, device, _ in device.assignment = .free } == ["revoked-but-listed reattach"])
    #expect(
      names { domain, _, _ in domain.backEnd = Sample.bus(domain.id, [one, one]) }
        == [
          "duplicate-entry left: corrupt-back-end", "corrupt-back-end left: corrupt-back-end",
        ])
  }

  private static let card = DeviceIdentity(id: DeviceID(vendor: 0x8086, device: 0x1533))
  private static let grants = DeviceGrants(
    resources: [DeviceResource(space: .memory, range: 0xA100_0000...0xA101_FFFF)], interrupt: 17)

  private func grant(_ grants: DeviceGrants? = grants, in domain: UInt32 = 1) -> GrantRecord {
    GrantRecord(device: one, domain: DomainID(domain), identity: grants.map { _ in Self.card }, grants: grants)
  }

  @Test func `rights to a card that was pulled or replaced are drift while its domain lives`() {
    #expect(names { _, _, observation in observation.records[0].grants = [grant()] }.isEmpty)
    // Listed, and pulled or replaced.
    #expect(
      names { _, device, observation in
        observation.records[0].grants = [grant()]
        device.facts = nil
      } == ["not-on-pciback left: not-on-pciback", "rights-left left: not-on-pciback"])
    #expect(
      names(declaring: []) { _, device, observation in
        observation.records[0].grants = [grant()]
        device.facts?.id = DeviceID(vendor: 0x144D, device: 0xA80A)
      } == ["rights-left detach"])
    // Detached by a toolstack that found nothing to revoke.
    func detached(_ domain: inout ObservedDomain, _ device: inout ObservedDevice) {
      (domain.backEnd, domain.saved) = (nil, .devices([]))
      (device.claim, device.assignment, device.facts) = (nil, .unknown, nil)
    }
    #expect(
      names(declaring: []) { domain, device, observation in
        detached(&domain, &device)
        observation.records[0].grants = [grant()]
      } == ["rights-left detach"])
    #expect(
      names(declaring: []) { domain, device, observation in
        detached(&domain, &device)
        observation.records[0] = OwnershipRecord(
          uuid: domain.uuid, name: "net", devices: [], grants: [grant(nil)])
      } == ["rights-left left: rights-left"])
    // A domain that has started again has another number, and none of the old rights.
    #expect(
      names(declaring: []) { domain, device, observation in
        detached(&domain, &device)
        observation.records[0].grants = [grant(in: 99)]
      } == ["record-only removed"])
  }

  @Test func `a device in its place that another toolstack detached has no rights left`() {
    #expect(
      names(declaring: []) { domain, device, observation in
        (domain.backEnd, domain.saved) = (nil, .devices([]))
        (device.claim, device.assignment) = (nil, .free)
        observation.records[0].grants = [grant()]
      } == ["record-only removed"])
  }

  @Test func `no command is offered that takes a device from the host`() throws {
    func remedies(_ facts: DeviceFacts?) -> [String?] {
      matrix(host { _, device, _ in device.facts = facts }, Sample.desired(["net": [one]])).findings.map(\.remedy)
    }
    #expect(remedies(DeviceFacts(driver: nil)) == [nil])
    for driver in ["ahci", "nvme", "igb"] {
      let remedy = try #require(remedies(DeviceFacts(driver: driver)).first ?? nil)
      #expect(remedy.hasPrefix("\(driver) drives it now") && !remedy.contains("xl "))
    }
    #expect(try #require(remedies(nil).first ?? nil) == "check that the device is powered, or detach it from net")
  }

  @Test func `entries that name another device than the guest has`() {
    #expect(
      names(declaring: [one, two]) { domain, _, observation in
        domain.backEnd = Sample.bus(domain.id, [one, two])
        domain.backEnd?.entries[1].virtualAddress = PCIAddress(segment: 0, bus: 0, device: 0, function: 0)
        domain.saved = .devices([one, two].map { SavedDevice(address: $0, options: DeviceOptions()) })
        observation.devices.append(Sample.device(two, heldBy: 1))
      } == ["shared-guest-address left: shared-guest-address"])
    #expect(
      names { domain, _, observation in
        domain.saved = .devices([one, two].map { SavedDevice(address: $0, options: DeviceOptions()) })
        observation.devices.append(Sample.device(two, heldBy: 1))
        observation.records[0].exports = [ExportRecord(device: two, domain: domain.id, slot: 0)]
      } == ["mislabelled left: mislabelled", "overwritten left: overwritten"])
  }

  @Test func `an entry beyond the count is added again if it is claimed, and blocks otherwise`() {
    func cutOff(_ domain: inout ObservedDomain) {
      domain.backEnd = Sample.bus(domain.id, [one, two])
      let orphan = domain.backEnd?.entries.removeLast()
      domain.backEnd?.orphans = [orphan].compactMap(\.self)
      domain.backEnd?.count = .number(1)
    }
    #expect(
      names(declaring: [one, two]) { domain, _, observation in
        cutOff(&domain)
        observation.devices.append(Sample.device(two, heldBy: 1))
      } == ["orphan-entry attach"])
    #expect(
      names { domain, _, observation in
        cutOff(&domain)
        observation.devices.append(Sample.device(two))
      } == ["orphan-entry left: corrupt-back-end"])
  }

  @Test func `leftovers of ended runs, and the work of a present run`() {
    func intent(_ domain: DomainKey, isLive: Bool) -> Intent {
      Intent(identifier: "a", domain: domain, operation: .attach, devices: [one], isLive: isLive)
    }
    func bare(_ domain: inout ObservedDomain, _ device: inout ObservedDevice, _ observation: inout Observation) {
      (domain.backEnd, domain.saved) = (nil, .devices([]))
      (device.claim, observation.records) = (nil, [])
    }
    #expect(
      names(declaring: []) { domain, device, observation in
        bare(&domain, &device, &observation)
        observation.intents = [intent(domain.key, isLive: false)]
      } == ["leftover-intent detach"])
    #expect(
      names(declaring: []) { domain, device, observation in
        bare(&domain, &device, &observation)
        device.assignment = .free
        observation.intents = [intent(DomainKey(id: DomainID(9), uuid: Sample.uuid(9)), isLive: false)]
      } == ["leftover-intent removed"])
    let busy = matrix(
      host { domain, device, observation in
        domain.backEnd = nil
        observation.intents = [intent(domain.key, isLive: true)]
      }, Sample.desired(["net": [one]]))
    #expect(busy.findings.isEmpty, "a run that is at work is no drift")
    #expect(busy.rows.flatMap(\.drifts).map(\.outcome) == [.atWork])
  }

  @Test func `buses that are wrong as a whole`() {
    func bus(_ state: XenbusState, _ front: XenbusState?) -> Set<String> {
      names { domain, _, _ in domain.backEnd = Sample.bus(domain.id, [one], state: state, front: front) }
    }
    #expect(bus(.connected, .reconfiguring) == ["bus-torn attach"])
    #expect(bus(.reconfiguring, .initialised) == ["round-unheard attach"])
    #expect(bus(.initialising, .connected) == ["bus-replaced attach"])
    #expect(bus(.closing, .reconfiguring) == ["bus-closing left: bus-closing"])
    #expect(
      names { domain, _, _ in
        domain.backEnd = Sample.bus(domain.id, [one])
        domain.backEnd?.hasFrontEndPath = false
      } == ["corrupt-back-end left: corrupt-back-end"])
    #expect(
      names { domain, _, _ in domain.saved = .corrupt("not JSON") }
        == ["corrupt-saved-configuration left: corrupt-saved-configuration"])
    #expect(
      names(declaring: []) { domain, device, observation in
        domain.backEnd = BackEnd(domain: domain.id, hasKernelObject: true)
        (domain.saved, device.claim, device.assignment) = (.devices([]), nil, .free)
        observation.records = []
      } == ["bus-vanishing left: not-owned"])
  }

  @Test func `a back end of a domain that is gone`() {
    var gone = Sample.bus(DomainID(9), [two])
    gone.hasKernelObject = false
    #expect(
      names { _, _, observation in observation.leftoverBackEnds = [gone] } == ["leaked-back-end removed"])
    gone.hasKernelObject = true
    #expect(
      names { _, _, observation in observation.leftoverBackEnds = [gone] }
        == ["leaked-back-end left: leaked-back-end"])
    gone.entries = []
    #expect(
      names { _, _, observation in observation.leftoverBackEnds = [gone] }
        == ["leaked-back-end left: leaked-back-end"])
  }

  @Test func `QEMU that shows less or more than the back end lists`() {
    func guest(_ devices: [PCIAddress], shows shown: [PCIAddress]) -> ObservedDomain {
      var domain = Sample.domain(1, "net", devices, kind: .hvm)
      domain.deviceModel = .upstream
      domain.emulated = shown.map { EmulatedDevice(name: DeviceModelName($0), slot: 4, function: 0) }
      domain.backEnd?.hasFrontEndDriver = false
      domain.backEnd?.state = StateNode(.initialised)
      domain.backEnd?.frontEndState = StateNode(.initialising)
      return domain
    }
    #expect(names { domain, _, _ in domain = guest([one], shows: [one]) } == [])
    #expect(names { domain, _, _ in domain = guest([one], shows: []) } == ["device-model-lacks attach"])
    #expect(
      names { domain, _, observation in
        domain = guest([one], shows: [one, two])
        observation.devices.append(Sample.device(two))
      } == ["device-model-only left: device-model-only"])
    #expect(
      names { domain, _, _ in
        domain = guest([one], shows: [one])
        domain.backEnd?.state = StateNode(.reconfiguring)
      } == ["bus-unsettled repair"])
  }

  @Test func `undeclared devices are named and left unchanged`() {
    let found = matrix(
      host { _, device, observation in
        device.claim = nil
        observation.records = []
      }, nil)
    #expect(found.findings.map(\.name) == [.claimMissing])
    #expect(found.findings.map(\.outcome) == [.left(.change(.notOwned))])
  }

  @Test func `a paused domain's drift waits for it`() {
    let left = names { domain, device, _ in
      domain.lifecycle = .paused
      device.claim = nil
    }
    #expect(left == ["claim-missing left: domain-paused"])
  }

  @Test(arguments: 0..<300)
  func `drift that the plan repairs is gone after the plan is carried out`(_ seed: Int) {
    var random = SeededGenerator(seed: UInt64(seed))
    let (desired, observation) = RandomHost.make(&random)
    let plan = makePlan(desired: desired, observation: observation)
    let before = makeDriftMatrix(desired: desired, observation: observation, plan: plan)
    let after = RandomHost.carryOut(plan, on: observation)
    let again = makeDriftMatrix(
      desired: desired, observation: after, plan: makePlan(desired: desired, observation: after))
    #expect(Set(before.rows.map(\.device)).count == before.rows.count, "one row a device")
    let repaired = again.findings.filter(\.outcome.isRepaired)
    #expect(repaired.isEmpty, "seed \(seed): \(repaired)")
  }
}
