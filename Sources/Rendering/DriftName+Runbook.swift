package import Planning

/// What is known of one kind of drift besides its cause: how to recognise it, and what becomes of it.
package struct Runbook: Hashable, Sendable {
  /// Which store says what.
  package var seen: String
  /// What an apply does about it; nil where it never does anything.
  package var mending: String?
  /// Why it is left where it concerns what Berth may change; nil where it is mended always then.
  package var whyLeft: String?

  /// Both in one text.
  package var repair: String {
    [mending, whyLeft.map { "Left: \($0)" }].compactMap(\.self).joined(separator: ". ")
  }
}

extension DriftName {
  package var runbook: Runbook {
    switch self {
    case .configOnly:
      Runbook(
        seen: "libxl-json lists it; no back end entry, no claim",
        mending: "Drops the line, or attaches the device where it is declared",
        whyLeft: "while QEMU of an HVM guest cannot be asked, the line is all that tells of the device")
    case .storeOnly:
      Runbook(
        seen: "back end entry; libxl-json lacks it",
        mending: "Adds the line where the device is declared")
    case .recordOnly:
      Runbook(
        seen: "Berth's record names it; nothing else of the domain does",
        mending: "Attaches it where it is declared, otherwise takes it out of the record")
    case .claimMissing:
      Runbook(
        seen: "back end entry; no claim",
        mending: "Writes the claim again where the device is declared")
    case .claimOnly:
      Runbook(
        seen: "a claim of a living domain; no back end entry, no line in libxl-json",
        mending: "Goes on with it where it is declared for that domain",
        whyLeft: "nothing tells whether a toolstack is about to attach it")
    case .claimForeign:
      Runbook(
        seen: "back end entry of one domain, claim of another",
        mending: "Corrects the claim where the device is declared and the other domain does not list it",
        whyLeft: "both domains list it, and nothing tells whose it is")
    case .staleClaim:
      Runbook(
        seen: "a claim of a domain that is gone; no back end entry",
        mending: "Removes the claim",
        whyLeft: "Xen says that a guest has the device which is declared, and the claim may be all that tells "
          + "whose it was")
    case .assignmentOnly:
      Runbook(
        seen: "Xen says that a guest has it; no back end entry, no claim, no intent",
        whyLeft: "Xen does not tell whose it is, and to try each domain would take it from one that uses it")
    case .attachedTwice:
      Runbook(
        seen: "back end entries in two living domains",
        mending: "Detaches it from one of them where the manifest says so",
        whyLeft: "a person has to say whose it is")
    case .exportPending:
      Runbook(
        seen: "back end entry not at state 3 with a vdev, in a domain that runs",
        mending: "Starts a round, or waits for the one that is under way, where the device is declared")
    case .notOnPCIBack:
      Runbook(
        seen: "back end entry; the device is not bound to pciback, or is gone",
        mending: "Takes the entry out where the device is no longer declared",
        whyLeft: "a round over it would end the guest's bus")
    case .halfRemoved:
      Runbook(
        seen: "back end entry at state 5; or, for an HVM guest, no entry while pciback still holds the device",
        mending: "Ends the removal",
        whyLeft: "another toolstack may be about to delete the entry by an index it has read; after 15 "
          + "seconds the next change to the domain ends it")
    case .revokedButListed:
      Runbook(
        seen: "back end entry; Xen says that nobody has the device",
        mending: "Detaches it for good, and attaches it anew where it is declared")
    case .overwritten:
      Runbook(
        seen: "claim and libxl-json; no back end entry",
        mending: "Enters it again where it is declared, gives it back where Berth owned it",
        whyLeft: "nobody declares it, and Berth did not attach it")
    case .orphanEntry:
      Runbook(
        seen: "back end nodes of an entry at or above num_devs",
        mending: "Enters a device that the domain has claimed again",
        whyLeft: "nothing tells whether the guest has it; until that is settled, nothing of the domain is "
          + "changed")
    case .duplicateEntry:
      Runbook(
        seen: "two back end entries of one domain with one address",
        whyLeft: "only a new bus is sure to be right; until then, nothing of the domain is changed")
    case .mislabelled:
      Runbook(
        seen: "an entry with the vdev at which Berth's record has another device, which is claimed and not "
          + "listed",
        whyLeft: "which of the two the guest has, only the guest and dom0's kernel log can tell")
    case .sharedGuestAddress:
      Runbook(
        seen: "two entries at state 3 with one vdev",
        whyLeft: "the guest has lost one of them, and only a new bus brings it back")
    case .leftoverIntent:
      Runbook(
        seen: "an intent below /run/berth whose writer is gone",
        mending: "Ends what was begun or takes it back; where nothing is left to do, removes the intent")
    case .deviceModelLacks:
      Runbook(
        seen: "back end entry; QEMU does not list it",
        mending: "Asks QEMU to add it where it is declared")
    case .deviceModelOnly:
      Runbook(
        seen: "QEMU lists it; no back end entry",
        mending: "Asks QEMU to remove it where Berth owned it, and gives it to nobody before it is gone",
        whyLeft: "nobody declares it, and Berth did not attach it")
    case .busUnsettled:
      Runbook(
        seen: "an HVM guest's back end not at 3",
        mending: "Writes 3 where a declared device is on the bus")
    case .busTorn:
      Runbook(
        seen: "back end 4, front end 7",
        mending: "Starts the round again before the next change to the domain")
    case .roundUnheard:
      Runbook(
        seen: "back end 7 or 8, front end below 4",
        mending: "Puts the back end back to 4 where a declared device is on the bus and waiting was in vain, "
          + "and asks once more when the guest has connected")
    case .busReplaced:
      Runbook(
        seen: "back end below 4, front end 4",
        mending: "Makes the bus anew where a declared device is on it and waiting was in vain")
    case .busVanishing:
      Runbook(
        seen: "no back end; dom0's kernel object pci-N-0, or the front end, is still there",
        mending: "Waits for it to go before the next attach, and removes a front end that nobody serves")
    case .leakedBackEnd:
      Runbook(
        seen: "a back end whose domain is gone",
        mending: "Removes it",
        whyLeft: "dom0's kernel still serves it")
    case .corruptBackEnd:
      Runbook(
        seen: "num_devs, dev-N, key-N, state-N, state or frontend missing or wrong",
        whyLeft: "pciback and the guest may know other devices than the nodes say; until that is settled, "
          + "nothing of the domain is changed")
    case .corruptSavedConfiguration:
      Runbook(
        seen: "libxl-json is empty or is not what libxl writes",
        whyLeft: "what else was in it cannot be made up; until it is there, nothing of the domain is changed")
    case .busClosing:
      Runbook(
        seen: "back end or front end at 5 or 6",
        mending: "Ends the closing of a bus without devices",
        whyLeft: "the guest keeps what it has, and a bus that pciback ended takes nothing more until the "
          + "domain is started again")
    }
  }
}
