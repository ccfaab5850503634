import Model
import Planning
import Ports
import XenProtocol

/// What a run says of one domain. It only accepts conclusions: nothing that was concluded is taken back.
final class RunReport {
  private let session: DomainSession
  private let announce: (RunEvent.Kind) -> Void
  private var outcome: DomainOutcome
  private var resetFailures: Set<PCIAddress> = []

  init(session: DomainSession, announce: @escaping (RunEvent.Kind) -> Void) {
    self.session = session
    self.announce = announce
    outcome = DomainOutcome(name: session.name, id: session.key.id, uuid: session.key.uuid)
  }

  /// All that was concluded, with what the session has counted.
  var whole: DomainOutcome {
    var whole = outcome
    whole.rounds = session.counts.rounds
    whole.longestLockMicroseconds = session.counts.longestLock.microseconds
    return whole
  }

  /// Whether something failed that is no single device's.
  var hasFailure: Bool { outcome.failure != nil }

  /// Returns what was concluded of `devices`.
  func results(for devices: [PCIAddress]) -> [StepOutcome] {
    outcome.steps.filter { devices.contains($0.device) }
  }

  /// Returns those of `steps` of which nothing was concluded yet.
  func unconcluded<Work: DeviceWork>(_ steps: [Work]) -> [Work] {
    steps.filter { step in !outcome.steps.contains { $0.device == step.device && $0.identity == step.identity } }
  }

  // MARK: Conclusions

  /// Concludes the same of each of `steps`.
  func conclude(
    _ steps: [some DeviceWork], _ result: StepResult, _ detail: OutcomeDetail? = nil, evidence: [String] = [],
    isUndone: Bool = false
  ) {
    for step in steps { conclude(step, result, detail, evidence: evidence, isUndone: isUndone) }
  }

  /// Concludes one step; `virtualAddress` is where the guest sees the device.
  ///
  /// A step that failed because a request got no answer is `unknown`: the request may still be carried out.
  func conclude(
    _ step: some DeviceWork, _ result: StepResult, _ detail: OutcomeDetail? = nil, reason: Reason? = nil,
    evidence: [String] = [], isUndone: Bool = false, virtualAddress: PCIAddress? = nil
  ) {
    let result = result == .failed && detail?.isWithoutAnswer == true ? .unknown : result
    let reset = resetFailures.contains(step.device) ? ["the kernel could not reset \(step.device)"] : []
    outcome.steps.append(
      StepOutcome(
        device: step.device, action: step.kind, identity: step.identity, result: result, detail: detail, reason: reason,
        evidence: evidence + reset, isUndone: isUndone, virtualAddress: virtualAddress, isRequired: step.isRequired))
  }

  /// Corrects what was concluded of devices whose bus has ended since: nothing shows what the guest still has of them.
  func amendLost(_ devices: Set<PCIAddress>) {
    for index in outcome.steps.indices where devices.contains(outcome.steps[index].device) {
      guard [.done, .unchanged].contains(outcome.steps[index].result),
        [.attach, .reattach, .move, .adopt].contains(outcome.steps[index].action)
      else { continue }
      outcome.steps[index].result = .failed
      outcome.steps[index].detail = OutcomeDetail(.busEndedSince)
      outcome.steps[index].virtualAddress = nil
    }
  }

  /// Records how a device's reset ended. A failed reset is evidence of the device's step, and no failure: libxl goes on,
  /// too (`libxl__device_pci_reset`, libxl_pci.c, Xen 4.17).
  func reset(_ device: PCIAddress, _ result: ResetOutcome) {
    if result == .failed { resetFailures.insert(device) }
  }

  /// Records that entries which another toolstack had overwritten are back.
  func readopted(_ devices: Set<PCIAddress>) {
    for device in devices.sorted() where !outcome.readopted.contains(device) { outcome.readopted.append(device) }
  }

  /// Records a failure that is no single device's; the first one is reported.
  func failed(_ failure: OutcomeDetail) { outcome.failure = outcome.failure ?? failure }

  /// Records that the domain's work ended early.
  func endedEarly(_ error: EngineError) {
    outcome.failure = describe(error)
    outcome.isLockBusy = error.isLockBusy
  }

  /// Returns what an outcome says of work that ended early.
  func describe(_ error: EngineError) -> OutcomeDetail {
    switch error {
    case .domainGone where session.route.stubDomain != nil: OutcomeDetail(.domainOrStubGone)
    case .domainGone: OutcomeDetail(.domainGone)
    case .host(let error): OutcomeDetail(error)
    }
  }

  // MARK: Events

  /// The domain as events name it.
  private var domain: RunEvent.Domain { RunEvent.Domain(name: session.name, uuid: session.key.uuid) }

  private func ids(of steps: [some DeviceWork]) -> [StepID] { steps.map { StepID($0, in: session.key.uuid) } }

  /// Announces that `steps` have come this far, together.
  func reached(_ phase: RunEvent.Phase, _ steps: [some DeviceWork]) {
    if !steps.isEmpty { announce(.phase(phase, domain, ids(of: steps))) }
  }

  /// Announces that the guest is asked about the devices of `steps`.
  func announceWait(_ steps: [some DeviceWork], until deadline: ContinuousClock.Instant) {
    announce(.waiting(domain, ids(of: steps), until: deadline))
  }

  /// Announces that entries are looked at again later, because another toolstack was seen at work.
  func announceAudit(until deadline: ContinuousClock.Instant) { announce(.auditing(domain, until: deadline)) }
}

extension Duration {
  /// Whole microseconds, rounded down.
  var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
