package import Model
import XenProtocol

/// Puts together a manifest of what a host has.
///
/// The planner decides what can be declared: a manifest is imported if a plan for it adopts devices and changes nothing
/// else. What would change something stands in the manifest as a comment, with the change.
package struct HostImport {
  private var manifest: ImportedManifest

  /// Lists the devices of all guests. `canName` returns whether a manifest can have the name of a domain.
  package init(
    hostName: String?, index: ObservationIndex, inventory: Inventory?, canName: (Name) -> Bool
  ) {
    manifest = ImportedManifest(hostName: hostName)
    let guests = index.domains.filter { $0.stubDomainOf == nil }
    let counts = Dictionary(guests.map { ($0.name, 1) }, uniquingKeysWith: +)
    let holders = Dictionary(
      guests.flatMap { guest in Set(guest.entries.compactMap(\.device)).map { ($0, [guest.id]) } }, uniquingKeysWith: +)
    for guest in guests.sorted(by: { ($0.name, $0.id) < ($1.name, $1.id) }) {
      let addresses = Set(guest.entries.compactMap(\.device)).sorted()
      let lines = guest.observed.otherSavedLines
      guard !addresses.isEmpty || !lines.isEmpty else { continue }
      var domain = ImportedDomain(
        name: guest.name, uuid: guest.uuid.bytes.contains { $0 != 0 } ? guest.uuid : nil, kind: guest.kind,
        devices: addresses.map { ImportedDevice($0, in: inventory) }, remarks: lines.map(ImportRemark.savedLine))
      domain.id = guest.id
      domain.lifecycle = guest.lifecycle
      domain.stubDomain = guest.observed.stubDomain
      for (position, address) in addresses.enumerated() {
        if domain.devices[position].function == nil {
          domain.devices[position].selector.id = index.devices[address]?.facts?.id
        }
        if let other = holders[address]?.first(where: { $0 != guest.id }), let rival = index.living[other] {
          domain.devices[position].leaveOut(.listedTwice(Name(rival.name.title(of: other))))
        }
      }
      if !canName(guest.name) {
        domain.leaveOut(.domainName)
      } else if counts[guest.name, default: 0] > 1 {
        domain.leaveOut(.nameShared)
      }
      manifest.domains.append(domain)
    }
    manifest.nameDevices()
  }

  /// Everything that may be declared: what the next look at the host is to be for.
  package var candidates: DesiredState { manifest.desired }

  /// Returns the manifest of which `plan` says that nothing but an adoption follows from it.
  ///
  /// `index` must be that of an observation for `candidates`.
  package func settled(
    by index: ObservationIndex, plan: (DesiredState, ObservationIndex) -> Plan
  ) -> ImportedManifest {
    var manifest = manifest
    manifest.takeOptions(from: plan(manifest.desired, index))
    let undeclared = plan(DesiredState(policy: Policy(prune: .never)), index)
    let known = Set(undeclared.steps.filter(\.isChange).map(\.id))
    let owned = Dictionary(
      index.domains.map { guest in
        (guest.uuid, Set(guest.entries.compactMap(\.device).filter { index.isOwned($0, in: guest) }))
      },
      uniquingKeysWith: { $0.union($1) })
    // Each pass leaves out something, or ends it.
    while manifest.leaveOutChanges(of: plan(manifest.desired, index), besides: known, owned: owned) {}
    let repairs = undeclared.hostSteps.count(where: \.isChange)
    if repairs > 0 { manifest.remarks.append(.hostRepairs(repairs)) }
    return manifest
  }
}

extension ImportedManifest {
  /// Gives each device the options that it has, as a plan found them.
  fileprivate mutating func takeOptions(from plan: Plan) {
    var found: [StepID.Domain: [PCIAddress: DeviceOptions]] = [:]
    for step in plan.steps { if let options = step.before { found[step.domain, default: [:]][step.device] = options } }
    for index in domains.indices {
      guard let uuid = domains[index].uuid, let options = found[.uuid(uuid)] else { continue }
      let isHVM = domains[index].kind == .hvm
      let slots = Dictionary(options.values.compactMap(\.virtualSlot).map { ($0, 1) }, uniquingKeysWith: +)
      for position in domains[index].devices.indices {
        guard var own = options[domains[index].devices[position].address] else { continue }
        if let slot = own.virtualSlot, !isHVM || slots[slot, default: 0] > 1 {
          domains[index].devices[position].remarks.append(.slot(slot, isHVM ? .shared : .kind))
          own.virtualSlot = nil
        }
        domains[index].devices[position].options = own
      }
    }
  }

  /// Makes comments of what leads to changes; returns whether anything was left out, so that another plan is needed.
  ///
  /// `known` are the changes that an empty manifest leads to as well. What is Berth's already stays declared: left out,
  /// it would be taken from its domain.
  fileprivate mutating func leaveOutChanges(
    of plan: Plan, besides known: Set<StepID>, owned: [DomainUUID: Set<PCIAddress>]
  ) -> Bool {
    var isChanged = false
    var losses = plan.refusal != nil
    for part in plan.domains {
      guard let index = domains.firstIndex(where: { $0.isDeclared && $0.isMeant(by: part) }) else {
        losses = losses || part.steps.contains { $0.isChange && !known.contains($0.id) }
        continue
      }
      let own = part.uuid.flatMap { owned[$0] } ?? []
      var others: [DeviceStep] = []
      for step in part.steps where !step.isHarmless {
        if step.after != nil, let position = domains[index].devices.firstIndex(where: { $0.address == step.device }) {
          isChanged =
            note(step, of: &domains[index].devices[position], isOwned: own.contains(step.device)) || isChanged
        } else if step.isChange, !known.contains(step.id) {
          others.append(step)
        }
      }
      for step in part.unresolved {
        guard let position = domains[index].devices.firstIndex(where: { $0.label == step.label && !$0.isLeftOut })
        else { continue }
        domains[index].devices[position].leaveOut(.deviceUnresolved(step))
        isChanged = true
      }
      if others.contains(where: { $0.change?.kind == .detach }), prune == nil {
        losses = true
      } else if !others.isEmpty {
        if own.isEmpty {
          domains[index].leaveOut(.domainWouldChange(others))
          isChanged = true
        } else if !domains[index].remarks.contains(.domainWouldChange(others)) {
          domains[index].remarks.append(.domainWouldChange(others))
        }
      }
    }
    if losses, prune == nil {
      prune = .never
      remarks.append(.keepsUndeclared)
      isChanged = true
    }
    return isChanged
  }
}

extension ImportedDomain {
  /// Whether a plan's part is about this domain.
  fileprivate func isMeant(by part: DomainPlan) -> Bool {
    uuid != nil && part.uuid != nil ? uuid == part.uuid : name == part.name
  }
}

/// Notes a step of a device; returns whether the device was left out for it.
private func note(_ step: DeviceStep, of device: inout ImportedDevice, isOwned: Bool) -> Bool {
  if isOwned {
    if !device.remarks.contains(.ownedChanges(step)) { device.remarks.append(.ownedChanges(step)) }
    return false
  }
  // Two steps may be about one device: both are worth knowing.
  let isFirst = !device.isLeftOut
  device.leaveOut(.deviceWouldChange(step))
  return isFirst
}

extension DeviceStep {
  /// Whether nothing happens to the host because of the step.
  fileprivate var isHarmless: Bool {
    switch kind {
    case .change(.adopt, _), .unchanged, .kept, .foreign, .drift: true
    case .change, .blocked, .pending: false
    }
  }
}
