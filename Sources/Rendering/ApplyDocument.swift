import Core

/// The result of an apply for programs: `{"formatVersion": 1, "kind": "ApplyResult", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct ApplyDocument: Encodable, Sendable {
  let formatVersion = documentVersion
  let kind = "ApplyResult"
  let exitStatus: Int32
  /// Whether anything was changed.
  let changed: Bool
  let wasInterrupted: Bool
  let plan: PlanDocument
  let domains: [DomainOutcomeDocument]
  let hostRepairs: [String]
  let hostFailures: [String]

  init(plan: Plan, outcome: ApplyOutcome, status: ExitStatus, warnings: [String], naming: DeviceNaming) {
    exitStatus = status.rawValue
    changed =
      outcome.domains.contains { domain in
        !domain.readopted.isEmpty || domain.steps.contains { $0.result == .done }
      } || !outcome.hostRepairs.isEmpty
    wasInterrupted = outcome.wasInterrupted
    self.plan = PlanDocument(plan, warnings: warnings, naming: naming)
    let ids = Dictionary(plan.steps.map { ($0.device, $0) }, uniquingKeysWith: { first, _ in first })
    domains = outcome.domains.map { DomainOutcomeDocument($0, steps: ids, naming: naming) }
    hostRepairs = outcome.hostRepairs
    hostFailures = outcome.hostFailures
  }
}

struct DomainOutcomeDocument: Encodable, Sendable {
  let name: String
  let uuid: String?
  let domid: UInt32?
  let steps: [StepOutcomeDocument]
  let failure: String?
  let isLockBusy: Bool
  let readopted: [String]
  let rounds: Int
  let longestLockMicroseconds: Int64

  init(_ domain: DomainOutcome, steps planned: [PCIAddress: DeviceStep], naming: DeviceNaming) {
    name = domain.name
    uuid = domain.uuid?.description
    domid = domain.id?.rawValue
    steps = domain.steps.map { StepOutcomeDocument($0, planned: planned[$0.device], naming: naming) }
    failure = domain.failure
    isLockBusy = domain.isLockBusy
    readopted = domain.readopted.map(\.description)
    rounds = domain.rounds
    longestLockMicroseconds = domain.longestLockMicroseconds
  }
}

struct StepOutcomeDocument: Encodable, Sendable {
  let device: DeviceDocument
  let action: String
  let result: String
  let detail: String?
  let evidence: [String]
  let isUndone: Bool
  let isRequired: Bool
  let virtualAddress: String?

  init(_ step: StepOutcome, planned: DeviceStep?, naming: DeviceNaming) {
    device = DeviceDocument(step.device, id: planned?.deviceID, label: planned?.label, naming: naming)
    action = step.action.rawValue
    result = step.result.rawValue
    detail = step.detail
    evidence = step.evidence
    isUndone = step.isUndone
    isRequired = step.isRequired
    virtualAddress = step.virtualAddress?.description
  }
}
