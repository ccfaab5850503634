import Core

/// A plan for programs: `{"formatVersion": 1, "kind": "Plan", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct PlanDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "Plan", formatVersion: 1)
  let host: HostDocument
  let hasChanges: Bool
  /// Whether `policy.maxRemovals` forbids it: then nothing of it is applied.
  let isRefused: Bool
  let policy: PolicyDocument
  let summary: SummaryDocument
  let domains: [DomainPlanDocument]
  let hostDrift: [HostDriftDocument]
  let bookkeeping: [RecordChangeDocument]
  let warnings: [String]

  init(_ plan: Plan, warnings: [String], naming: DeviceNaming) {
    host = HostDocument(plan.host, domains: plan.domainCount, devices: plan.deviceCount)
    hasChanges = plan.hasChanges
    isRefused = plan.isRefused
    policy = PolicyDocument(prune: plan.policy.prune.rawValue, maxRemovals: plan.policy.maxRemovals)
    summary = SummaryDocument(plan)
    domains = plan.domains.map { DomainPlanDocument($0, naming: naming) }
    hostDrift = plan.hostDrift.map(HostDriftDocument.init)
    bookkeeping = plan.bookkeeping.map(RecordChangeDocument.init)
    self.warnings = warnings
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
}

/// How many steps there are of each action.
struct SummaryDocument: Encodable, Sendable {
  let attach, detach, reattach, move, repair, adopt, keep, foreign, blocked, pending, drift, hostRepair: Int

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
    hostRepair = plan.hostDrift.count { $0.isRepaired }
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

  init(_ domain: DomainPlan, naming: DeviceNaming) {
    name = domain.name
    uuid = domain.uuid?.description
    domid = domain.id?.rawValue
    kind = domain.kind?.rawValue
    lifecycle = domain.lifecycle?.rawValue
    stubDomain = domain.stubDomain?.rawValue
    run = domain.run.map(RunDocument.init)
    steps = domain.steps.map { StepDocument($0, in: domain.name, naming: naming) }
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
  let isChange: Bool
  /// Whether it follows from stores that disagree rather than from the manifest.
  let isDrift: Bool
  let isReversible: Bool
  let isRequired: Bool

  init(_ step: PlannedStep, in domain: String, naming: DeviceNaming) {
    device = DeviceDocument(step.device, id: step.id, label: step.label, naming: naming)
    action = step.action.rawValue
    reason = step.reason.rawValue
    meaning = step.reason.meaning
    mode = step.mode?.rawValue
    before = step.before.map(OptionsDocument.init)
    after = step.after.map(OptionsDocument.init)
    from = step.from
    evidence = step.evidence
    switch step.action {
    case .blocked, .pending, .drift: remedy = step.remedy ?? step.reason.remedy(device: step.device, domain: domain)
    case .attach, .detach, .reattach, .move, .repair, .adopt, .keep, .foreign: remedy = step.remedy
    }
    effects = step.effects
    isChange = step.action.isChange
    isDrift = step.reason.isDrift
    isReversible = step.isReversible
    isRequired = step.isRequired
  }
}

/// The options as the manifest spells them.
struct OptionsDocument: Encodable, Sendable {
  let permissive: Bool
  let msiTranslate: Bool
  let powerManagement: Bool
  let rdmPolicy: String
  let virtualSlot: UInt8?

  init(_ options: DeviceOptions) {
    permissive = options.permissive
    msiTranslate = options.msiTranslate
    powerManagement = options.powerManagement
    rdmPolicy = options.rdmPolicy.rawValue
    virtualSlot = options.virtualSlot
  }
}

struct HostDriftDocument: Encodable, Sendable {
  let kind: String
  let domid: UInt32?
  let uuid: String?
  let device: String?
  let evidence: String
  let isRepaired: Bool

  init(_ drift: HostDrift) {
    kind = drift.kind.rawValue
    domid = drift.domain?.rawValue
    uuid = drift.uuid?.description
    device = drift.device?.description
    evidence = drift.evidence
    isRepaired = drift.isRepaired
  }
}

/// A change to Berth's own records.
struct RecordChangeDocument: Encodable, Sendable {
  /// `gone`, `returned`, `collect`, `forget` or `discard`.
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
    case .discard(let intent): self.init("discard", nil, intent: intent)
    }
  }

  private init(_ change: String, _ uuid: DomainUUID?, device: PCIAddress? = nil, intent: String? = nil) {
    self.change = change
    self.uuid = uuid?.description
    self.device = device?.description
    self.intent = intent
  }
}
