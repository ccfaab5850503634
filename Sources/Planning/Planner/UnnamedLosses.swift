import Model

/// What domains lose that no manifest names. A file that was left out, a wrong host name or a failed template looks like
/// the wish that these domains have no devices.
struct UnnamedLosses {
  private let planner: Planner
  private var names: [String] = []
  private var count = 0

  init(planner: Planner) { self.planner = planner }

  /// Notes what a domain without a manifest loses of what Berth owns.
  ///
  /// A removal that waits for its domain, or for a person, counts: whether a plan is refused does not depend on when the
  /// domain can take a change.
  mutating func note(_ domain: Guest, _ steps: [DeviceStep]) {
    guard planner.desired.completeness != .stated, planner.desired.policy.prune != .never else { return }
    let lost = steps.count { step in
      let isLost =
        switch step.kind {
        case .change(.detach(_, because: .notDeclared), _): true
        // A device that is declared for another domain may wait for that domain.
        case .pending, .blocked:
          planner.declarations[step.device] == nil
            && planner.reservations.selection(for: step.device, in: domain) == nil
        case .change, .unchanged, .kept, .foreign, .drift: false
        }
      return isLost && planner.isOwned(step.device, in: domain)
    }
    guard lost > 0 else { return }
    names.append(domain.title)
    count += lost
  }

  /// Why the plan is refused; nil if the losses are none, or are asked for.
  ///
  /// `maxRemovals` permits the losses only if some domain is declared, and no document is left out by a wrong host name.
  /// Otherwise the plan could take all devices of the host.
  var refusal: PlanRefusal? {
    guard count > 0 else { return nil }
    let desired = planner.desired
    if desired.domains.isEmpty { return .emptyManifest(planned: count) }
    let isBounded = desired.policy.maxRemovals != nil && desired.completeness == .assumed
    return isBounded ? nil : .domainLeftOut(names: names, planned: count)
  }
}
