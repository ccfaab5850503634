/// What stands on a device, so that it must not be taken from dom0. The raw values are stable: scripts depend on them.
package enum InterlockName: String, Hashable, Sendable, CaseIterable {
  case rootFileSystem = "root-file-system"
  case mountedFileSystem = "mounted-file-system"
  case activeSwap = "active-swap"
  case bootPartition = "boot-partition"
  case berthState = "berth-state"
  case toolstackState = "toolstack-state"
  case importedPool = "imported-pool"
  case networkStorage = "network-storage"
  case heldOpen = "held-open"
  case defaultRoute = "default-route"
  case sessionRoute = "session-route"
  case guestDisk = "guest-disk"
  case servesGuests = "serves-guests"
  case servesHost = "serves-host"
  case userSpaceDriver = "user-space-driver"
  case display, console, keyboard
  case storageMember = "storage-member"
  case tunnelUnderlay = "tunnel-underlay"
  case securityModule = "tpm"
  case watchdog
  case managementController = "ipmi"
  case unknown = "interlock-unknown"

  /// Whether a person can let a run take the device all the same. Without its own files, or those of the toolstack, a run
  /// could not finish what it began.
  package var canBeOverridden: Bool {
    switch self {
    case .rootFileSystem, .berthState, .toolstackState: false
    case .mountedFileSystem, .activeSwap, .bootPartition, .importedPool, .networkStorage, .heldOpen, .defaultRoute,
      .sessionRoute, .guestDisk, .servesGuests, .servesHost, .userSpaceDriver, .display, .console, .keyboard,
      .storageMember, .tunnelUnderlay, .securityModule, .watchdog, .managementController, .unknown:
      true
    }
  }

  /// How strong a refusal it is.
  package var strength: InterlockStrength {
    switch self {
    case .display, .console, .keyboard: .refuseUnlessSpare
    case .storageMember, .tunnelUnderlay, .securityModule, .watchdog, .managementController: .warn
    case .rootFileSystem, .mountedFileSystem, .activeSwap, .bootPartition, .berthState, .toolstackState, .importedPool,
      .networkStorage, .heldOpen, .defaultRoute, .sessionRoute, .guestDisk, .servesGuests, .servesHost,
      .userSpaceDriver, .unknown:
      .refuse
    }
  }
}

/// How strong a refusal an interlock is.
package enum InterlockStrength: String, Hashable, Sendable, CaseIterable {
  /// The device is not taken.
  case refuse
  /// The device is not taken if dom0 would have no other of its kind. Otherwise it is only said.
  case refuseUnlessSpare = "refuse-unless-spare"
  /// It is only said.
  case warn
}
