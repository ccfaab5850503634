package import Model

/// The changes of a plan in the order they can be made in.
///
/// Host steps, bookkeeping and preparations come first, and releases last. Between them, all domains are worked on side by side. Each domain begins with its
/// adoptions, repairs and removals. A domain that waits for no other one makes its additions at once. The other ones
/// make theirs when every domain has removed what it is to remove, so that each bus still has one round.
package struct Schedule: Hashable, Sendable {
  package fileprivate(set) var hostSteps: [HostStep] = []
  package fileprivate(set) var bookkeeping: [RecordChange] = []
  /// Devices that are taken from their drivers before the work on the domains.
  package fileprivate(set) var preparations: [DriverStep] = []
  /// Devices that are returned to their drivers after it.
  package fileprivate(set) var releases: [DriverStep] = []
  /// One per domain that something is done to, also for a domain that only loses a device.
  package fileprivate(set) var domains: [DomainWork] = []

  /// Nothing to do.
  package init() {}

  /// The domains whose additions wait until other domains have made their removals.
  package var waiting: [DomainWork] { domains.filter(\.waitsForOthers) }
}

/// Everything that is done to one domain.
// Size 3/8: the lists are the parts of one domain's work, and `makeSchedule` alone fills them.
package struct DomainWork: Hashable, Sendable {
  package let target: DomainTarget
  package fileprivate(set) var adoptions: [Adoption] = []
  package fileprivate(set) var repairs: [RepairWork] = []
  package fileprivate(set) var removals: [Removal] = []
  package fileprivate(set) var reattachments: [Reattachment] = []
  package fileprivate(set) var additions: [Addition] = []
  /// Additions of devices that another domain has to release first.
  package fileprivate(set) var arrivals: [Addition] = []
  /// Additions that are not made, since their card is not taken.
  package fileprivate(set) var heldBack: [HeldBack] = []
  /// Devices that the plan saw in the domain.
  package fileprivate(set) var known: Set<PCIAddress> = []

  fileprivate init(_ target: DomainTarget) { self.target = target }

  package var waitsForOthers: Bool { !arrivals.isEmpty }
  /// How many devices the guest gains or loses.
  package var deviceCount: Int { removals.count + reattachments.count + additions.count + arrivals.count }
}

extension DomainWork {
  private var parts: [any DeviceWork] {
    adoptions + repairs + removals + reattachments.map(\.addition) + additions + arrivals + heldBack.map(\.addition)
  }

  /// The steps that the work consists of.
  package var steps: [StepID] { parts.map { StepID($0, in: target.key.uuid) } }

  /// Returns the step that ended so; nil if the work has no such step.
  package func step(of outcome: StepOutcome) -> StepID? {
    steps.first { $0.device == outcome.device && $0.kind == outcome.identity }
  }
}

extension Schedule {
  /// Returns the schedule without the additions of cards that are taken as a whole, and of which a function could not be
  /// taken. No domain loses such a device either.
  package func holdingBack(_ cards: [PCIAddress: OutcomeDetail]) -> Schedule {
    guard !cards.isEmpty else { return self }
    var domains = domains
    var staying: Set<PCIAddress> = []
    func cause(_ addition: Addition) -> OutcomeDetail? { addition.card.flatMap { cards[$0] } }
    for index in domains.indices {
      let held = (domains[index].additions + domains[index].arrivals).compactMap { addition in
        cause(addition).map { HeldBack(addition: addition, cause: $0) }
      }
      staying.formUnion(domains[index].arrivals.filter { cause($0) != nil }.map(\.device))
      domains[index].additions.removeAll { cause($0) != nil }
      domains[index].arrivals.removeAll { cause($0) != nil }
      domains[index].heldBack += held
    }
    for index in domains.indices { domains[index].removals.removeAll { staying.contains($0.device) } }
    var schedule = self
    schedule.domains = domains
    return schedule
  }
}

/// An addition that is not made, since a function of its card could not be taken.
package struct HeldBack: Hashable, Sendable {
  package let addition: Addition
  package let cause: OutcomeDetail

  package var outcome: StepOutcome {
    StepOutcome(
      device: addition.device, action: addition.kind, identity: addition.identity, result: .blocked, detail: cause,
      reason: .obstacle(.cardBlocked), isRequired: addition.isRequired)
  }
}

/// One device's part of the work on a domain.
package protocol DeviceWork: Hashable, Sendable {
  var device: PCIAddress { get }
  /// The word under which the result is reported.
  var kind: ChangeKind { get }
  /// What tells the step apart from others on the same device.
  var identity: StepID.Kind { get }
  var isRequired: Bool { get }
}

