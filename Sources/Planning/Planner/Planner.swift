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
  let declarations: [PCIAddress: Name]
  /// What is declared for each domain.
  let declaredDevices: [Name: [PCIAddress]]
  /// What the policy and the sets permit to remove.
  let removals: RemovalRules
  /// Which living domain each declaration means.
  let matches: DomainMatches
  /// What unresolved selections may mean.
  let reservations: Reservations
  /// The declared devices that pciback does not have yet.
  let unpreparedDevices: Set<PCIAddress>
  /// What stands on the host's devices; nil if no declared device would be taken from a driver.
  private let interlockRules: InterlockRules?

  init(desired: DesiredState, index: ObservationIndex) {
    let desired = desired.resolved(in: index.observation.inventory)
    self.desired = desired
    self.index = index
    var declarations = [PCIAddress: Name](minimumCapacity: index.observation.devices.count)
    // The first declaration of a device stays.
    for domain in desired.domains.reversed() {
      for device in domain.devices { declarations[device.address] = domain.name }
    }
    self.declarations = declarations
    declaredDevices = Dictionary(
      desired.domains.map { ($0.name, $0.devices.map(\.address)) }, uniquingKeysWith: { $0 + $1 })
    removals = RemovalRules(desired: desired, index: index, declarations: declarations)
    matches = DomainMatches(desired, index, removals)
    reservations = Reservations(desired, matches, index.observation.inventory)
    unpreparedDevices = Set(
      index.devices.all.filter { $0.awaitsPreparation && declarations[$0.address] != nil }.map(\.address)
    ).subtracting(index.rebinding)
    interlockRules = unpreparedDevices.isEmpty ? nil : index.observation.hostUse?.rules(index)
  }

  /// Returns what stands on a device that would be taken from its driver. What was not looked at is unknown.
  func interlocks(on device: PCIAddress) -> [Interlock] {
    let name = FunctionName(device)
    guard let interlockRules else { return [Interlock(.unknown, chain: [.function(name), .gap])] }
    return interlockRules.interlocks(
      on: name, takenWith: Set(unpreparedDevices.map { FunctionName($0) }),
      openings: observation.hostUse?.openings[name] ?? [])
  }

  /// Whether Berth attached or adopted the device in this domain, or said it was about to.
  func isOwned(_ device: PCIAddress, in domain: Guest) -> Bool { index.isOwned(device, in: domain) }

  /// Returns whether the device may be taken out of this domain. The rules must permit it, and the domain must be known
  /// to be the one that is meant.
  func mayRemove(_ device: PCIAddress, from domain: Guest) -> Bool {
    reservations.selection(for: device, in: domain) == nil && !matches.doubtful.contains(domain.key)
      && removals.permit(device, from: domain)
  }

  /// Whether the device is declared for this very domain.
  func isDeclared(_ device: PCIAddress, for domain: Guest) -> Bool {
    declarations[device].flatMap { matches.guest($0) }?.key == domain.key
  }

  /// Whether the device is declared, but not for this domain.
  func isDeclaredElsewhere(_ device: PCIAddress, than domain: Guest) -> Bool {
    declarations[device] != nil && !isDeclared(device, for: domain)
  }

  /// Returns the plan of each domain that a declaration means, or may mean; of the declaration itself if there is none.
  func plans(for wanted: DesiredDomain) -> [DomainPlan] {
    switch matches[wanted.name] {
    case .guest(let domain): [plan(for: wanted, in: domain)]
    case .absent: [absentPlan(for: wanted, nil)]
    case .doubtful(let guests, let doubt): doubtfulPlans(for: wanted, guests, doubt)
    }
  }

  private func doubtfulPlans(
    for wanted: DesiredDomain, _ guests: [Guest], _ doubt: Guest.Obstruction
  ) -> [DomainPlan] {
    // A domain that another declaration means without a doubt has its plan already.
    let free = guests.filter { matches.doubtful.contains($0.key) }
    if free.isEmpty { return [absentPlan(for: wanted, doubt)] }
    return free.enumerated().map { number, guest in doubtfulPlan(for: wanted, guest, doubt, isFirst: number == 0) }
  }

  private func plan(for wanted: DesiredDomain, in domain: Guest) -> DomainPlan {
    var declared: [DeviceStep] = []
    var repairs: [DeviceStep] = []
    declared.reserveCapacity(wanted.devices.count)
    for wanted in wanted.devices {
      let device = DeclaredDevice(wanted, in: domain, self)
      declared.append(device.step())
      repairs += device.repairs()
    }
    let undeclared = UndeclaredSteps(planner: self).steps(in: domain, declaring: Set(wanted.devices.map(\.address)))
    let fitting = BusRoom(planner: self).steps(declared, besides: undeclared, in: domain)
    var steps = WholeCards.steps(fitting) + undeclared
    steps.sort { $0.device < $1.device }
    steps += repairs.sorted { $0.device < $1.device }
    return DomainPlan(domain, steps: steps, unresolved: unresolved(of: wanted))
  }

  /// The plan of a domain that does not exist now. Whoever has one of its devices keeps the device until it does.
  private func absentPlan(for wanted: DesiredDomain, _ doubt: Guest.Obstruction?) -> DomainPlan {
    let id = wanted.uuid.map(StepID.Domain.uuid) ?? .name(wanted.name)
    let cards = WholeCards.blocks(of: wanted.devices) { [self] in block($0) }
    let steps = wanted.devices.map { device -> DeviceStep in
      let found = index.devices[device.address]
      if let doubt {
        return step(
          device, found: found, .blocked(doubt.obstacle), in: id, evidence: doubt.evidence, remedy: doubt.remedy)
      }
      let holder = index.listings[device.address]?.first.flatMap { index.living[$0] }
      let block = block(device.address)?.evidence ?? device.card.flatMap { cards[$0] }
      return step(
        device, found: found, .pending(.domainAbsent), in: id,
        evidence: holder.map { "the domain does not exist now; \($0.label) has the device until then" }
          ?? block.map { "the domain does not exist now; \($0)" })
    }
    return DomainPlan(
      name: wanted.name, uuid: wanted.uuid, steps: steps.sorted { $0.device < $1.device },
      unresolved: unresolved(of: wanted))
  }

  /// Returns what keeps a declared device from being given to pciback; nil if nothing does, or if pciback has it.
  private func block(_ device: PCIAddress) -> Need? {
    unpreparedDevices.contains(device) ? DriverSteps(planner: self).block(device) : nil
  }

  /// Returns the steps of the devices that were not found, in order of label.
  private func unresolved(of wanted: DesiredDomain) -> [UnresolvedStep] {
    wanted.unresolved.map { UnresolvedStep($0, in: observation.inventory) }.sorted { $0.label < $1.label }
  }

  /// The plan of a domain that may be the declared one. Its devices stay as they are: the declared ones, and those that
  /// are Berth's. The first of such domains gets what none of them has.
  private func doubtfulPlan(
    for wanted: DesiredDomain, _ guest: Guest, _ doubt: Guest.Obstruction, isFirst: Bool
  ) -> DomainPlan {
    let declared = wanted.devices.filter { device in
      let holders = (index.listings[device.address] ?? []).compactMap { index.living[$0]?.key }
      return holders.contains(guest.key) || isFirst && matches.doubtful.isDisjoint(with: holders)
    }
    var steps = declared.map {
      step(
        $0, found: index.devices[$0.address], .blocked(doubt.obstacle), in: .uuid(guest.uuid),
        evidence: doubt.evidence, remedy: doubt.remedy)
    }
    let shown = Set(declared.map(\.address))
    for entry in guest.entries {
      guard let device = entry.device, !shown.contains(device), isOwned(device, in: guest) else { continue }
      steps.append(
        undeclared(
          device, .blocked(doubt.obstacle), in: guest, before: entry.options,
          evidence: "the device is Berth's in \(guest.label); \(doubt.evidence)", remedy: doubt.remedy))
    }
    return DomainPlan(
      guest, steps: steps.sorted { $0.device < $1.device }, unresolved: isFirst ? unresolved(of: wanted) : [])
  }

  /// Returns a step for a device that is declared for the domain. `found` is the device as found.
  func step(
    _ wanted: DesiredDevice, found: ObservedDevice?, _ kind: DeviceStep.Kind, in domain: StepID.Domain,
    before: DeviceOptions? = nil, holder: DomainTarget? = nil, isMissing: Bool = false, evidence: String? = nil,
    remedy: String? = nil, effects: [String] = []
  ) -> DeviceStep {
    var step = DeviceStep(
      domain: domain, device: wanted.address, deviceID: found?.facts?.id ?? wanted.id,
      serial: wanted.serial, label: wanted.label, kind: kind, before: before, after: wanted.options, holder: holder,
      isRequired: wanted.isRequired, isMissing: isMissing, evidence: evidence, remedy: remedy, effects: effects)
    step.card = wanted.card
    return step
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
    return left.subtracting(index.announced[domain.key] ?? []).subtracting(domain.listed)
  }

  /// Whether Xen or a claim says that some domain has the device.
  func isHeld(_ device: PCIAddress) -> Bool { index.devices[device]?.isHeld == true }

  /// Whether the device is shown once, as the move it is, in the domain that gets it.
  func movesOut(_ device: PCIAddress, of domain: Guest) -> Bool {
    guard let target = declarations[device], let receiver = matches.guest(target), receiver.key != domain.key,
      mayRemove(device, from: domain)
    else { return false }
    return receiver.wait == nil && domain.wait == nil
  }
}

extension ObservedDevice {
  /// Whether Xen or a claim says that some domain has the device.
  var isHeld: Bool { assignment == .assigned || claim != nil }
}
