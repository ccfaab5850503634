import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// Runs beside a damaged file of Berth's own.
@Suite struct DamagedFileRunTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  /// Every damage that concerns only the domain of `makeAttachedHost`.
  private func damages(_ key: DomainKey) -> [DamagedFile] {
    let error = RecordError(.damaged, operation: "read", place: "/run/berth/intents/5-attach-1.json")
    return [
      DamagedFile(.record, .uuid(key.uuid), error), DamagedFile(.intent, .domain(key), error),
      DamagedFile(.intent, .number(key.id), error),
    ]
  }

  @Test func `the file's domain stays as it is, and the others are changed`() throws {
    let (sample, key, _) = try makeAttachedHost()
    for damage in damages(key) {
      let (model, key, run) = try makeAttachedHost()
      let other = model.addDomain(6, "other")
      model.damage(damage)
      let outcome = try run.apply(Sample.desired(["net": [one], "other": [three]]))
      #expect(outcome.domains.flatMap(\.steps).map(\.device) == [three], "\(damage)")
      #expect(outcome.domains.allSatisfy { $0.failure == nil } && outcome.hostFailures == [], "\(outcome)")
      #expect(model.listed(5) == [one, two])
      model.damage(nil)
      try run.apply(Sample.desired(["net": [one], "other": [three]]))
      #expect(disagreements(model, key, [one]) + disagreements(model, other, [three]) == [])
    }
    #expect(sample.listed(5) == [one, two])
  }

  @Test func `a file that is damaged after the plan fails its domain with its name, and no other`() throws {
    let (_, sample, _) = try makeAttachedHost()
    for damage in damages(sample) {
      let (model, key, run) = try makeAttachedHost()
      let other = model.addDomain(6, "other")
      let plan = try run.plan(Sample.desired(["net": [one], "other": [three]]))
      model.damage(damage)
      let outcome = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      let failed = try #require(outcome.domains.first { $0.name == "net" })
      #expect(failed.failure == OutcomeDetail(.record(damage.error)), "\(failed)")
      #expect(outcome.domains.first { $0.name == "other" }?.steps.map(\.result) == [.done])
      #expect(model.listed(5) == [one, two], "\(damage)")
      model.damage(nil)
      try run.apply(Sample.desired(["net": [one], "other": [three]]))
      #expect(disagreements(model, key, [one]) + disagreements(model, other, [three]) == [])
    }
  }

  @Test func `a file of which nothing is known stops every change, and no look`() throws {
    let (model, _, run) = try makeAttachedHost()
    model.addDomain(6, "other")
    let error = RecordError(.damaged, operation: "read", place: "/run/berth/intents/x.json")
    model.damage(DamagedFile(.intent, .everything, error))
    let plan = try run.plan(Sample.desired(["net": [one], "other": [three]]))
    #expect(!plan.hasChanges && plan.isBlocked)
    #expect(Examiner(host: model.host).examine().damaged.map(\.path) == ["/run/berth/intents/x.json"])
    #expect(model.listed(5) == [one, two])
  }
}
