import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// HVM guests beside another Berth, an xl, and guests and stub domains that disappear at any moment.
@Suite struct HVMInterleavingTests {
  enum Kind: String, CaseIterable { case deviceModel, stubDomain }

  let one = Sample.address(1)
  let two = Sample.address(2)
  let three = Sample.address(3)
  let options = ApplyOptions.hasty

  func makeHost(_ kind: Kind = .deviceModel) -> (ModelHost, DomainKey) {
    let model = ModelHost()
    let key = model.addHVMDomain(5, "net")
    if kind == .stubDomain { model.addStubDomain(15, of: key) }
    for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
    return (model, key)
  }

  func desired(_ numbers: [Int], reattaching: Bool = false) -> DesiredState {
    var desired = Sample.desired(["net": numbers.map(Sample.address)])
    if reattaching, numbers.first == 1 { desired.domains[0].devices[0].options.msiTranslate = true }
    return desired
  }

  func execute(_ plan: Plan, on model: ModelHost) -> ApplyOutcome {
    ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
  }

  func results(_ outcome: ApplyOutcome) -> [StepResult] { outcome.domains.flatMap(\.steps).map(\.result) }

  /// Returns what a further run would still change, or cannot change.
  func unrest(_ run: Run, _ desired: DesiredState) throws -> [String] {
    ReconcilingTests.unrest(try run.plan(desired))
  }

  // MARK: At any request

  @Test(arguments: Kind.allCases, InterleavingTests.meetings)
  func `two runs on one HVM guest leave a state that one more run settles`(
    _ kind: Kind, _ meeting: InterleavingTests.Meeting
  ) throws {
    let bus: UInt32 = kind == .stubDomain ? 15 : 5
    for index in stride(from: 3, to: 2000, by: 5) {
      let (model, key) = makeHost(kind)
      let run = Run(model: model, options: options)
      try run.apply(desired(meeting.before))
      let own = try run.plan(desired(meeting.own, reattaching: meeting.isReattach))
      let final = desired(meeting.other, reattaching: meeting.isReattach)
      let other = try run.plan(final)
      model.interfere(atRequest: index) { _ = execute(other, on: model) }
      _ = execute(own, on: model)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      for device in model.exports(to: bus) where !model.listed(bus).contains(device) {
        Issue.record("request \(index): \(device) is exported and not listed")
      }
      let outcome = try run.apply(final)
      var findings = disagreements(
        model, key, meeting.other.map(Sample.address), bus: bus == 5 ? nil : bus, hasDeviceModel: true)
      findings += outcome.domains.compactMap(\.failure?.plain) + (try unrest(run, final))
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
      if !hasMet { return }
    }
  }

