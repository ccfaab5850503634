package import Model

/// How long a domain may be gone before Berth forgets what it owned there: 30 days, in seconds.
package let recordLifetime: Int64 = 30 * 24 * 3600

/// Returns the changes that turn the observed state into the desired one.
///
/// Pure and total: the same arguments give the same plan, and there is a plan for every observation.
package func makePlan(desired: DesiredState, observation: Observation) -> Plan {
  makePlan(desired: desired, index: ObservationIndex(observation))
}

/// Makes the plan from an index that others share.
package func makePlan(desired: DesiredState, index: ObservationIndex) -> Plan {
  let planner = Planner(desired: desired, index: index)
  let observation = index.observation
  var plan = Plan(
    host: observation.host, domainCount: observation.domains.count, deviceCount: observation.devices.count,
    policy: desired.policy)
  plan.set = desired.set
  plan.otherSets = Set(index.setHolders.values.joined().map(\.set)).subtracting([desired.set]).sorted()
  let declared = planner.desired.domains.sorted { $0.name < $1.name }
  for domain in declared { plan.domains += planner.plans(for: domain) }
  var losses = UnnamedLosses(planner: planner)
  let others = index.domains.filter { !planner.matches.covered.contains($0.key) && $0.stubDomainOf == nil }
  for domain in others.sorted(by: { ($0.name, $0.id) < ($1.name, $1.id) }) {
    let steps = UndeclaredSteps(planner: planner).steps(in: domain, declaring: [])
    if !steps.isEmpty { plan.domains.append(DomainPlan(domain, steps: steps)) }
    losses.note(domain, steps)
  }
  if !observation.runs.isEmpty {
    for index in plan.domains.indices {
      plan.domains[index].run = plan.domains[index].uuid.flatMap { observation.runs[$0]?.holder }
    }
  }
  let host = HostSteps(planner: planner)
  plan.hostSteps = host.steps()
  plan.bookkeeping = host.bookkeeping() + host.settledIntents(besides: plan)
  plan.driverSteps = DriverSteps(planner: planner).steps(for: plan)
  plan.refusal = losses.refusal ?? plan.excessiveRemovals
  return plan
}

extension Plan {
  /// The refusal of a plan that takes more devices from domains than the policy allows.
  fileprivate var excessiveRemovals: PlanRefusal? {
    guard let limit = policy.maxRemovals else { return nil }
    let removals = count { $0.change?.isRemoval == true }
    return removals > limit ? .tooManyRemovals(planned: removals, allowed: limit) : nil
  }
}

extension DomainPlan {
  init(_ domain: Guest, steps: [DeviceStep], unresolved: [UnresolvedStep] = []) {
    self.init(
      name: domain.name, uuid: domain.uuid, id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle,
      stubDomain: domain.observed.stubDomain, steps: steps, unresolved: unresolved)
  }
}
