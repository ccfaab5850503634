/// What keeps a change from being made until a person acts. The raw values are stable: scripts depend on them.
///
/// Eight of them are drift, too, by the same name: see `drift`.
package enum Obstacle: String, Hashable, Sendable, CaseIterable {
  case deviceMissing = "device-missing"
  case notAssignable = "not-assignable"
  case isBridge = "is-bridge"
  case assignRefused = "assign-refused"
  case assignedElsewhere = "assigned-elsewhere"
  case attachedElsewhere = "attached-elsewhere"
  case claimedElsewhere = "claimed-elsewhere"
  case identityMismatch = "identity-mismatch"
  case identityUnknown = "identity-unknown"
  case hostWithoutIOMMU = "host-without-iommu"
  case domainWithoutIOMMU = "domain-without-iommu"
  case kindNotSupported = "kind-not-supported"
  case domainMismatch = "domain-mismatch"
  case domainAmbiguous = "domain-ambiguous"
  case domainRenamed = "domain-renamed"
  case domainUnknown = "domain-unknown"
  case otherSet = "other-set"
  case nameCollision = "name-collision"
  case permissiveStays = "permissive-stays"
  case virtualSlotNotSupported = "virtual-slot-not-supported"
  case busFull = "bus-full"
  case corruptBackEnd = "corrupt-back-end"
  case corruptSavedConfiguration = "corrupt-saved-configuration"
  case busClosing = "bus-closing"
  case notOnPCIBack = "not-on-pciback"
  case neverConnected = "never-connected"
  case runningWithoutConfiguration = "running-without-configuration"
  case busUnsettled = "bus-unsettled"
  case crashedAndKept = "crashed-and-kept"
  case ownFileDamaged = "own-file-damaged"
  case selectorAmbiguous = "selector-ambiguous"
  case selectorUnproven = "selector-unproven"
  case deviceMoved = "device-moved"
  case deviceContested = "device-contested"
  case segmentTooLarge = "segment-too-large"
  case driverReserved = "driver-reserved"
  case hasVirtualFunctions = "has-virtual-functions"
  case pcibackNotLoaded = "pciback-not-loaded"
  case interlocked
  case interlockUnknown = "interlock-unknown"
  case cardBlocked = "card-blocked"

  /// Whether the declared domain is not known or does not run, so that `--require-running` asks for it in vain.
  package var isUnreadyDomain: Bool {
    [.domainUnknown, .domainRenamed, .domainAmbiguous, .domainMismatch, .crashedAndKept].contains(self)
  }

  /// The drift of the same name, if stores that disagree are the obstacle.
  package var drift: DriftName? {
    switch self {
    case .corruptBackEnd: .corruptBackEnd
    case .corruptSavedConfiguration: .corruptSavedConfiguration
    case .busClosing: .busClosing
    case .notOnPCIBack: .notOnPCIBack
    case .neverConnected: .neverConnected
    case .runningWithoutConfiguration: .runningWithoutConfiguration
    case .busUnsettled: .busUnsettled
    case .crashedAndKept: .crashedAndKept
    case .deviceMissing, .notAssignable, .isBridge, .assignRefused, .assignedElsewhere, .attachedElsewhere,
      .claimedElsewhere,
      .identityMismatch, .identityUnknown, .hostWithoutIOMMU, .domainWithoutIOMMU, .kindNotSupported, .domainMismatch,
      .domainAmbiguous, .domainRenamed, .domainUnknown, .otherSet, .nameCollision, .permissiveStays,
      .virtualSlotNotSupported, .busFull, .ownFileDamaged, .selectorAmbiguous, .selectorUnproven, .deviceMoved,
      .deviceContested, .segmentTooLarge, .driverReserved, .hasVirtualFunctions, .pcibackNotLoaded, .interlocked,
      .interlockUnknown, .cardBlocked:
      nil
    }
  }
}
