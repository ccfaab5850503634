package import Model
package import Planning

/// What the daemon may do without a person.
package enum Mode: String, Hashable, Sendable, CaseIterable {
  /// It reports, and changes nothing.
  case observe
  /// It repairs stores that disagree, and gives guests back what they had. It takes nothing away from a guest or from dom0.
  case heal
  /// It makes every change that an apply would make.
  case enforce
}

/// What `heal` needs to know beside the plan.
package struct HealFacts: Hashable, Sendable {
  /// The devices that Berth's records have, per domain.
  package var owned: [DomainUUID: Set<PCIAddress>]
  /// The domains that came while the manifests were the present ones.
  package var newcomers: Set<DomainKey>

  package init(owned: [DomainUUID: Set<PCIAddress>] = [:], newcomers: Set<DomainKey> = []) {
    (self.owned, self.newcomers) = (owned, newcomers)
  }
}

extension Mode {
  /// Returns whether the daemon may make the change of a step; false if the step is no change.
  package func permits(_ step: DeviceStep, _ facts: HealFacts) -> Bool {
    guard case .change(let change, let target) = step.kind else { return false }
    switch self {
    case .observe: return false
    case .enforce: return true
    case .heal:
      switch change {
      case .adopt, .repair: return true
      case .detach, .reattach, .move: return false
      case .attach:
        let wasThere = facts.owned[target.key.uuid]?.contains(step.device) == true
        return wasThere || step.isRequired && facts.newcomers.contains(target.key)
      }
    }
  }

  /// Returns whether the daemon may carry out a step about a driver: to take a device from dom0 is no healing.
  package func permits(_ step: DriverStep) -> Bool {
    switch self {
    case .observe: false
    case .heal: step.kind == .prepare && step.isResumed
    case .enforce: true
    }
  }

  /// Returns whether the daemon may repair what belongs to no living domain.
  package var permitsHostRepairs: Bool { self != .observe }
}
