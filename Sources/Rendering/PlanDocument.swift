import Model
import Planning

/// A plan for programs: `{"formatVersion": 1, "kind": "Plan", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct PlanDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "Plan", formatVersion: 1)
  let host: HostDocument
  /// What `apply --expect` takes: it differs whenever a change differs, or a fact on which a change rests. Nil in the
  /// document of an apply.
  let fingerprint: String?
  let hasChanges: Bool
  /// Whether nothing of it may be applied; `refusal` says why.
  let isRefused: Bool
  let refusal: RefusalDocument?
  let set: String
  let otherSets: [String]
  let policy: PolicyDocument
  let summary: SummaryDocument
  let domains: [DomainPlanDocument]
  let hostDrift: [HostDriftDocument]
  /// Nil if no driver loses or gets a device.
  let drivers: [DriverStepDocument]?
  let bookkeeping: [RecordChangeDocument]
  /// Nil if the host has no lock.
  let lock: LockReportDocument?
  let warnings: [String]

  init(
    _ plan: Plan, warnings: [String], lock: LockReport? = nil, fingerprint: String? = nil, naming: DeviceNaming
  ) {
    self.fingerprint = fingerprint
    host = HostDocument(plan.host, domains: plan.domainCount, devices: plan.deviceCount)
    hasChanges = plan.hasChanges
    isRefused = plan.refusal != nil
    refusal = plan.refusal.map(RefusalDocument.init)
    set = plan.set
    otherSets = plan.otherSets
    policy = PolicyDocument(plan.policy)
    summary = SummaryDocument(plan)
    domains = plan.domains.map { DomainPlanDocument($0, naming: naming) }
    hostDrift = plan.hostSteps.map(HostDriftDocument.init)
    drivers =
      plan.driverSteps.isEmpty ? nil : plan.driverSteps.map { DriverStepDocument($0, naming: naming) }
    bookkeeping = plan.bookkeeping.map(RecordChangeDocument.init)
    self.lock = lock.map(LockReportDocument.init)
    self.warnings = warnings + (lock?.warnings ?? [])
  }
}

/// Why nothing of a plan may be applied.
struct RefusalDocument: Encodable, Sendable {
  let reason: String
  let meaning: String
  /// How many devices the plan removes.
  let planned: Int?
  /// How many the policy allows; nil if the number is no reason.
  var allowed: Int?
  /// The domains that no manifest names; nil if they are no reason.
  var domains: [String]?
  let remedy: String?

  init(_ refusal: PlanRefusal) {
    reason = refusal.name.rawValue
    meaning = refusal.name.explanation.meaning
    remedy = refusal.name.explanation.remedy?.text()
    switch refusal {
    case .tooManyRemovals(let planned, let allowed): (self.planned, self.allowed) = (planned, allowed)
    case .emptyManifest(let planned): self.planned = planned
    case .domainLeftOut(let names, let planned): (self.planned, self.domains) = (planned, names)
    case .notRunning: planned = nil
    }
  }
}

struct HostDocument: Encodable, Sendable {
  let name: String
  let xenVersion: String?
  let hasIOMMU: Bool?
  let hasPCIBack: Bool
  let domainCount: Int
  let deviceCount: Int

  init(_ facts: HostFacts, domains: Int, devices: Int) {
    name = facts.name
    xenVersion = facts.xenVersion
    hasIOMMU = facts.hasIOMMU
    hasPCIBack = facts.hasPCIBack
    domainCount = domains
    deviceCount = devices
  }
}

struct PolicyDocument: Encodable, Sendable {
  let prune: String
  let maxRemovals: Int?
  let hostDrivers: String
  let afterDetach: String

  init(_ policy: Policy) {
    prune = policy.prune.rawValue
    maxRemovals = policy.maxRemovals
    hostDrivers = policy.hostDrivers.rawValue
    afterDetach = policy.afterDetach.rawValue
  }
}

/// How many steps there are of each action.
struct SummaryDocument: Encodable, Sendable {
  let attach, detach, reattach, move, repair, adopt, keep, foreign, blocked, pending, drift, hostRepair: Int
  /// Nil if there are none.
  let prepare, release: Int?

  init(_ plan: Plan) {
    attach = plan.count(.attach)
    detach = plan.count(.detach)
    reattach = plan.count(.reattach)
    move = plan.count(.move)
    repair = plan.count(.repair)
    adopt = plan.count(.adopt)
    keep = plan.count(.keep)
    foreign = plan.count(.foreign)
    blocked = plan.count(.blocked)
    pending = plan.count(.pending)
    drift = plan.count(.drift)
    hostRepair = plan.hostSteps.count { $0.isChange }
    func count(_ kind: DriverStep.Kind) -> Int? {
      let number = plan.driverSteps.count { $0.kind == kind }
      return number == 0 ? nil : number
    }
    (prepare, release) = (count(.prepare), count(.release))
  }
}

struct DomainPlanDocument: Encodable, Sendable {
  let name: String
  let uuid: String?
  let domid: UInt32?
  let kind: String?
  let lifecycle: String?
  let stubDomain: UInt32?
  let run: RunDocument?
  let steps: [StepDocument]
  /// Nil if every declared device was found.
  let unresolved: [UnresolvedDocument]?

  init(_ domain: DomainPlan, naming: DeviceNaming) {
    name = domain.name.text
    uuid = domain.uuid?.description
    domid = domain.id?.rawValue
    kind = domain.kind?.rawValue
    lifecycle = domain.lifecycle?.rawValue
    stubDomain = domain.stubDomain?.rawValue
    run = domain.run.map(RunDocument.init)
    steps = domain.steps.map { StepDocument($0, in: domain.holder, naming: naming) }
    unresolved = domain.unresolved.isEmpty ? nil : domain.unresolved.map(UnresolvedDocument.init)
  }
}

