/// A sentence that an outcome can contain. There are no others: an `OutcomeDetail` is made of one of these.
///
/// docs/output.md lists each sentence with the observation that it needs.
package enum OutcomeSentence: Hashable, Sendable, CaseIterable {
  // What a fresh look shows before anything is changed.
  case alreadySo, cannotTakeChange, lockNotTaken, ownedByOtherSet, noLongerOurs, awaitedByReceiver
  case otherRunAtWork, unknownRunAtWork, otherRunAttaches, otherRunDetaches
  case domainGone, domainOrStubGone, domainInTransition, configurationMissing
  // Why a change was refused.
  case refused, deviceMissing, driverIsOther, identityChanged, claimedWithoutEntry, anotherGuestHasIt
  case createdWithoutPassthrough, unknownToXen, assignmentForbidden, mayBeHeld, entryGoneUnclear
  // What keeps the device from being as declared.
  case anotherDevice, leftUnbound, listedElsewhere, hasVirtualFunctions, pcibackKeepsIt, lacksOptions, keepsPermissive
  case notAssigned, entryMissing, busHidden, busFlawed, oldDomainKeepsIt, detachedByOther
  // What the guest and QEMU did not do.
  case guestSilent, guestSilentAtStop, notConnected, silentAttach, silentDetach, silentDetachAtStop, cannotAnswer,
    cannotAnswerKept, wokeMeanwhile
  case notShown, acceptedNotShown, refusedByQEMU, openedTooLate, keptTooLong, keptAtStop, endedQEMU, endedQEMUUnasked
  case notRemovedByQEMU, traditionalNotReady, traditionalSilent, nextApplyContinues
  // Where a stop or another toolstack left it.
  case stoppedBefore, stoppedBeforeQEMU, stoppedAfterQEMU, stoppedBeforeRelease, restless, restlessOverwritten,
    markOverwritten
  case overwrittenUnclear, listedAgain
  // What failed.
  case failed, busEnded, busEndedSince, busEndedWithOthers, undoingFailed, returningFailed, grantingAgainFailed
  // What a driver did not do, and where its device is.
  case driverSilent, driverKeeps, driverRefuses, putBack, notPutBack, quarantineFailed, otherDriverTook,
    pcibackTookAgain, overrideStays, noteStays
  case inUse, beingReleased, moduleMissing, otherRunOnDevice, cardStopped
  case releasedBut, tracesLeft, rightsLeft, grantUnknown, mayStillReach, hostRepairFailed, recordsFailed
}

extension OutcomeSentence {
  /// Whether the cause stays until somebody changes the manifest, the guest or the host: the next attach would fail for
  /// the same cause.
  package var isLasting: Bool {
    [.assignmentForbidden, .createdWithoutPassthrough, .refusedByQEMU, .hasVirtualFunctions, .listedElsewhere].contains(
      self)
  }
}

/// The words of a sentence, and what must have been observed for it.
package struct SentenceEntry: Sendable {
  /// The words. Each `{}` stands for a value that was read.
  package let words: String
  /// What must have been read or answered before the sentence is said.
  package let observation: String

  init(_ words: String, _ observation: String) { (self.words, self.observation) = (words, observation) }

  /// The number of values in the words.
  package var placeholders: Int { words.split(separator: "{}", omittingEmptySubsequences: false).count - 1 }
}

