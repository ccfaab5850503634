import Model
import Planning
import Reconciling
import TestSupport

/// Plans and applies on a model host, and returns the outcome.
struct Run {
  let model: ModelHost
  /// One worker: the model's kernels, and its clock, which stands still, support one thread at a time.
  var options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(200), workers: 1)

  @discardableResult
  func apply(_ desired: DesiredState) throws -> ApplyOutcome {
    let observation = try Observer(host: model.host).observe(desired: desired)
    let plan = makePlan(desired: desired, observation: observation)
    return ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
  }

  func plan(_ desired: DesiredState) throws -> Plan {
    makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired))
  }
}
