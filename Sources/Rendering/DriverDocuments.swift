import Model
import Planning

/// What an apply does with the driver of one device.
struct DriverStepDocument: Encodable, Sendable {
  /// `prepare` or `release`.
  let action: String
  let device: DeviceDocument
  /// The driver that loses the device or gets it.
  let driver: String?
  /// The declared domain that is to get the device.
  let domain: String?
  /// Whether an ended run began the step.
  let isResumed: Bool
  /// Whether pciback is loaded first.
  let loadsPCIBack: Bool
  let evidence: String?
  /// Why the device is taken although something stands on it.
  let override: OverrideDocument?

  init(_ step: DriverStep, naming: DeviceNaming) {
    action = step.kind.rawValue
    device = DeviceDocument(step.device, id: step.deviceID, label: step.label, naming: naming)
    driver = step.driver
    domain = step.domain?.text
    isResumed = step.isResumed
    loadsPCIBack = step.loadsPCIBack
    evidence = step.evidence
    override = step.override.map { OverrideDocument(reason: $0.reason, user: $0.user) }
  }
}

/// Why a device is taken although something stands on it, and who said so.
struct OverrideDocument: Encodable, Sendable {
  let reason: String
  let user: String
}

/// What became of such a step.
struct DriverOutcomeDocument: Encodable, Sendable {
  let step: DriverStepDocument
  let result: String
  /// The obstacle that the step was refused for.
  let reason: String?
  let detail: String?
  let remedy: String?
  let evidence: [String]
  let isUndone: Bool

  init(_ outcome: DriverOutcome, _ place: HostPlace, _ naming: DeviceNaming) {
    step = DriverStepDocument(outcome.step, naming: naming)
    result = outcome.result.rawValue
    reason = outcome.obstacle?.rawValue
    detail = outcome.detail.map(place.text)
    remedy = outcome.nextStep
    evidence = outcome.evidence
    isUndone = outcome.isUndone
  }
}

extension DriverOutcome {
  /// What a person can do about a refused step; nil if its obstacle has no name.
  var nextStep: String? { obstacle?.explanation.remedy?.text(device: step.device) }
}