extension OutcomeSentence {
  package var entry: SentenceEntry {
    switch self {
    case .alreadySo:
      SentenceEntry("already so", "the fresh look, or the transaction of the change, found what was wanted")
    case .cannotTakeChange:
      SentenceEntry("the domain cannot take the change now", "the fresh look found the domain waiting or blocked")
    case .lockNotTaken:
      SentenceEntry("the lock of {} was not taken", "the run does not hold that domain's run lock")
    case .ownedByOtherSet:
      SentenceEntry("another set of manifests owns the device now", "Berth's record in the fresh look")
    case .noLongerOurs:
      SentenceEntry("the device is no longer Berth's in this domain", "Berth's record in the fresh look")
    case .awaitedByReceiver:
      SentenceEntry(
        "the domain still has the device, and {} is to get it", "the back end and the plan of the fresh look")
    case .otherRunAtWork:
      SentenceEntry("another run of Berth is at work on the domain: {}", "the run lock is held, and its mark was read")
    case .unknownRunAtWork:
      SentenceEntry(
        "another run of Berth is at work on the domain; the kernel does not show which",
        "the run lock is held, and it has no mark of its holder")
    case .otherRunAttaches:
      SentenceEntry("another run of Berth is attaching it", "the intent of a live run")
    case .otherRunDetaches:
      SentenceEntry("another run of Berth is detaching it", "the intent of a live run, at the end of the wait")
    case .domainGone:
      SentenceEntry("the domain is gone or being destroyed", "Xen does not list it as alive, or its home is gone")
    case .domainOrStubGone:
      SentenceEntry(
        "the domain or its stub domain is gone or being destroyed",
        "Xen does not list one of them as alive, or its home is gone")
    case .domainInTransition:
      SentenceEntry(
        "libxl has no readable saved configuration of the domain, or the domain is going",
        "libxl-json under the lock, and the domain's home")
    case .configurationMissing:
      SentenceEntry(
        "libxl is still creating the domain: it has no saved configuration yet", "libxl-json is absent under the lock")
    case .refused: SentenceEntry("{}: {}", "the observation that the words after the name give")
    case .deviceMissing: SentenceEntry("sysfs has no device at {}", "sysfs, read before the claim")
    case .driverIsOther: SentenceEntry("its driver is {}, not pciback", "sysfs, read before the claim")
    case .identityChanged:
      SentenceEntry(
        "{} was planned, but the device is {} now",
        "vendor and device in sysfs, or the serial number, read before the claim")
    case .claimedWithoutEntry:
      SentenceEntry(
        "it is claimed for the domain, but its entry is gone; no store says whether the guest still has it. A restart "
          + "of the domain settles that", "Xen's answer to the assignment, the claim, the back end, and the kernel log")
    case .anotherGuestHasIt:
      SentenceEntry("Xen says that another guest has it", "Xen's answer to the assignment, the back end and the claim")
    case .createdWithoutPassthrough:
      SentenceEntry("the domain was created without passthrough", "Xen's answer to the assignment: EOPNOTSUPP")
    case .unknownToXen: SentenceEntry("Xen does not know the device", "Xen's answer to the assignment: ENODEV")
    case .assignmentForbidden:
      SentenceEntry("Xen does not permit the assignment: {}", "Xen's answer to the assignment: EPERM or EACCES")
    case .mayBeHeld:
      SentenceEntry(
        "bus-unsettled: pciback may hold a device that no node shows, or would end the bus over an entry",
        "the back end, Berth's record and the kernel log, none of which proves what pciback holds")
    case .entryGoneUnclear:
      SentenceEntry(
        "overwritten: its entry is gone, and no store says whether the guest still has it. A restart of the domain "
          + "settles that", "the back end, the claim, Berth's record and the kernel log")
    case .anotherDevice:
      SentenceEntry("another device is at the address now, or none", "sysfs, read again after the claim")
    case .leftUnbound:
      SentenceEntry(
        "pciback released the device to end `permissive`, and has not taken it again; the next apply tries that again",
        "the device's driver in sysfs after the write to `bind`")
    case .listedElsewhere:
      SentenceEntry(
        "pciback would keep `permissive`: the back end of domain {} lists the device",
        "pciback's `permissive`, and that back end")
    case .hasVirtualFunctions:
      SentenceEntry(
        "pciback would keep `permissive`: the device has virtual functions, which would be unbound with it",
        "pciback's `permissive`, and the device's folder in sysfs")
    case .pcibackKeepsIt:
      SentenceEntry(
        "pciback did not release the device, so that `permissive` stays",
        "the device's driver in sysfs after the write to `unbind`")
    case .lacksOptions:
      SentenceEntry(
        "the guest has it, but its entry lacks the options; the next apply reattaches it",
        "the entry's options, read with the states that show that the guest has the device")
    case .keepsPermissive:
      SentenceEntry(
        "the guest has it, but pciback keeps `permissive`",
        "pciback's `permissive`, read after the states that show that the guest has the device")
    case .notAssigned:
      SentenceEntry(
        "its entry is there, but Xen says that no guest has the device",
        "Xen's answer about the device, after the states that show that the guest has the device")
    case .entryMissing: SentenceEntry("its entry is not there", "the back end, read back")
    case .busHidden:
      SentenceEntry(
        "the guest would not find its bus: the front end has no state", "the front end's state, read back")
    case .busFlawed: SentenceEntry("{}", "the back end, read back")
    case .oldDomainKeepsIt:
      SentenceEntry("its old domain has not returned it to Xen", "the outcome of the detach there")
    case .detachedByOther:
      SentenceEntry(
        "another toolstack detached it at the same time", "the entry, the claim and Xen's owner, read in the wait")
    case .guestSilent:
      SentenceEntry("the guest did not answer in time", "the end of the wait on the bus's states")
    case .guestSilentAtStop:
      SentenceEntry("the guest has not answered yet: interrupted", "the user's stop in the wait on the bus's states")
    case .notConnected:
      SentenceEntry(
        "{} has not connected to its PCI bus: it has no xen-pcifront, or has not started it; see its console",
        "the front end at state 1 at the end of the wait")
    case .silentAttach:
      SentenceEntry(
        "{} (back end {}, front end {}); left unchanged; the next apply continues from here",
        "the end of the wait, and both states after it")
    case .silentDetach:
      SentenceEntry(
        "the guest did not release it in time (back end {}, front end {}); left unchanged; the next apply continues "
          + "from here", "the end of the wait, and both states after it")
    case .silentDetachAtStop:
      SentenceEntry(
        "the guest has not released it yet: interrupted (back end {}, front end {}); left unchanged; the next apply "
          + "continues from here", "the user's stop in the wait, and both states after it")
    case .cannotAnswer:
      SentenceEntry("the domain is paused and cannot answer", "Xen: paused, without CPU time since before the round")
    case .cannotAnswerKept:
      SentenceEntry(
        "the domain is paused and cannot answer; the devices stay attached",
        "Xen: paused, without CPU time since before the round; the round was taken back")
    case .wokeMeanwhile:
      SentenceEntry(
        "the domain woke while Berth cancelled the change; Berth does not know what the guest has; the next apply "
          + "continues from here", "Xen: CPU time was used between the two looks")
    case .notShown:
      SentenceEntry(
        "{}; left unchanged; the next apply continues from here", "QEMU's list of devices, or its missing answer")
    case .acceptedNotShown:
      SentenceEntry("QEMU accepted it but does not show it", "QEMU's answer to device_add, and its list of devices")
    case .refusedByQEMU: SentenceEntry("QEMU refused it: {}", "QEMU's answer, in its own words")
    case .openedTooLate:
      SentenceEntry(
        "QEMU in the stub domain could not open it in time", "QEMU's answers until the end of the wait")
    case .keptTooLong:
      SentenceEntry(
        "QEMU asked the guest to release it, but it has not in time (can the guest hot-unplug by ACPI?); the next apply "
          + "continues from here",
        "QEMU's list of devices at the end of the wait, after QEMU had accepted device_del")
    case .keptAtStop:
      SentenceEntry(
        "QEMU asked the guest to release it, but it has not yet: interrupted; the next apply continues from here",
        "QEMU's list of devices before the stop, after QEMU had accepted device_del")
    case .endedQEMU:
      SentenceEntry(
        "QEMU of {} has ended, or takes no connections; restart the domain",
        "the refused connection to QEMU's socket, after QEMU had accepted device_del")
    case .endedQEMUUnasked:
      SentenceEntry(
        "QEMU of {} has ended, or takes no connections, so the guest was not asked; restart the domain",
        "the refused connection to QEMU's socket")
    case .notRemovedByQEMU:
      SentenceEntry("QEMU did not remove it from the guest: {}", "QEMU's answer to device_del, or its missing answer")
    case .traditionalNotReady:
      SentenceEntry(
        "qemu-traditional is not ready: its state is {}", "the state node of its commands at the end of the wait")
    case .traditionalSilent:
      SentenceEntry(
        "qemu-traditional has not answered {}: its state is {}",
        "the state node of its commands at the end of the wait")
    case .nextApplyContinues:
      SentenceEntry("{}; the next apply continues from here", "the observation of the first part")
    case .stoppedBefore:
      SentenceEntry(
        "stopped before the change", "the user's stop, before the bus listed the device or marked its entry")
    case .stoppedBeforeQEMU:
      SentenceEntry("stopped before QEMU could open it", "the user's stop, after QEMU's answer that it cannot open it")
    case .stoppedAfterQEMU:
      SentenceEntry(
        "stopped after QEMU had removed it from the guest", "the user's stop, after QEMU's list without the device")
    case .stoppedBeforeRelease:
      SentenceEntry(
        "stopped before pciback had released it; the next apply finishes it",
        "the user's stop, in the wait for pciback after the mark")
    case .restless:
      SentenceEntry("the bus did not come to rest: {}", "the bus's states at the end of the wait")
    case .restlessOverwritten:
      SentenceEntry(
        "its entry was overwritten, and could not be added again",
        "the back end without the entry, and what the attempt to add it found")
    case .markOverwritten:
      SentenceEntry(
        "its entry was gone after the round, and nothing shows that pciback has released it; the next apply continues",
        "the back end without the marked entry, and Xen's answer that a guest has the device")
    case .overwrittenUnclear:
      SentenceEntry(
        "another toolstack overwrote the entry, and the kernel log does not say whether the guest has the device; "
          + "nothing was written", "the back end without the entry, and the kernel log since before the attach")
    case .listedAgain:
      SentenceEntry(
        "the back end still lists it, or lists it again; look at it with berth status",
        "the back end, read in the transaction that was to remove the entry")
    case .failed: SentenceEntry("{}", "the failed request's answer")
    case .busEnded:
      SentenceEntry(
        "the guest's PCI bus ended (back end {}, front end {}): {}", "both states, and pciback's error node")
    case .busEndedSince:
      SentenceEntry(
        "the guest's PCI bus has ended since, with the device on it",
        "the back end at 5 or 6, with the device on it")
    case .busEndedWithOthers:
      SentenceEntry(
        "the guest's PCI bus ended with {} on it; restart the domain, so that the guest gets a new bus",
        "the back end at 5 or 6, and the other entries on it")
    case .undoingFailed:
      SentenceEntry("{}; undoing it failed: {}", "the failed request's answer, while the step was undone")
    case .returningFailed: SentenceEntry("returning {}: {}", "the failed request's answer")
    case .grantingAgainFailed:
      SentenceEntry("granting again what other devices share: {}", "the failed request's answer")
    case .releasedBut:
      SentenceEntry(
        "the guest has released it, but {}", "the released entry, and the failed request's answer after it")
    case .tracesLeft:
      SentenceEntry(
        "returned to Xen, but its entry or claim is still there; the next apply finishes it",
        "the back end and the claim, read after they were removed")
    case .rightsLeft:
      SentenceEntry(
        "rights-left: the guest has released it, but {}",
        "Berth's record of the grant, and Xen's answer to the revocation")
    case .grantUnknown:
      SentenceEntry(
        "no record says what it was granted with the card, which is gone", "Berth's record, and sysfs")
    case .mayStillReach:
      SentenceEntry("it may still reach {}: {}", "Berth's record of the grant, and Xen's answer to the revocation")
    case .driverSilent:
      SentenceEntry(
        "{} has not answered in time{}; the device is left as it is, and the next apply continues from here",
        "the end of the wait for the write to `unbind` or `bind`, and the stack of the process that waits there")
    case .driverKeeps:
      SentenceEntry(
        "{} did not release it{}", "the device's driver in sysfs after the write to `unbind`, and the kernel log")
    case .driverRefuses:
      SentenceEntry(
        "{} did not take it{}", "the device's driver in sysfs after the write to `bind`, and the kernel log")
    case .putBack: SentenceEntry("{}; {} has it again", "the device's driver in sysfs, read after it was put back")
    case .notPutBack:
      SentenceEntry("{}; it was not put back as it was: {}", "the device's driver in sysfs, read afterwards")
    case .quarantineFailed:
      SentenceEntry(
        "pciback has it, but Xen has not quarantined it: {}", "the device's driver in sysfs, and Xen's answer")
    case .otherDriverTook:
      SentenceEntry("{} took it instead of {}", "the device's driver in sysfs, read after the bind")
    case .pcibackTookAgain:
      SentenceEntry(
        "pciback took it again, because it claims the device or a bridge above the device",
        "the device's driver in sysfs, read after the device was offered to all drivers")
    case .overrideStays:
      SentenceEntry("its driver_override is {} and not what was written", "`driver_override`, read after the write")
    case .noteStays:
      SentenceEntry(
        "{} is {} and not what was written", "the node that xl reads the driver from, read after the commit")
    case .inUse:
      SentenceEntry(
        "the device is not free: {}",
        "a whole look at the host: buses, claims, Xen, QEMU, records and intents, before the device is unbound")
    case .beingReleased:
      SentenceEntry(
        "a run of Berth is returning it to its driver, or ended while it did",
        "Berth's record of the device, read after Xen had assigned the device")
    case .moduleMissing:
      SentenceEntry("its driver {} is not loaded: {}", "the drivers in sysfs, and modprobe's answer")
    case .otherRunOnDevice:
      SentenceEntry("another run of Berth is at work on the device: {}", "the lock of the device's record is held")
    case .cardStopped:
      SentenceEntry(
        "all functions of the card are declared, and {} cannot be taken: {}",
        "what the words after the address say, of that function")
    case .hostRepairFailed: SentenceEntry("{}: {}", "the failed request's answer")
    case .recordsFailed: SentenceEntry("records: {}", "the failed request's answer")
    }
  }
}
