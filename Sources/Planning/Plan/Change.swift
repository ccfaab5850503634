package import Model

/// What an apply does to one device of a domain, with what it needs to know for that.
package enum Change: Hashable, Sendable {
  case attach(DeviceOptions, because: AttachReason)
  /// The options are those of its entry; nil if no entry is known.
  case detach(DeviceOptions?, because: DetachReason)
  /// Detaches the device and attaches it again. `from` is nil if no entry is known.
  case reattach(from: DeviceOptions?, to: DeviceOptions, because: ReattachReason)
  /// Detaches the device from another domain of the manifest, then attaches it here.
  case move(from: DomainTarget, DeviceOptions)
  /// Writes what stores that disagree lack.
  case repair(Repair)
  /// Records a declared device that is attached already as Berth's.
  case adopt
}

/// What a repair writes.
package enum Repair: Hashable, Sendable {
  /// Adds the device to libxl's saved configuration.
  case saveEntry
  /// Removes the device from libxl's saved configuration.
  case dropSavedEntry
  /// Writes the domain's claim; `replacing` is the domain that claims the device without having it.
  case writeClaim(replacing: DomainID?)
  /// Brings the back end of an HVM guest to the state in which pciback acts.
  case settleBus

  /// The difference that is gone afterwards.
  package var drift: DriftName {
    switch self {
    case .saveEntry: .storeOnly
    case .dropSavedEntry: .configOnly
    case .writeClaim(replacing: nil): .claimMissing
    case .writeClaim: .claimForeign
    case .settleBus: .busUnsettled
    }
  }
}

/// Why a device is attached.
package enum AttachReason: Hashable, Sendable, CaseIterable {
  case declared, leftoverIntent, deviceModelLacks, halfRemoved

  package var reason: Reason {
    switch self {
    case .declared: .change(.declared)
    case .leftoverIntent: .drift(.leftoverIntent)
    case .deviceModelLacks: .drift(.deviceModelLacks)
    case .halfRemoved: .drift(.halfRemoved)
    }
  }
}

/// Why a device is detached.
package enum DetachReason: Hashable, Sendable, CaseIterable {
  case notDeclared, overwritten, leftoverIntent, deviceModelOnly, halfRemoved, rightsLeft

  package var reason: Reason {
    switch self {
    case .rightsLeft: .drift(.rightsLeft)
    case .notDeclared: .change(.notDeclared)
    case .overwritten: .drift(.overwritten)
    case .leftoverIntent: .drift(.leftoverIntent)
    case .deviceModelOnly: .drift(.deviceModelOnly)
    case .halfRemoved: .drift(.halfRemoved)
    }
  }
}

/// Why a device is detached and attached again.
package enum ReattachReason: Hashable, Sendable, CaseIterable {
  case optionsDiffer, revokedButListed, deviceModelOnly

  package var reason: Reason {
    switch self {
    case .optionsDiffer: .change(.optionsDiffer)
    case .revokedButListed: .drift(.revokedButListed)
    case .deviceModelOnly: .drift(.deviceModelOnly)
    }
  }
}

extension Change {
  package var kind: ChangeKind {
    switch self {
    case .attach: .attach
    case .detach: .detach
    case .reattach: .reattach
    case .move: .move
    case .repair: .repair
    case .adopt: .adopt
    }
  }

  /// Why it is made, for people.
  package var reason: Reason {
    switch self {
    case .attach(_, let reason): reason.reason
    case .detach(_, let reason): reason.reason
    case .reattach(_, _, let reason): reason.reason
    case .move: .change(.declaredElsewhere)
    case .repair(let repair): .drift(repair.drift)
    case .adopt: .change(.alreadyAttached)
    }
  }

  /// Whether the guest takes part, so that it matters whether it runs.
  package var concernsGuest: Bool {
    switch self {
    case .attach, .detach, .reattach, .move: true
    case .repair, .adopt: false
    }
  }

  /// Whether it takes from a domain a device that works there; `policy.maxRemovals` bounds how many do.
  ///
  /// A device whose options change is taken, too: its guest loses it, and gets it back only if the attach succeeds. Other
  /// devices that are attached again have been lost already.
  package var isRemoval: Bool {
    switch self {
    case .detach, .move, .reattach(_, _, because: .optionsDiffer): true
    case .attach, .reattach, .repair, .adopt: false
    }
  }
}