/// A declared device that the manifest's selector does not lead to.
struct UnresolvedDocument: Encodable, Sendable {
  let label: String
  /// What the manifest says of the device, by the manifest's keys.
  let selector: [String: String]
  let reason: String
  let meaning: String
  let candidates: [String]
  let isRequired: Bool
  let evidence: String
  let remedy: String?

  init(_ step: UnresolvedStep) {
    label = step.label
    selector = Dictionary(
      step.selector.keys.compactMap { key in step.selector.value(of: key).map { (key.rawValue, $0) } },
      uniquingKeysWith: { first, _ in first })
    reason = step.obstacle.rawValue
    meaning = step.obstacle.explanation.meaning
    candidates = step.candidates.map(\.description)
    isRequired = step.isRequired
    evidence = step.evidence
    remedy = step.nextStep
  }
}

/// A run of Berth that is at work on a domain.
struct RunDocument: Encodable, Sendable {
  let process: Int
  let command: String?
  /// Seconds since 1970.
  let since: Int64?
  let isStopped: Bool

  init(_ run: RunHolder) {
    process = run.process
    command = run.command
    since = run.since
    isStopped = run.isStopped
  }
}

struct DeviceDocument: Encodable, Sendable {
  let address: String
  let id: String?
  /// From the system's list of PCI ids.
  let name: String?
  /// From the manifest.
  let label: String?

  init(_ address: PCIAddress, id: DeviceID?, label: String?, naming: DeviceNaming) {
    self.address = address.description
    self.id = id?.description
    name = id.flatMap(naming)
    self.label = label
  }
}

struct StepDocument: Encodable, Sendable {
  let device: DeviceDocument
  let action: String
  let reason: String
  let meaning: String
  let mode: String?
  let before: OptionsDocument?
  let after: OptionsDocument?
  let from: String?
  let evidence: String?
  let remedy: String?
  let effects: [String]
  /// What stands on the device; nil if nothing does, or if nobody had to ask.
  let interlocks: [InterlockDocument]?
  let isChange: Bool
  /// Whether it follows from stores that disagree rather than from the manifest.
  let isDrift: Bool
  /// Version 1 of the document has this key, and nothing that a plan does is irreversible.
  let isReversible = true
  let isRequired: Bool

  init(_ step: DeviceStep, in domain: Holder, naming: DeviceNaming) {
    device = DeviceDocument(step.device, id: step.deviceID, label: step.label, naming: naming)
    action = step.action.rawValue
    let why = step.reason
    reason = why.name
    meaning = why.explanation.meaning
    mode = step.mode?.rawValue
    before = step.before.map(OptionsDocument.init)
    after = step.after.map(OptionsDocument.init)
    from = step.holder?.name.text
    evidence = step.evidence
    switch step.kind {
    case .blocked, .pending, .drift: remedy = step.nextStep(in: domain)
    case .change, .unchanged, .kept, .foreign: remedy = step.remedy
    }
    effects = step.effects
    interlocks = step.interlocks.isEmpty ? nil : step.interlocks.map(InterlockDocument.init)
    isChange = step.isChange
    isDrift = why.isDrift
    isRequired = step.isRequired
  }
}

/// The options as the manifest spells them.
struct OptionsDocument: Encodable, Sendable {
  /// The options that version 1 of the documents always has. Any other option is left out while it has its default, so
  /// that a new one changes no document that does not use it.
  private static let constant: Set = ["permissive", "msiTranslate", "powerManagement", "rdmPolicy"]

  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }

  private let options: [DeviceOption]

  init(_ options: DeviceOptions) {
    let unusual = Set(options.unusual)
    self.options = options.list.filter { Self.constant.contains($0.name) || unusual.contains($0) }
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for option in options {
      let key = Key(stringValue: option.name)
      switch option.value {
      case .flag(let isSet): try container.encode(isSet, forKey: key)
      case .word(let word): try container.encode(word, forKey: key)
      case .slot(let slot): try container.encodeIfPresent(slot, forKey: key)
      }
    }
  }
}

struct HostDriftDocument: Encodable, Sendable {
  let kind: String
  let domid: UInt32?
  let device: String?
  let evidence: String
  let isRepaired: Bool

  init(_ step: HostStep) {
    kind = step.drift.name.rawValue
    domid = step.drift.domain.rawValue
    device = step.drift.device?.description
    evidence = step.evidence
    isRepaired = step.isChange
  }
}

/// A change to Berth's own records.
struct RecordChangeDocument: Encodable, Sendable {
  /// `gone`, `returned`, `collect`, `forget`, `granted`, `discard` or `bind`.
  let change: String
  let uuid: String?
  let device: String?
  let intent: String?

  init(_ change: RecordChange) {
    switch change {
    case .gone(let uuid, since: _): self.init("gone", uuid)
    case .returned(let uuid): self.init("returned", uuid)
    case .collect(let uuid): self.init("collect", uuid)
    case .forget(let uuid, let device): self.init("forget", uuid, device: device)
    case .granted(let uuid, let device): self.init("granted", uuid, device: device)
    case .discard(let intent): self.init("discard", nil, intent: intent)
    case .bind(let device, let intent): self.init("bind", nil, device: device, intent: intent)
    }
  }

  private init(_ change: String, _ uuid: DomainUUID?, device: PCIAddress? = nil, intent: String? = nil) {
    self.change = change
    self.uuid = uuid?.description
    self.device = device?.description
    self.intent = intent
  }
}
