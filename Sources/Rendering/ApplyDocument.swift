import Model
import Planning

/// The result of an apply for programs: `{"formatVersion": 1, "kind": "ApplyResult", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct ApplyDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "ApplyResult", formatVersion: 1)
  let exitStatus: Int32
  /// Whether anything was changed.
  let changed: Bool
  let wasInterrupted: Bool
  let plan: WithHead<PlanDocument>
  let domains: [DomainOutcomeDocument]
  let hostRepairs: [String]
  let hostFailures: [String]
  /// Changes that a fresh look asked for and no plan had shown; none of them was made.
  let notShown: [UnshownChangeDocument]
  /// What became of the steps about drivers; nil if there were none.
  let drivers: [DriverOutcomeDocument]?
  /// Steps about drivers that a fresh look asked for and no plan had shown; nil if there were none.
  let unshownDrivers: [DriverStepDocument]?

  init(
    plan: Plan, outcome: ApplyOutcome, status: ExitStatus, place: HostPlace, warnings: [String], naming: DeviceNaming
  ) {
    exitStatus = status.rawValue
    changed =
      outcome.domains.contains { domain in
        !domain.readopted.isEmpty || domain.steps.contains { $0.result == .done }
      } || !outcome.hostRepairs.isEmpty || outcome.drivers.contains { $0.result == .done }
    wasInterrupted = outcome.wasInterrupted
    self.plan = WithHead(PlanDocument(plan, warnings: warnings, naming: naming))
    let ids = Dictionary(plan.steps.map { ($0.device, $0) }, uniquingKeysWith: { first, _ in first })
    domains = outcome.domains.map { DomainOutcomeDocument($0, steps: ids, place, naming) }
    hostRepairs = outcome.hostRepairs
    hostFailures = outcome.hostFailures.map(place.text)
    notShown = outcome.notShown.map { UnshownChangeDocument($0, naming: naming) }
    drivers = outcome.drivers.isEmpty ? nil : outcome.drivers.map { DriverOutcomeDocument($0, place, naming) }
    unshownDrivers =
      outcome.unshownDrivers.isEmpty ? nil : outcome.unshownDrivers.map { DriverStepDocument($0, naming: naming) }
  }
}

struct UnshownChangeDocument: Encodable, Sendable {
  let domain: String
  let uuid: String?
  let domid: UInt32?
  let step: StepDocument

  init(_ change: UnshownChange, naming: DeviceNaming) {
    domain = change.domain.text
    uuid = change.uuid?.description
    domid = change.id?.rawValue
    step = StepDocument(change.step, in: Holder(id: change.id, name: change.domain), naming: naming)
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

  init(
    _ domain: DomainOutcome, steps planned: [PCIAddress: DeviceStep], _ place: HostPlace, _ naming: DeviceNaming
  ) {
    name = domain.name.text
    uuid = domain.uuid?.description
    domid = domain.id?.rawValue
    let holder = Holder(id: domain.id, name: domain.name)
    steps = domain.steps.map { StepOutcomeDocument($0, planned: planned[$0.device], in: holder, place, naming) }
    failure = domain.failure.map(place.text)
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
  let remedy: String?
  let evidence: [String]
  let isUndone: Bool
  let isRequired: Bool
  let virtualAddress: String?

  init(
    _ step: StepOutcome, planned: DeviceStep?, in domain: Holder, _ place: HostPlace, _ naming: DeviceNaming
  ) {
    device = DeviceDocument(step.device, id: planned?.deviceID, label: planned?.label, naming: naming)
    action = step.action.rawValue
    result = step.result.rawValue
    detail = step.detail.map(place.text)
    remedy = step.nextStep(in: domain)
    evidence = step.evidence
    isUndone = step.isUndone
    isRequired = step.isRequired
    virtualAddress = step.virtualAddress?.description
  }
}
