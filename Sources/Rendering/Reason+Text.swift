package import Model
package import Planning

extension Reason {
  /// Returns one sentence, without a full stop, that says what the reason means.
  package var meaning: String {
    switch self {
    case .change(let reason): reason.meaning
    case .obstacle(let obstacle): obstacle.meaning
    case .wait(let wait): wait.meaning
    case .drift(let drift): drift.meaning
    case .refusal(let refusal): refusal.meaning
    }
  }

  /// Returns the next step, with ADDRESS and DOMAIN for the device and the domain; nil if a person has none to take.
  package var remedy: String? {
    switch self {
    case .change(let reason): reason.remedy
    case .obstacle(let obstacle): obstacle.remedy
    case .wait(let wait): wait.remedy
    case .drift(let drift): drift.remedy
    case .refusal(let refusal): refusal.remedy
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .change(let reason): reason.cause
    case .obstacle(let obstacle): obstacle.cause
    case .wait(let wait): wait.cause
    case .drift(let drift): drift.cause
    case .refusal(let refusal): refusal.cause
    }
  }

  /// Returns the next step for this device in this domain; nil if a person has none to take.
  package func remedy(device: PCIAddress, domain: String) -> String? {
    remedy(device: device.description, domain: domain)
  }

  func remedy(device: String, domain: String) -> String? {
    remedy?.replacing("ADDRESS", with: device).replacing("DOMAIN", with: domain)
  }
}
