import Model
import XenProtocol

/// What is desired, beside what was observed: what all kinds of steps are made from.
///
/// A class, so that the kinds of steps share one copy of the index.
final class Planner {
  let desired: DesiredState
  let index: ObservationIndex
  var observation: Observation { index.observation }
  /// Where each device is declared.
  let declarations: [PCIAddress: String]
  /// What is declared for each domain.
  let declaredDevices: [String: [PCIAddress]]

  init(desired: DesiredState, index: ObservationIndex) {
    self.desired = desired
    self.index = index
    var declarations = [PCIAddress: String](minimumCapacity: index.observation.devices.count)
    for domain in desired.domains {
      for device in domain.devices where declarations[device.address] == nil {
        declarations[device.address] = domain.name
      }
    }
    self.declarations = declarations
    declaredDevices = Dictionary(
      desired.domains.map { ($0.name, $0.devices.map(\.address)) }, uniquingKeysWith: { $0 + $1 })
  }

  /// Whether Berth attached or adopted the device in this domain, or said it was about to.
  func isOwned(_ device: PCIAddress, in domain: Guest) -> Bool {
    index.owned[domain.uuid]?.contains(device) == true || index.intended[domain.key]?.contains(device) == true
  }

  /// Whether the policy lets the device be taken out of this domain.
  func mayRemove(_ device: PCIAddress, from domain: Guest) -> Bool {
    switch desired.policy.prune {
    case .never: false
    case .owned: isOwned(device, in: domain)
    case .all: true
    }
  }

  func plan(for wanted: DesiredDomain) -> DomainPlan {
    let candidates = index.guests[wanted.name] ?? []
    guard let domain = candidates.first else {
      let id = wanted.uuid.map(StepID.Domain.uuid) ?? .name(wanted.name)
      return DomainPlan(
        name: wanted.name, uuid: wanted.uuid,
        steps: wanted.devices.map { step($0, .pending(.domainAbsent), in: id) }.sorted { $0.device < $1.device })
    }
    if let doubt = doubt(about: wanted, candidates, domain) {
      return DomainPlan(
        domain,
        steps: wanted.devices.map {
          step(
            $0, .blocked(doubt.obstacle), in: .uuid(domain.uuid), evidence: doubt.evidence, remedy: doubt.remedy)
        })
    }
    let declared = wanted.devices.map { DeclaredSteps(planner: self).step(for: $0, in: domain) }
    let repairs = wanted.devices.flatMap { RepairSteps(planner: self).steps(for: $0, in: domain) }
    let undeclared = UndeclaredSteps(planner: self).steps(in: domain, declaring: Set(wanted.devices.map(\.address)))
    let steps = (declared + undeclared).sorted { $0.device < $1.device } + repairs.sorted { $0.device < $1.device }
    return DomainPlan(domain, steps: steps)
  }

  /// Returns why the domain found may not be the one that is meant; nil if it is.
  private func doubt(about wanted: DesiredDomain, _ candidates: [Guest], _ found: Guest) -> Guest.Obstruction? {
    if candidates.count > 1 {
      return Guest.Obstruction(
        obstacle: .domainAmbiguous,
        evidence: "domains \(candidates.map(\.id.description).joined(separator: " and ")) have this name", remedy: nil)
    }
    guard let uuid = wanted.uuid, uuid != found.uuid else { return nil }
    return Guest.Obstruction(
      obstacle: .domainMismatch, evidence: "the domain's uuid is \(found.uuid), but the manifest says \(uuid)",
      remedy: nil)
  }

  /// Returns a step for a device that is declared for the domain.
  func step(
    _ wanted: DesiredDevice, _ kind: DeviceStep.Kind, in domain: StepID.Domain, before: DeviceOptions? = nil,
    holder: DomainTarget? = nil, isMissing: Bool = false, evidence: String? = nil, remedy: String? = nil,
    effects: [String] = []
  ) -> DeviceStep {
    DeviceStep(
      domain: domain, device: wanted.address, deviceID: index.devices[wanted.address]?.facts?.id ?? wanted.id,
      label: wanted.label, kind: kind, before: before, after: wanted.options, holder: holder,
      isRequired: wanted.isRequired, isMissing: isMissing, evidence: evidence, remedy: remedy, effects: effects)
  }

  /// Returns a step for a device that is not declared for the domain.
  func undeclared(
    _ device: PCIAddress, _ kind: DeviceStep.Kind, in domain: Guest, before: DeviceOptions? = nil,
    evidence: String? = nil, remedy: String? = nil, effects: [String] = []
  ) -> DeviceStep {
    DeviceStep(
      domain: .uuid(domain.uuid), device: device,
      deviceID: recordedIdentity(of: device, in: domain)?.id ?? index.devices[device]?.facts?.id, kind: kind,
      before: before, evidence: evidence, remedy: remedy, effects: effects)
  }

  /// Devices that a killed run meant to attach or detach, that no live one is at work on, and the bus does not list.
  func leftByDeadRuns(in domain: Guest) -> Set<PCIAddress> {
    guard let left = index.abandoned[domain.key] else { return [] }
    return left.subtracting(index.announced[domain.key] ?? [])
      .subtracting(domain.entries.compactMap(\.device))
  }

  /// Whether Xen or a claim says that some domain has the device.
  func isHeld(_ device: PCIAddress) -> Bool {
    index.devices[device]?.assignment == .assigned || index.devices[device]?.claim != nil
  }

  /// Whether the device is shown once, as the move it is, in the domain that gets it.
  func movesOut(_ device: PCIAddress, of domain: Guest) -> Bool {
    guard let target = declarations[device], target != domain.name, mayRemove(device, from: domain),
      let receiver = index.guests[target]?.first
    else { return false }
    return receiver.wait == nil && domain.wait == nil
  }
}
