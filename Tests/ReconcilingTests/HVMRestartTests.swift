import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// HVM guests that restart while an apply works on them.
@Suite struct HVMRestartTests {
  private let options = ApplyOptions.hasty

  /// Returns a guest 5 that has devices 1 and 3, with a stub domain 15 if requested.
  private func makeRun(hasStub: Bool) throws -> (run: Run, guest: DomainKey) {
    let model = ModelHost()
    let guest = model.addHVMDomain(5, "net")
    if hasStub { model.addStubDomain(15, of: guest) }
    for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
    let run = Run(model: model, options: options)
    try run.apply(desired([1, 3]))
    return (run, guest)
  }

  private func desired(_ numbers: [Int]) -> DesiredState { Sample.desired(["net": numbers.map(Sample.address)]) }

  /// Makes `event` happen at each request of an apply in turn, and returns what the next apply leaves wrong.
  private func findings(
    _ numbers: [Int], hasStub: Bool = false, then number: UInt32, on bus: UInt32? = nil,
    _ event: @escaping @Sendable (ModelHost, DomainKey) -> Void
  ) throws -> [String] {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (run, guest) = try makeRun(hasStub: hasStub)
      let model = run.model
      let plan = try run.plan(desired(numbers))
      model.interfere(atRequest: index) { event(model, guest) }
      _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      guard hasMet else { return index > 30 ? [] : ["nothing was met"] }
      model.store.settle()
      try run.apply(desired(numbers))
      var findings = disagreements(
        model, DomainKey(id: DomainID(number), uuid: guest.uuid), numbers.map(Sample.address), bus: bus,
        hasDeviceModel: true)
      findings += model.openIntents.map(\.identifier)
      for old: UInt32 in [5, 15] where old != number && old != bus {
        findings += model.granted.filter { $0.hasPrefix("\(old) ") }
        if model.node(old, "state") != nil { findings.append("bus \(old) is left") }
      }
      let third = try run.plan(desired(numbers))
      findings += third.steps.filter { $0.isChange || $0.action == .blocked }.map {
        "again \($0.action) \($0.device) \($0.kind.name)"
      }
      findings += third.hostSteps.map(\.evidence)
      if !findings.isEmpty { return ["request \(index): \(findings)"] }
    }
    return []
  }

  /// libxl gives a rebooted guest another number.
  @Test(arguments: [false, true], [[1, 2], []])
  func `a guest that reboots at any request is served by one more apply`(_ hasStub: Bool, _ numbers: [Int]) throws {
    let findings = try findings(numbers, hasStub: hasStub, then: 7, on: hasStub ? 17 : nil) { model, guest in
      model.destroy(5)
      if hasStub { model.destroy(15) }
      let again = model.addHVMDomain(7, "net", uuid: guest.uuid)
      if hasStub { model.addStubDomain(17, of: again) }
    }
    #expect(findings == [])
  }

  @Test(arguments: [[1, 2], []])
  func `a guest that is reset softly at any request is served by one more apply`(_ numbers: [Int]) throws {
    #expect(try findings(numbers, then: 5) { model, guest in model.resetSoftly(guest, "net") } == [])
  }
}
