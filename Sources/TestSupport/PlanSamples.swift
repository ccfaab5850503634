package import Model
package import Planning
import XenProtocol

extension Plan {
  /// One step in one domain.
  package static func one(_ kind: DeviceStep.Kind, isRequired: Bool = true, refusal: PlanRefusal? = nil) -> Plan {
    let device = Sample.address(0)
    return Plan(
      host: HostFacts(name: "host17", xenVersion: XenVersion.simulated.description), domainCount: 1, deviceCount: 1,
      policy: Policy(),
      domains: [
        DomainPlan(
          name: "sys-net", id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [DeviceStep(domain: .name("sys-net"), device: device, kind: kind, isRequired: isRequired)])
      ], refusal: refusal)
  }
}

extension DeviceStep.Kind {
  /// An attach or a detach that the manifest asks for.
  package static func attach() -> Self {
    .change(.attach(DeviceOptions(), because: .declared), in: .some("sys-net"))
  }
  package static func detach() -> Self {
    .change(.detach(DeviceOptions(), because: .notDeclared), in: .some("sys-net"))
  }
}

extension DomainTarget {
  /// A running PV domain.
  package static func some(_ name: Name) -> DomainTarget {
    DomainTarget(key: DomainKey(id: DomainID(2), uuid: Sample.uuid(2)), name: name, route: .frontEnd, mode: .hot)
  }
}

extension ApplyOutcome {
  /// Returns one domain with a step per result.
  package static func of(
    _ results: StepResult..., isUndone: Bool = false, isLockBusy: Bool = false, failure: OutcomeDetail? = nil
  ) -> ApplyOutcome {
    let device = Sample.address(0)
    return ApplyOutcome(domains: [
      DomainOutcome(
        name: "sys-net", id: DomainID(2),
        steps: results.map { StepOutcome(device: device, action: .attach, result: $0, isUndone: isUndone) },
        failure: failure, isLockBusy: isLockBusy)
    ])
  }

  /// Returns the same outcome with a change that nobody was shown, and that was not made.
  package func withUnshownChange() -> ApplyOutcome {
    let step = DeviceStep(domain: .name("sys-net"), device: Sample.address(1), kind: .attach(), isRequired: true)
    var outcome = self
    outcome.notShown = [UnshownChange(domain: "sys-net", uuid: Sample.uuid(2), id: DomainID(2), step: step)]
    return outcome
  }
}
