import Model
import Ports
import XenProtocol

/// The steps that take declared devices from drivers of dom0, and that return devices which Berth took.
struct DriverSteps {
  let planner: Planner

  /// Returns what keeps a declared device from being given to pciback; nil if nothing does.
  ///
  /// pciback must not have the device yet.
  func block(_ device: PCIAddress) -> Need? {
    guard let found = planner.index.devices[device], let facts = found.facts else { return nil }
    // What an ended run began is finished, whatever the policy says now.
    let isBegun = planner.index.preparations[device].map { $0.phase != .prepared } ?? false
    guard planner.desired.policy.hostDrivers == .prepare || isBegun, let binding = found.binding else {
      return Need(
        .blocked(.notAssignable),
        evidence: (facts.driver.map { "its driver is \($0), not pciback" } ?? "it is bound to no driver")
          + (planner.desired.policy.hostDrivers == .never ? "; policy.hostDrivers is never" : ""),
        remedy: planner.remedy(forTaking: device))
    }
    if let damage = planner.index.damage(ofPreparation: device) {
      return Need(.blocked(.ownFileDamaged), evidence: damage.evidence, remedy: damage.remedy)
    }
    guard facts.id != nil else {
      return Need(.blocked(.identityUnknown), evidence: "sysfs gives no vendor and device")
    }
    if binding.isOverrideUnknown {
      // Nobody may override this: it is no statement about what stands on the device.
      return Need(.blocked(.interlockUnknown), evidence: DriverBinding.unknownOverride)
    }
    if binding.isReserved, let override = binding.driverOverride {
      return Need(
        .blocked(.driverReserved),
        evidence: "its driver_override is \(override): another program, or a person, reserved it for that driver")
    }
    if !found.virtualFunctions.isEmpty {
      let children = found.virtualFunctions.map(\.description).joined(separator: ", ")
      return Need(
        .blocked(.hasVirtualFunctions),
        evidence: "\(facts.driver ?? "its driver") would remove its virtual functions \(children) when it releases the "
          + "device")
    }
    if !planner.observation.host.hasPCIBack, !planner.desired.policy.loadsModules {
      return Need(.blocked(.pcibackNotLoaded), evidence: "dom0's kernel has not loaded pciback")
    }
    return interlock(device)
  }

  /// Returns the refusal to take what the host, or another guest, stands on; nil if nothing is known to.
  private func interlock(_ device: PCIAddress) -> Need? {
    let found = planner.interlocks(on: device)
    let override = planner.desired.policy.overrides[device]
    guard let obstacle = found.obstacle(overriddenBy: override) else { return nil }
    let left = found.refusals(overriddenBy: override).line
    return Need(
      .blocked(obstacle), evidence: left + (override == nil ? "" : " (this cannot be overridden)"), interlocks: found)
  }

  /// Returns the devices that are given to pciback before the work on the domains of `plan`, and those that are returned
  /// to their drivers after it.
  func steps(for plan: Plan) -> [DriverStep] {
    (preparations(for: plan) + releases(besides: plan)).sorted {
      ($0.kind.order, $0.device) < ($1.kind.order, $1.device)
    }
  }

