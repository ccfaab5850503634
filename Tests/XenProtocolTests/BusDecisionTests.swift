import Model
import TestSupport
import Testing
import XenProtocol

@Suite struct BusDecisionTests {
  private let domain = DomainID(5)
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  private func attach(
    _ bus: BackEnd, _ devices: [PCIAddress], mode: ChangeMode = .hot, finishing finished: Set<PCIAddress> = [],
    exportable: Set<PCIAddress>? = nil
  ) -> AttachDecision {
    bus.attachDecision(
      devices.map { NewEntry(device: $0, options: DeviceOptions()) }, named: "guest", mode: mode, finishing: finished,
      exportable: exportable ?? [one, two, three])
  }

  /// Returns the nodes of a bus after edits, by their last path component.
  private func nodes(_ edits: [StoreEdit]) -> [String: String?] {
    var nodes: [String: String?] = [:]
    for edit in edits {
      switch edit {
      case .write(let path, let value): nodes[String(path.text.split(separator: "/").last ?? "")] = value
      case .remove(let path): nodes.updateValue(nil, forKey: String(path.text.split(separator: "/").last ?? ""))
      case .makeDirectory: continue
      }
    }
    return nodes
  }

  @Test func `the first devices create both directories in one batch`() throws {
    guard case .publish(let edits, let startsRound) = attach(BackEnd(domain: domain), [one, two]) else {
      Issue.record("not published")
      return
    }
    #expect(!startsRound)
    let back = StorePath.backEnd(domain)
    let front = StorePath.frontEnd(domain)
    #expect(edits.contains(.makeDirectory(back, StorePermissions(owner: .zero, reader: domain))))
    #expect(edits.contains(.makeDirectory(front, StorePermissions(owner: domain, reader: .zero))))
    #expect(edits.contains(.write(back.child("state"), "1")))
    #expect(edits.contains(.write(front.child("state"), "1")))
    #expect(edits.contains(.write(back.child("num_devs"), "2")))
    #expect(edits.contains(.write(back.child("dev-1"), two.description)))
    #expect(edits.contains(.write(back.child("key-1"), two.description)))
    #expect(
      edits.contains(
        .write(back.child("opts-1"), "msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict")))
    #expect(edits.contains(.write(back.child("state-1"), "1")))
  }

  @Test func `later devices are appended to what this transaction read, in one round`() {
    guard case .publish(let edits, true) = attach(Sample.bus(domain, [one]), [two, three]) else {
      Issue.record("no round")
      return
    }
    let nodes = nodes(edits)
    #expect(nodes["num_devs"] == "3")
    #expect(nodes["dev-1"] == two.description)
    #expect(nodes["dev-2"] == three.description)
    #expect(nodes["state"] == "7")
    #expect(nodes["dev-0"] == nil, "what stands is not written again")
  }

  @Test func `a device that is listed is not added twice`() {
    #expect(attach(Sample.bus(domain, [one, two]), [two]) == .alreadyListed)
  }

  @Test func `an entry that a round left out gets a round of its own`() {
    let bus = Sample.bus(domain, [one, two], states: [.initialised, .initialising])
    guard case .publish(let edits, true) = attach(bus, [two]) else {
      Issue.record("no round")
      return
    }
    #expect(edits == [.write(StorePath.backEnd(domain).child("state"), "7")])
  }

  @Test(arguments: [XenbusState.initialising, .initWait, .initialised])
  func `a bus whose guest is connecting takes entries without a round`(_ state: XenbusState) {
    guard case .publish(let edits, false) = attach(Sample.bus(domain, [one], state: state, front: .initialising), [two])
    else {
      Issue.record("not appended quietly")
      return
    }
    #expect(nodes(edits)["state"] == nil)
    #expect(nodes(edits)["num_devs"] == "2")
  }

  @Test func `a device that pciback cannot export is not requested`() {
    #expect(
      attach(Sample.bus(domain, [one]), [two], exportable: [one])
        == .refuse(
          .notAssignable, "\(two) is not on pciback; asking for it would end the guest's PCI bus"))
    let waiting = Sample.bus(domain, [one, three], states: [.initialised, .initialising])
    guard case .refuse(.notAssignable, _) = attach(waiting, [two], exportable: [one, two]) else {
      Issue.record("a foreign entry that cannot be exported was pulled into our round")
      return
    }
  }

  @Test(arguments: [
    (XenbusState.reconfiguring, XenbusState.connected, BusCondition.round),
    (.reconfigured, .reconfiguring, .round), (.connected, .initialised, .settling),
    (.connected, .reconfiguring, .torn), (.closing, .connected, .closing), (.closed, .closed, .closing),
    (.connected, .closing, .closing),
  ])
  func `a bus that is not at rest is waited for`(_ back: XenbusState, _ front: XenbusState, _ expected: BusCondition) {
    let bus = Sample.bus(domain, [one], state: back, front: front)
    #expect(bus.condition == expected)
    #expect(attach(bus, [two]) == .wait(expected))
    #expect(bus.detachDecision([one], mode: .hot, finishing: [], exportable: [one]) == .wait(expected))
  }

  @Test func `nothing is created while the kernel still has the old bus`() {
    let bus = BackEnd(domain: domain, hasKernelObject: true)
    #expect(attach(bus, [one]) == .wait(.vanishing))
  }

  @Test func `another program's removal is waited for, and an ended run's is finished first`() {
    let bus = Sample.bus(domain, [one, two], states: [.closing, .initialised])
    #expect(attach(bus, [three]) == .wait(.halfRemoved([one])))
    guard case .publish(let edits, true) = attach(bus, [three], finishing: [one]) else {
      Issue.record("not finished")
      return
    }
    let nodes = nodes(edits)
    #expect(nodes["dev-0"] == two.description)
    #expect(nodes["vdev-0"] == "0000:00:01.00", "the virtual address moves with its entry")
    #expect(nodes["dev-1"] == three.description)
    #expect(nodes["vdev-1"] == .some(nil))
    #expect(nodes["state-1"] == "1")
  }

  @Test func `a new entry over an orphan without a key gets a key`() {
    var bus = Sample.bus(domain, [one])
    var left = Sample.entry(two, 1, slot: 1)
    left.hasKey = false
    bus.orphans = [left]
    guard case .publish(let edits, _) = attach(bus, [two]) else {
      Issue.record("not published")
      return
    }
    #expect(nodes(edits)["key-1"] == two.description)
  }

  @Test func `a removal marks by address and starts one round`() {
    let bus = Sample.bus(domain, [one, two, three])
    guard
      case .mark(let edits, devices: [one, three]) = bus.detachDecision(
        [one, three], mode: .hot, finishing: [], exportable: [one, two, three])
    else {
      Issue.record("not marked")
      return
    }
    let back = StorePath.backEnd(domain)
    #expect(
      edits == [
        .write(back.child("state-0"), "5"), .write(back.child("state-2"), "5"), .write(back.child("state"), "7"),
      ])
  }

  @Test func `a finished removal leaves a dense array`() throws {
    let bus = Sample.bus(domain, [one, two, three], states: [.closing, .initialised, .closing])
    let result = try #require(bus.compaction(of: [one, three]))
    #expect(result.kept.count == 1)
    let nodes = nodes(result.edits)
    #expect(nodes["num_devs"] == "1")
    #expect(nodes["dev-0"] == two.description)
    #expect(nodes["state-0"] == "3")
    for index in 1...2 {
      for name in ["dev", "key", "state", "opts", "vdev"] { #expect(nodes["\(name)-\(index)"] == .some(nil)) }
    }
  }

  @Test func `a bus is removed by its own path, which a guest's kernel examines, before its parent`() throws {
    let paths = Sample.bus(domain, [one]).removal().map { edit -> StorePath? in
      if case .remove(let path) = edit { path } else { nil }
    }
    #expect(
      paths == [.backEnd(domain), .backEndHome(domain), .frontEnd(domain), .frontEndHome(domain)])
  }

  @Test func `an entry that is not marked is never deleted`() throws {
    let bus = Sample.bus(domain, [one, two])
    #expect(try #require(bus.compaction(of: [one])).edits.isEmpty)
  }

  @Test func `the bus of a domain that never ran is removed whole, with a list of what stays`() {
    let bus = Sample.bus(domain, [one, two], state: .initialised, front: .initialising)
    guard
      case .dropBus(_, let staying) = bus.detachDecision(
        [one], mode: .cold, finishing: [], exportable: [one, two, three])
    else {
      Issue.record("not dropped")
      return
    }
    #expect(staying.compactMap(\.device) == [two])
  }

  @Test func `taking a round back restores what was marked and drops what was never exported`() {
    var bus = Sample.bus(
      domain, [one, two, three], state: .reconfiguring, states: [.closing, .initialised, .initialising])
    bus.entries[0].virtualAddress = one
    let nodes = nodes(bus.cancellingRound(removing: [three], restoring: [one]))
    #expect(nodes["state-0"] == "3")
    #expect(nodes["num_devs"] == "2")
    #expect(nodes["state"] == "4")
    #expect(nodes["dev-2"] == .some(nil))
  }

  @Test func `damage is named`() {
    var hole = Sample.bus(domain, [one, two])
    hole.entries[0].device = nil
    var headless = Sample.bus(domain, [one])
    headless.entries[0].hasKey = false
    var wrongCount = Sample.bus(domain, [one])
    wrongCount.count = .invalid("many")
    var uncounted = Sample.bus(domain, [])
    uncounted.count = .absent
    let twice = Sample.bus(domain, [one, one])
    var odd = Sample.bus(domain, [one])
    odd.state = StateNode("kaputt")
    for (bus, word) in [
      (hole, "dev-0"), (headless, "key-0"), (wrongCount, "many"), (uncounted, "num_devs"), (twice, "twice"),
      (odd, "kaputt"),
    ] {
      guard case .corrupt(let what) = bus.condition else {
        Issue.record("\(word) was not found out")
        continue
      }
      #expect(what.contains(word))
      #expect(attach(bus, [three]) == .refuse(.corruptBackEnd, what))
    }
  }

  @Test func `an entry beyond the count is overwritten, or removed if its device is listed again`() {
    var bus = Sample.bus(domain, [one])
    var left = Sample.entry(two, 1, slot: 1)
    left.virtualFunctionText = "28"
    bus.orphans = [left]
    guard case .publish(let edits, true) = attach(bus, [three]) else {
      Issue.record("not published")
      return
    }
    let nodes = nodes(edits)
    #expect(nodes["dev-1"] == three.description)
    #expect(nodes["vdev-1"] == .some(nil), "another device's virtual address must not stay")
    #expect(nodes["vdevfn-1"] == .some(nil))
    #expect(nodes["num_devs"] == "2")
    var again = Sample.bus(domain, [one, two])
    again.orphans = [Sample.entry(two, 2, slot: 1)]
    #expect(
      again.replacingEntries(with: again.entries, startRound: false).contains(
        .remove(StorePath.backEnd(domain).child("dev-2"))))
  }

  @Test func `marks on a bus that nobody answers are deleted only after pciback could read them`() {
    var bus = Sample.bus(domain, [one, two])
    bus.hasFrontEndDriver = false
    bus.frontEndState = StateNode(.initialising)
    bus.entries[0].state = StateNode(.closing)
    // As another toolstack leaves the bus: pciback ignores its entries, and still holds marked devices.
    bus.state = StateNode(.reconfiguring)
    let settling = StoreEdit.write(StorePath.backEnd(domain).child("state"), "3")
    #expect(
      bus.detachDecision([one], mode: .hot, finishing: [one], exportable: [one]) == .mark([settling], devices: [one]))
    bus.state = StateNode(.initialised)
    #expect(bus.detachDecision([one], mode: .hot, finishing: [one], exportable: [one]) == .alreadyMarked)
  }

  @Test(arguments: [XenbusState.closing, .closed])
  func `a bus that is closing does not await a guest that never ran`(_ state: XenbusState) {
    let bus = Sample.bus(domain, [one], state: state, front: .initialising)
    #expect(bus.condition == .closing && !bus.awaitsGuest)
  }

  @Test func `a bus that is not there awaits no guest`() {
    var bus = BackEnd(domain: domain)
    #expect(bus.condition == .absent && !bus.awaitsGuest)
    bus.hasKernelObject = true
    #expect(bus.condition == .vanishing && !bus.awaitsGuest)
  }

  // MARK: What pciback holds and no node shows

  /// Returns an HVM guest's bus as libxl leaves it: at 7, with one exported device and one that waits.
  private func left(_ state: XenbusState = .reconfiguring) -> BackEnd {
    var bus = Sample.bus(
      domain, [one, two], state: state, front: .initialising, states: [.initialised, .initialising])
    bus.hasFrontEndDriver = false
    return bus
  }

  private func address(_ slot: UInt8) -> PCIAddress? { PCIAddress(segment: 0, bus: 0, device: slot, function: 0) }

  private func export(_ device: PCIAddress, to domain: UInt32, slot: UInt8) -> [PCIAddress: ExportRecord] {
    [device: ExportRecord(device: device, domain: DomainID(domain), slot: slot)]
  }

  @Test func `whether pciback holds a device is read from records, the log, and other entries' addresses`() throws {
    let bus = left()
    let five = try #require(address(5))
    #expect(BusHolds(bus, .unknown).hold(of: two) == .unknown)
    #expect(BusHolds(bus, ExportHistory(logged: [:])).hold(of: two) == .none)
    #expect(BusHolds(bus, ExportHistory(recorded: [two: five])).hold(of: two) == .at(five))
    // Another entry has the address since: the bus was created again.
    #expect(BusHolds(bus, ExportHistory(recorded: [two: try #require(address(0))])).hold(of: two) == .unknown)
    #expect(BusHolds(bus, ExportHistory(logged: export(two, to: 5, slot: 5))).hold(of: two) == .unknown)
    #expect(BusHolds(bus, ExportHistory(logged: export(two, to: 5, slot: 0))).hold(of: two) == .none)
    // Another domain had it last: this one released it, and whether the other one did is another question.
    let elsewhere = ExportHistory(logged: export(two, to: 9, slot: 5))
    #expect(BusHolds(bus, elsewhere).hold(of: two) == .none)
    #expect(BusHolds(bus, elsewhere).hold(ofWaiting: two) == .unknown)
    #expect(BusHolds(bus, ExportHistory(logged: elsewhere.logged, released: [two])).hold(ofWaiting: two) == .none)
  }

  @Test func `3 is not written over a request that pciback may hold`() throws {
    let bus = left()
    let all: Set = [one, two, three]
    #expect(BusHolds(bus, .unknown).settling(exportable: all) == nil)
    #expect(BusHolds(bus, .unknown).doubtfulRequest() == two)
    #expect(attach(bus, [three]) == .refuse(.unsettledBus, two.doubt))
    #expect(
      bus.detachDecision([one], mode: .hot, finishing: [], exportable: all) == .refuse(.unsettledBus, two.doubt))
    let never = ExportHistory(logged: [:])
    #expect(
      BusHolds(bus, never).settling(exportable: all) == [.write(StorePath.backEnd(domain).child("state"), "3")])
    #expect(BusHolds(bus, never).settling(exportable: [one]) == nil, "it is not on pciback any more")
    #expect(BusHolds(left(.initialised), never).settling(exportable: all) == nil, "it is settled")
  }

  @Test func `a device that pciback holds is listed as it holds it`() throws {
    let place = try #require(address(5))
    let edits = BusHolds(left(), ExportHistory(recorded: [two: place])).settling(exportable: [one, two])
    let nodes = nodes(try #require(edits))
    #expect(nodes == ["state-1": "3", "vdev-1": "0000:00:05.00", "state": "3"])
  }

  @Test func `removals that pciback has not read are shown to it, and no request with them`() throws {
    var bus = Sample.bus(
      domain, [one, two, three], state: .reconfiguring, front: .initialising,
      states: [.initialised, .closing, .initialising])
    bus.hasFrontEndDriver = false
    let never = ExportHistory(logged: [:])
    let decision = bus.attachDecision(
      [NewEntry(device: Sample.address(4), options: DeviceOptions())], named: "guest", mode: .hot, finishing: [two],
      exportable: [one, two, three, Sample.address(4)], knowing: never)
    guard case .showMarks(let edits) = decision else {
      Issue.record("\(decision)")
      return
    }
    // pciback would export the one at the address that it has just freed, and release it over the same removal.
    #expect(nodes(edits) == ["state-2": "2", "state": "3"])
    #expect(bus.compaction(of: [two]) == nil, "pciback has not read the removal")
    bus.state = StateNode(.initialised)
    bus.entries[2].state = StateNode(.initWait)
    let compacted = nodes(try #require(bus.compaction(of: [two])).edits)
    #expect(compacted["dev-1"] == three.description)
    #expect(compacted["state-1"] == "1")
    #expect(compacted["num_devs"] == "2")
  }

  @Test(arguments: [true, false])
  func `an entry that was never exported is deleted, since a mark on it would end the bus`(_ isPV: Bool) throws {
    var bus = Sample.bus(
      domain, [one, two], state: isPV ? .connected : .initialised, front: isPV ? .connected : .initialising,
      states: [.initialised, .initialising])
    bus.hasFrontEndDriver = isPV
    guard
      case .mark(let edits, devices: []) = bus.detachDecision(
        [two], mode: .hot, finishing: [], exportable: [one, two])
    else {
      Issue.record("not removed")
      return
    }
    let nodes = nodes(edits)
    #expect(nodes["num_devs"] == "1")
    #expect(nodes["state-1"] == .some(nil))
    #expect(nodes["state"] == nil, "nobody is asked")
  }

  @Test func `no round is begun over a request that pciback cannot grant`() {
    let bus = Sample.bus(domain, [one, two, three], states: [.initialised, .initialised, .initialising])
    guard
      case .refuse(.notAssignable, _) = bus.detachDecision([one], mode: .hot, finishing: [], exportable: [one, two])
    else {
      Issue.record("begun")
      return
    }
    #expect(bus.entries.hazard(exportable: [one, two]) != nil)
    #expect(bus.entries.hazard(exportable: [three]) == nil)
    var marked = Sample.bus(domain, [one], states: [.closing])
    marked.entries[0].virtualAddress = nil
    #expect(marked.entries.hazard(exportable: [one]) != nil)
  }
}
