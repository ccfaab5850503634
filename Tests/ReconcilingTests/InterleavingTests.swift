import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// Another program's whole change between any two requests of a run, and then a clean run.
@Suite struct InterleavingTests {
  /// Two changes of one domain at the same time. The second is also the declaration at the end.
  struct Meeting: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var before: [Int]
    var own: [Int]
    var other: [Int]
    var isReattach = false
  }

  static let meetings = [
    Meeting(testDescription: "the same first attach", before: [], own: [1, 2], other: [1, 2]),
    Meeting(testDescription: "the same later attach", before: [3], own: [1, 3], other: [1, 3]),
    Meeting(testDescription: "different attaches", before: [3], own: [1, 3], other: [2, 3]),
    Meeting(testDescription: "the same detach", before: [1, 2, 3], own: [3], other: [3]),
    Meeting(testDescription: "the same last detach", before: [1, 2], own: [], other: []),
    Meeting(testDescription: "different detaches", before: [1, 2, 3], own: [1, 3], other: [2, 3]),
    Meeting(testDescription: "attach and detach", before: [1, 2], own: [1, 2, 3], other: [2]),
    Meeting(testDescription: "detach and attach", before: [1, 2], own: [2], other: [1, 2, 3]),
    Meeting(testDescription: "last detach and attach", before: [1], own: [], other: [1, 2]),
    Meeting(testDescription: "the same reattach", before: [1, 2], own: [1, 2], other: [1, 2], isReattach: true),
    Meeting(testDescription: "reattach and detach", before: [1, 2], own: [1, 2], other: [2], isReattach: true),
  ]

  private func desired(_ numbers: [Int], reattaching: Bool) -> DesiredState {
    var desired = Sample.desired(["net": numbers.map(Sample.address)])
    if reattaching, numbers.first == 1 { desired.domains[0].devices[0].options.msiTranslate = true }
    return desired
  }

  private func makeHost() -> (ModelHost, DomainKey) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for number in 1...4 { model.addDevice(Sample.address(number), interrupt: 17) }
    return (model, key)
  }

  private let options = ApplyOptions.hasty

  @Test(arguments: InterleavingTests.meetings)
  func `two runs that meet at any request leave a state that one more run settles`(_ meeting: Meeting) throws {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (model, key) = makeHost()
      let run = Run(model: model, options: options)
      try run.apply(desired(meeting.before, reattaching: false))
      let own = try run.plan(desired(meeting.own, reattaching: meeting.isReattach))
      let final = desired(meeting.other, reattaching: meeting.isReattach)
      let other = try run.plan(final)
      model.interfere(atRequest: index) { [options] in
        _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(other)
      }
      _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(own)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      for number in model.exports(to: 5) where !model.listed(5).contains(number) {
        Issue.record("request \(index): \(number) is exported and not listed")
      }
      let outcome = try run.apply(final)
      var findings = disagreements(model, key, meeting.other.map(Sample.address))
      findings += outcome.domains.compactMap(\.failure?.plain)
      let third = try run.plan(final)
      findings += third.steps.filter { $0.isChange || $0.action == .blocked }.map {
        "again \($0.action) \($0.device)"
      }
      findings += third.bookkeeping.map { "again \($0)" }
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
      if !hasMet { return }
    }
  }

  @Test(arguments: [[1, 2], []], [false, true])
  func `a domain that is destroyed at any request leaves nothing behind`(_ numbers: [Int], _ comesBack: Bool) throws {
    for index in stride(from: 3, to: 2000, by: 3) {
      let (model, key) = makeHost()
      let run = Run(model: model, options: options)
      try run.apply(desired([1, 3], reattaching: false))
      let final = desired(numbers, reattaching: false)
      let plan = try run.plan(final)
      model.interfere(atRequest: index) {
        model.destroy(5)
        // Restarted: another number, the same UUID.
        if comesBack { model.addDomain(7, "net", uuid: key.uuid) }
      }
      _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
      let hasMet = model.hasInterfered
      model.stopInterfering()
      guard hasMet else { return }
      model.store.settle()
      try run.apply(final)
      var findings: [String] = []
      if comesBack {
        findings += disagreements(
          model, DomainKey(id: DomainID(7), uuid: key.uuid), numbers.map(Sample.address))
      } else {
        findings += (1...4).map(Sample.address).compactMap { model.claim(on: $0) }.map { "claimed by \($0)" }
      }
      findings += model.openIntents.map(\.identifier)
      findings += model.granted.filter { $0.hasPrefix("5 ") }
      if model.node(5, "state") != nil { findings.append("a back end is left") }
      let third = try run.plan(final)
      findings += third.hostSteps.map(\.evidence)
      findings += third.steps.filter(\.isChange).map { "again \($0.action) \($0.device)" }
      if !findings.isEmpty {
        Issue.record("request \(index): \(findings)")
        return
      }
    }
  }
}
