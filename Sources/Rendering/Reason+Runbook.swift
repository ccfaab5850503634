package import Core

/// What is known of one kind of drift besides its cause: how to recognise it, and what becomes of it.
package struct Runbook: Hashable, Sendable {
  /// Which store says what.
  package var seen: String
  /// What an apply does about it, and where it does nothing, why.
  package var repair: String
}

extension Reason {
  /// Nil for names that are no drift.
  package var runbook: Runbook? {
    switch self {
    case .configOnly:
      Runbook(
        seen: "libxl-json lists it; no back end entry, no claim",
        repair:
          "Drops the line, or attaches the device where it is declared. Left while QEMU of an HVM guest cannot be "
          + "asked: the line is all that tells of it")
    case .storeOnly:
      Runbook(
        seen: "back end entry; libxl-json lacks it",
        repair: "Adds the line where the device is declared. Left where nobody declares it")
    case .recordOnly:
      Runbook(
        seen: "Berth's record names it; nothing else of the domain does",
        repair: "Attaches it where it is declared, otherwise takes it out of the record")
    case .claimMissing:
      Runbook(
        seen: "back end entry; no claim",
        repair: "Writes the claim again where the device is declared. Left where nobody declares it")
    case .claimOnly:
      Runbook(
        seen: "a living domain's claim; no back end entry, no line in libxl-json",
        repair:
          "Goes on with it where it is declared for that domain. Otherwise left: nothing tells whether a toolstack is "
          + "about to attach it")
    case .claimForeign:
      Runbook(
        seen: "back end entry of one domain, claim of another",
        repair:
          "Corrects the claim where the device is declared and the other domain does not list it. Left where both "
          + "list it")
    case .staleClaim:
      Runbook(
        seen: "a claim of a domain that is gone; no back end entry",
        repair: "Removes the claim")
    case .assignmentOnly:
      Runbook(
        seen: "Xen says that a guest has it; no back end entry, no claim, no intent",
        repair: "Left: Xen does not tell whose it is, and to try each domain would take it from one that uses it")
    case .attachedTwice:
      Runbook(
        seen: "back end entries in two living domains",
        repair: "Left unless the manifest has Berth take it from one of them: a person has to say whose it is")
    case .exportPending:
      Runbook(
        seen: "back end entry not at state 3 with a vdev, in a domain that runs",
        repair: "Starts a round, or waits for the one that is under way, where the device is declared")
    case .notOnPCIBack:
      Runbook(
        seen: "back end entry; the device is not bound to pciback, or is gone",
        repair: "Takes the entry out where it is no longer declared. Otherwise left: a round over it would end the bus")
    case .halfRemoved:
      Runbook(
        seen: "back end entry at state 5; or, for an HVM guest, no entry while pciback still holds the device",
        repair: "Ends the removal: Berth's own at once, another toolstack's after 15 seconds and before the next change"
      )
    case .revokedButListed:
      Runbook(
        seen: "back end entry; Xen says that nobody has the device",
        repair: "Detaches it for good, and attaches it anew where it is declared")
    case .overwritten:
      Runbook(
        seen: "claim and libxl-json; no back end entry",
        repair: "Enters it again where it is declared, gives it back where Berth owned it. Left where it is neither")
    case .orphanEntry:
      Runbook(
        seen: "back end nodes of an entry at or above num_devs",
        repair: "Enters a device that the domain has claimed again. Others are left, and block changes to the domain")
    case .duplicateEntry:
      Runbook(
        seen: "two back end entries of one domain with one address",
        repair: "Left, and blocks changes to the domain: only a new bus is sure to be right")
    case .mislabelled:
      Runbook(
        seen: "an entry with the vdev at which Berth's record has another device, which is claimed and not listed",
        repair: "Left: which of the two the guest has, only the guest and dom0's kernel log can tell")
    case .sharedGuestAddress:
      Runbook(
        seen: "two entries at state 3 with one vdev",
        repair: "Left: the guest has lost one of them, and only a new bus brings it back")
    case .leftoverIntent:
      Runbook(
        seen: "an intent below /run/berth whose writer is gone",
        repair: "Ends what was begun or takes it back; where nothing is left to do, removes the intent")
    case .deviceModelLacks:
      Runbook(
        seen: "back end entry; QEMU does not list it",
        repair: "Asks QEMU to add it where it is declared")
    case .deviceModelOnly:
      Runbook(
        seen: "QEMU lists it; no back end entry",
        repair: "Asks QEMU to remove it where Berth owned it, and gives it to nobody before it is gone")
    case .busUnsettled:
      Runbook(
        seen: "an HVM guest's back end not at 3",
        repair: "Writes 3 where a declared device is on the bus")
    case .busTorn:
      Runbook(
        seen: "back end 4, front end 7",
        repair: "Starts the round again before the next change to the domain; otherwise left")
    case .busReplaced:
      Runbook(
        seen: "back end below 4, front end 4",
        repair: "Makes the bus anew where a declared device is on it and waiting was in vain; otherwise left")
    case .busVanishing:
      Runbook(
        seen: "no back end; dom0's kernel object pci-N-0, or the front end, is still there",
        repair: "Waits for it to go before the next attach, and removes a front end that nobody serves; otherwise left")
    case .leakedBackEnd:
      Runbook(
        seen: "a back end whose domain is gone",
        repair: "Removes it once dom0's kernel has let go of it")
    case .corruptBackEnd:
      Runbook(
        seen: "num_devs, dev-N, key-N, state-N, state or frontend missing or wrong",
        repair:
          "Left, and blocks changes to the domain: pciback and the guest may know other devices than the nodes say")
    case .corruptSavedConfiguration:
      Runbook(
        seen: "libxl-json is empty or is not what libxl writes",
        repair: "Left, and blocks changes to the domain: what else was in it cannot be made up")
    case .busClosing:
      Runbook(
        seen: "back end or front end at 5 or 6",
        repair:
          "Ends the closing of a bus without devices. A bus that pciback ended is left until the domain is restarted")
    default: nil
    }
  }
}
