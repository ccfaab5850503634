import Planning
import TestSupport

extension OutcomeSentence {
  /// The requests that must have been made before the sentence is said: of each set, one.
  ///
  /// docs/output.md says in words what must have been observed. A sentence of values alone needs what its values need.
  var witnesses: [Set<PortRequest>] {
    switch self {
    // The fresh look, or the transaction that was to make the change.
    case .alreadySo, .cannotTakeChange, .awaitedByReceiver, .oldDomainKeepsIt: [[.read]]
    case .ownedByOtherSet, .noLongerOurs: [[.records]]
    // The run lock has no faults, so its requests are not counted.
    case .lockNotTaken, .otherRunAtWork, .unknownRunAtWork: []
    case .otherRunAttaches, .otherRunDetaches: [[.intents]]
    case .domainGone, .domainOrStubGone: [[.domains, .read]]
    case .domainInTransition, .configurationMissing: [[.saved], [.lock]]
    case .refused, .failed, .busFlawed, .hostRepairFailed, .recordsFailed, .nextApplyContinues: []
    case .deviceMissing, .driverIsOther, .identityChanged, .anotherDevice: [[.facts]]
    case .claimedWithoutEntry: [[.assign], [.read], [.ownRecord]]
    case .anotherGuestHasIt: [[.assign, .probe], [.read]]
    case .createdWithoutPassthrough, .unknownToXen, .assignmentForbidden: [[.assign]]
    case .mayBeHeld, .entryGoneUnclear: [[.read], [.ownRecord]]
    case .leftUnbound: [[.unbindDriver], [.facts]]
    case .listedElsewhere: [[.permissiveList], [.list], [.read]]
    case .hasVirtualFunctions: [[.permissiveList], [.virtualFunctions]]
    case .pcibackKeepsIt: [[.unbindDriver], [.facts]]
    case .lacksOptions, .entryMissing, .busHidden: [[.commit, .read], [.read]]
    case .notAssigned: [[.read], [.probe]]
    case .keepsPermissive: [[.read], [.permissiveList]]
    case .detachedByOther: [[.wait], [.read], [.probe]]
    case .guestSilent, .guestSilentAtStop, .notConnected, .silentAttach, .silentDetach, .silentDetachAtStop, .restless:
      [[.wait], [.read]]
    case .cannotAnswer, .cannotAnswerKept, .wokeMeanwhile: [[.wait], [.domains]]
    case .notShown, .openedTooLate: [[.conversation, .read]]
    case .acceptedNotShown: [[.addDevice], [.devices]]
    // qemu-traditional answers in xenstore.
    case .refusedByQEMU: [[.addDevice, .wait]]
    case .keptTooLong, .keptAtStop: [[.removeDevice], [.devices]]
    case .endedQEMU, .endedQEMUUnasked, .notRemovedByQEMU: [[.conversation]]
    case .traditionalNotReady, .traditionalSilent: [[.wait], [.read]]
    case .stoppedBefore: [[.intents, .read]]
    case .stoppedBeforeQEMU: [[.conversation]]
    case .stoppedAfterQEMU: [[.devices, .wait]]
    case .stoppedBeforeRelease: [[.commit], [.wait]]
    case .restlessOverwritten: [[.read], [.wait]]
    case .markOverwritten: [[.read], [.wait], [.probe]]
    case .overwrittenUnclear: [[.read], [.listen]]
    case .listedAgain: [[.commit], [.read]]
    case .busEnded, .busEndedSince, .busEndedWithOthers: [[.read]]
    case .undoingFailed, .returningFailed, .grantingAgainFailed: []
    case .releasedBut, .rightsLeft, .grantUnknown: [[.ownRecord]]
    case .mayStillReach: [[.ports, .frames, .interrupt, .unmap]]
    case .driverSilent, .driverKeeps, .driverRefuses, .otherDriverTook: [[.unbindDriver, .bindDriver]]
    case .pcibackTookAgain: [[.offer], [.binding]]
    case .putBack, .notPutBack: [[.binding]]
    case .quarantineFailed: [[.assign], [.binding]]
    case .overrideStays: [[.override], [.binding]]
    case .noteStays: [[.commit], [.read]]
    case .inUse: [[.read], [.probe]]
    case .cardStopped: []
    case .beingReleased: [[.assign], [.preparation]]
    case .moduleMissing: [[.driverLoaded, .hasPCIBack]]
    case .otherRunOnDevice: [[.holdPreparation]]
    case .tracesLeft: [[.commit], [.read]]
    }
  }
}

/// Returns what an apply said without the requests that would have shown it.
func unwitnessed(_ outcome: ApplyOutcome, _ requests: [PortRequest]) -> [String] {
  let made = Set(requests)
  let details =
    outcome.domains.flatMap { domain in domain.steps.compactMap(\.detail) + [domain.failure].compactMap(\.self) }
    + outcome.hostFailures + outcome.drivers.compactMap(\.detail)
  return details.flatMap { detail in
    detail.sentences.filter { sentence in !sentence.witnesses.allSatisfy { !$0.isDisjoint(with: made) } }
      .map { "said without having looked: \($0): \(detail.plain)" }
  }
}