/// A device that the domain gets.
package struct Addition: DeviceWork {
  /// How the domain comes to get it.
  package enum Way: Hashable, Sendable { case attach, reattach, move }

  package let device: PCIAddress
  package let way: Way
  package let options: DeviceOptions
  /// What the plan took the device for; nil if sysfs did not show it.
  package let id: DeviceID?
  /// The serial number that the device must have; nil if nothing was said of it.
  package let serial: String?
  package let isRequired: Bool
  /// The card that is taken as a whole, and of which the domain lacks the device; nil if there is none.
  package var card: PCIAddress?

  package init(
    device: PCIAddress, kind way: Way = .attach, options: DeviceOptions, id: DeviceID? = nil, serial: String? = nil,
    isRequired: Bool = true
  ) {
    self.device = device
    self.id = id
    self.serial = serial
    self.way = way
    self.options = options
    self.isRequired = isRequired
  }

  /// Makes the addition that a step of the plan asks for.
  fileprivate init(_ step: DeviceStep, _ way: Way, _ options: DeviceOptions) {
    self.init(
      device: step.device, kind: way, options: options, id: step.deviceID, serial: step.serial,
      isRequired: step.isRequired)
    if step.givesDevice { card = step.card }
  }
}

/// A device that the domain loses.
package struct Removal: DeviceWork {
  /// How the domain comes to lose it.
  package enum Way: Hashable, Sendable { case detach, reattach }

  package let device: PCIAddress
  package let way: Way
  /// Those of its entry; nil if no entry is known.
  package let options: DeviceOptions?
  package let isRequired: Bool

  package init(device: PCIAddress, kind way: Way = .detach, options: DeviceOptions?, isRequired: Bool = true) {
    self.device = device
    self.way = way
    self.options = options
    self.isRequired = isRequired
  }
}

extension Addition {
  package var kind: ChangeKind {
    switch way {
    case .attach: .attach
    case .reattach: .reattach
    case .move: .move
    }
  }

  package var identity: StepID.Kind {
    switch way {
    case .attach: .attach
    case .reattach: .reattach
    case .move: .move
    }
  }
}

extension Removal {
  package var kind: ChangeKind {
    switch way {
    case .detach: .detach
    case .reattach: .reattach
    }
  }

  package var identity: StepID.Kind {
    switch way {
    case .detach: .detach
    case .reattach: .reattach
    }
  }
}

/// A device that the domain loses and gets back.
package struct Reattachment: Hashable, Sendable {
  package let removal: Removal
  package let addition: Addition
  package var device: PCIAddress { addition.device }
}

/// A device about which stores disagree.
package struct RepairWork: DeviceWork {
  package let device: PCIAddress
  package let repair: Repair
  package let isRequired: Bool
  package var kind: ChangeKind { .repair }
  package var identity: StepID.Kind { .repair(repair.drift) }

  package init(device: PCIAddress, repair: Repair, isRequired: Bool = true) {
    self.device = device
    self.repair = repair
    self.isRequired = isRequired
  }
}

/// A device that is recorded as Berth's.
package struct Adoption: DeviceWork {
  package let device: PCIAddress
  package let isRequired: Bool
  package var kind: ChangeKind { .adopt }
  package var identity: StepID.Kind { .adopt }
}

/// Returns the work that a plan's changes make. A refused plan makes none.
///
/// Pure and total: each change becomes the work that its own values describe.
package func makeSchedule(_ plan: Plan) -> Schedule {
  var schedule = Schedule()
  guard plan.refusal == nil else { return schedule }
  schedule.hostSteps = plan.hostSteps.filter(\.isChange)
  schedule.bookkeeping = plan.bookkeeping
  schedule.preparations = plan.driverSteps.filter { $0.kind == .prepare }
  schedule.releases = plan.driverSteps.filter { $0.kind == .release }
  var places: [DomainKey: Int] = [:]
  func place(_ target: DomainTarget) -> Int {
    if let place = places[target.key] { return place }
    places[target.key] = schedule.domains.count
    schedule.domains.append(DomainWork(target))
    return schedule.domains.count - 1
  }
  for domain in plan.domains {
    guard let target = domain.steps.lazy.compactMap(\.target).first else { continue }
    let own = place(target)
    for step in domain.steps {
      if step.before != nil { schedule.domains[own].known.insert(step.device) }
      guard let change = step.change else { continue }
      schedule.domains[own].add(change, of: step)
      if case .move(let source, _) = change {
        let other = place(source)
        schedule.domains[other].removals.append(
          Removal(device: step.device, options: nil, isRequired: step.isRequired))
        schedule.domains[other].known.insert(step.device)
      }
    }
  }
  return schedule
}

extension DomainWork {
  fileprivate mutating func add(_ change: Change, of step: DeviceStep) {
    let (device, isRequired) = (step.device, step.isRequired)
    switch change {
    case .attach(let options, _):
      additions.append(Addition(step, .attach, options))
    case .detach(let options, _):
      removals.append(Removal(device: device, options: options, isRequired: isRequired))
    case .reattach(let old, let new, _):
      reattachments.append(
        Reattachment(
          removal: Removal(device: device, kind: .reattach, options: old, isRequired: isRequired),
          addition: Addition(step, .reattach, new)))
    case .move(_, let options):
      arrivals.append(Addition(step, .move, options))
    case .repair(let repair):
      repairs.append(RepairWork(device: device, repair: repair, isRequired: isRequired))
    case .adopt: adoptions.append(Adoption(device: device, isRequired: isRequired))
    }
  }
}