  @Test(arguments: Kind.allCases, [[1, 2], []])
  func `a guest that is destroyed at any request leaves nothing behind`(_ kind: Kind, _ numbers: [Int]) throws {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (model, _) = makeHost(kind)
      let run = Run(model: model, options: options)
      try run.apply(desired([1, 3]))
      let final = desired(numbers)
      let plan = try run.plan(final)
      model.interfere(atRequest: index) {
        model.setDeviceModelRunning(5, false)
        model.destroy(5)
        if kind == .stubDomain { model.destroy(15) }
      }
      _ = execute(plan, on: model)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      guard hasMet else { return }
      model.store.settle()
      try run.apply(final)
      var findings = (1...4).map(Sample.address).compactMap { model.claim(on: $0) }.map { "claimed by \($0)" }
      findings += model.openIntents.map(\.identifier)
      findings += model.granted.filter { $0.hasPrefix("5 ") || $0.hasPrefix("15 ") }
      findings += (1...4).map(Sample.address).filter { model.owner(of: $0) != nil }.map { "\($0) is assigned" }
      for number: UInt32 in [5, 15] where model.node(number, "state") != nil {
        findings.append("bus \(number) is left")
      }
      findings += try unrest(run, final)
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
    }
  }

  @Test(arguments: [[1, 2, 3], [1], []], [true, false])
  func `a stub domain restarted at any request is served by one more run`(
    _ numbers: [Int], _ hasBefore: Bool
  ) throws {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (model, key) = makeHost(.stubDomain)
      let run = Run(model: model, options: options)
      if hasBefore { try run.apply(desired([1, 3])) }
      let final = desired(numbers)
      let plan = try run.plan(final)
      model.interfere(atRequest: index) {
        // The guest's QEMU disappeared with it.
        for number in 1...4 { model.removeEmulated(5, Sample.address(number)) }
        model.destroy(15)
        model.addStubDomain(16, of: key)
      }
      _ = execute(plan, on: model)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      guard hasMet else { return }
      model.store.settle()
      try run.apply(final)
      // Grants of a number that no longer belongs to a domain do not count.
      var findings = disagreements(model, key, numbers.map(Sample.address), bus: 16, hasDeviceModel: true)
      if model.node(15, "state") != nil { findings.append("the old bus is left") }
      findings += try unrest(run, final)
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
    }
  }

  // MARK: Beside xl

  /// Does what `xl pci-attach` does to an HVM guest (`libxl__device_pci_add`, Xen 4.17): QEMU, Xen, the store.
  func xlAttach(_ device: PCIAddress, _ model: ModelHost, _ key: DomainKey) throws {
    guard model.owner(of: device) == nil, model.claim(on: device) == nil else { return }
    let name = DeviceModelName(device).description
    guard !model.emulated(5).contains(name) else { return }
    model.store[StorePath.claim(device).text] = "5"
    model.putEmulated(5, device, slot: UInt8(device.device) + 10)
    model.setOwner(device, 5)
    let slot = UInt8(device.device) + 10
    let saved = try #require(try model.host.userdata.savedConfiguration(of: key))
    let options = DeviceOptions(virtualSlot: slot)
    model.setSaved(key, try SavedConfiguration(saved).adding([SavedDevice(address: device, options: options)]).bytes)
    let back = StorePath.backEnd(key.id).text
    guard let count = model.store[back + "/num_devs"].flatMap({ Int($0) }) else {
      let entry = BackEndEntry(wanted: device, options: options)
      let edits = BackEnd.creation(for: key.id, named: "net", of: [entry])
      try model.host.stores.connect().transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Void> in
        for edit in edits { try edit.apply(to: access) }
        return .commit(())
      }
      return
    }
    model.store["\(back)/key-\(count)"] = device.description
    model.store["\(back)/dev-\(count)"] = device.description
    model.store["\(back)/vdevfn-\(count)"] = options.storeVirtualFunction
    model.store["\(back)/opts-\(count)"] = options.storeText
    model.store["\(back)/state-\(count)"] = "1"
    model.store["\(back)/num_devs"] = String(count + 1)
    model.store["\(back)/state"] = "7"
    model.store.settle()
  }

  /// Does what `xl pci-detach` does to an HVM guest (`do_pci_remove`, Xen 4.17). If forced, QEMU keeps the device.
  func xlDetach(_ device: PCIAddress, _ model: ModelHost, _ key: DomainKey, isForced: Bool = false) {
    let devices = model.listed(5)
    guard let index = devices.firstIndex(of: device) else { return }
    if !isForced { model.removeEmulated(5, device) }
    do throws(HostError) { try model.host.hypervisor.deassign(device, from: key.id) } catch {
      // libxl logs the error and continues.
      #expect(error.hypervisorCode == .notOwner)
    }
    let back = StorePath.backEnd(key.id).text
    model.store["\(back)/state-\(index)"] = "5"
    model.store["\(back)/state"] = "7"
    model.store.settle()
    let names = ["state", "key", "dev", "vdev", "opts", "vdevfn"]
    for name in names {
      for next in index..<devices.count {
        model.store["\(back)/\(name)-\(next)"] = model.store["\(back)/\(name)-\(next + 1)"]
      }
    }
    model.store["\(back)/num_devs"] = String(devices.count - 1)
    if devices.count == 1 {
      model.store[back] = nil
      model.store[StorePath.frontEnd(key.id).text] = nil
    }
    model.store[StorePath.claim(device).text] = nil
    model.store.settle()
  }

  /// Removes findings about grants that xl 4.17 leaves, which are not Berth's.
  func withoutGrants(_ findings: [String]) -> [String] {
    findings.filter { !$0.hasPrefix("granted") && !$0.hasPrefix("interrupt") }
  }

  @Test(arguments: [[1, 2, 3], [1, 2], [1, 4], [4], []], [0, 1, 4])
  func `an xl at any request leaves a state that runs settle`(_ numbers: [Int], _ xls: Int) throws {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (model, key) = makeHost()
      let run = Run(model: model, options: options)
      try run.apply(desired([1, 2]))
      let final = desired(numbers)
      let plan = try run.plan(final)
      model.interfere(atRequest: index) {
        do {
          if xls > 2 {
            try xlAttach(Sample.address(xls), model, key)
          } else {
            xlDetach(Sample.address(xls + 1), model, key)
          }
        } catch { Issue.record(error) }
      }
      _ = execute(plan, on: model)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      guard hasMet else { return }
      model.store.settle()
      try run.apply(final)
      try run.apply(final)
      // An undeclared device that xl attached is not Berth's.
      let foreign = xls > 2 && !numbers.contains(xls) && model.listed(5).contains(Sample.address(xls)) ? [xls] : []
      var findings = withoutGrants(
        disagreements(model, key, (numbers + foreign).map(Sample.address), hasDeviceModel: true))
      findings.removeAll {
        !foreign.isEmpty && ($0.hasPrefix("recorded") || $0.hasPrefix("exported") || $0.hasPrefix("states"))
      }
      findings += try unrest(run, final)
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
    }
  }

  @Test func `a device that xl detached while others stay is attached again although pciback never released it`() throws
  {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(desired([1, 2]))
    xlDetach(two, model, key)
    #expect(model.exports(to: 5) == [one, two], "nothing reads the marks of a bus at 7")
    let outcome = try run.apply(desired([1, 2]))
    #expect(results(outcome) == [.done, .done])
    #expect(withoutGrants(disagreements(model, key, [one, two], hasDeviceModel: true)) == [])
    #expect(try unrest(run, desired([1, 2])) == [])
  }

  @Test func `a device that pciback still holds for an HVM guest does not end another guest's bus`() throws {
    let (model, key) = makeHost()
    model.addDomain(6, "pv")
    let run = Run(model: model)
    let before = Sample.desired(["net": [one, two], "pv": [three]])
    try run.apply(before)
    xlDetach(two, model, key)
    let after = Sample.desired(["net": [one], "pv": [three, two]])
    try run.apply(after)
    #expect(model.node(6, "state") == "4")
    #expect(model.exports(to: 6) == [three, two])
    #expect(model.exports(to: 5) == [one])
    #expect(try unrest(run, after) == [])
  }

  @Test func `pciback releases a device that xl detached and nobody wants`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(desired([1, 2]))
    xlDetach(two, model, key)
    try run.apply(desired([1]))
    #expect(model.exports(to: 5) == [one])
    #expect(model.node(5, "state") == "3")
    #expect(withoutGrants(disagreements(model, key, [one], hasDeviceModel: true)) == [])
    #expect(try unrest(run, desired([1])) == [])
  }
}