  private func preparations(for plan: Plan) -> [DriverStep] {
    // A record of another card says nothing.
    let unfinished = Set(
      planner.index.preparations.values.filter { record in
        record.phase != .prepared && planner.index.devices[record.device]?.facts.map(record.identity.fits) == true
      }.map(\.device))
    guard !planner.unpreparedDevices.isEmpty || !unfinished.isEmpty else { return [] }
    let stoppedCards = stoppedCards(in: plan)
    var seen: Set<PCIAddress> = []
    var steps: [DriverStep] = []
    for domain in plan.domains {
      for step in domain.steps where step.after != nil {
        let device = step.device
        // A device that pciback has may still be reserved, even if the guest has it: its record says that it is on the way.
        let facts = planner.index.devices[device]?.facts
        let isUnfinished = unfinished.contains(device) && facts?.isOnPCIBack == true
        guard isUnfinished || planner.unpreparedDevices.contains(device) && awaitsDevice(step),
          seen.insert(device).inserted,
          !planner.unpreparedDevices.contains(device) || block(device) == nil
        else { continue }
        // A card of which one function cannot be taken stays as it is; but what an ended run began is finished.
        guard unfinished.contains(device) || step.card.map({ !stoppedCards.contains($0) }) ?? true else { continue }
        var prepare = DriverStep(
          .prepare, device: device, deviceID: step.deviceID, serial: step.serial, label: step.label,
          driver: planner.index.devices[device]?.binding?.driver.flatMap { $0 == DriverBinding.pciback ? nil : $0 },
          domain: domain.name, isResumed: unfinished.contains(device),
          loadsPCIBack: !planner.observation.host.hasPCIBack, evidence: overridden(device),
          override: planner.desired.policy.overrides[device])
        prepare.card = step.card
        steps.append(prepare)
      }
    }
    return steps
  }

  /// Returns the cards that are taken as a whole, and of which one function cannot be taken.
  private func stoppedCards(in plan: Plan) -> Set<PCIAddress> {
    var cards: Set<PCIAddress> = []
    for step in plan.domains.lazy.flatMap(\.steps) {
      guard let card = step.card, !cards.contains(card) else { continue }
      if case .blocked = step.kind {
        cards.insert(card)
      } else if planner.unpreparedDevices.contains(step.device), block(step.device) != nil {
        cards.insert(card)
      }
    }
    return cards
  }

  /// Returns what stands on a device that is taken all the same; nil if nothing does.
  private func overridden(_ device: PCIAddress) -> String? {
    guard planner.unpreparedDevices.contains(device) else { return nil }
    let refusals = planner.interlocks(on: device).filter(\.isRefusal)
    return refusals.isEmpty ? nil : "overridden: \(refusals.line)"
  }

  /// Returns whether the step gives its domain the device, now or once the domain can take it.
  private func awaitsDevice(_ step: DeviceStep) -> Bool {
    switch step.kind {
    case .change(.attach, _), .change(.move, _), .change(.reattach, _), .pending, .blocked(.cardBlocked): true
    case .change, .unchanged, .kept, .foreign, .blocked, .drift: false
    }
  }

  private func releases(besides plan: Plan) -> [DriverStep] {
    guard !planner.index.preparations.isEmpty else { return [] }
    let detached = Set(
      plan.domains.flatMap(\.steps).compactMap { step -> PCIAddress? in
        if case .change(.detach, _) = step.kind { step.device } else { nil }
      })
    return planner.index.preparations.values.compactMap { record -> DriverStep? in
      let device = record.device
      guard planner.declarations[device] == nil, !planner.reservations.mayMean(device),
        let facts = planner.index.devices[device]?.facts, record.identity.fits(facts),
        planner.index.user(of: device) == nil || detached.contains(device),
        // What a person began by hand belongs to no set.
        record.set.map({ $0 == planner.desired.set }) ?? (record.phase != .prepared)
      else { return nil }
      if record.phase == .prepared {
        guard facts.isOnPCIBack, planner.desired.policy.afterDetach == .restore else { return nil }
      }
      return DriverStep(
        .release, device: device, deviceID: facts.id, driver: record.driver, isResumed: record.phase != .prepared,
        evidence: record.phase == .preparing ? "an ended run began to take it from its driver" : nil)
    }
  }
}

extension DriverStep.Kind {
  /// Devices are taken before the domains are worked on, and returned afterwards.
  fileprivate var order: Int { self == .prepare ? 0 : 1 }
}

extension ObservedDevice {
  /// Whether the device is there, and pciback does not have it. A bridge is never given to pciback.
  package var awaitsPreparation: Bool {
    guard let facts else { return false }
    return !facts.isOnPCIBack && !facts.isBridge
  }
}
