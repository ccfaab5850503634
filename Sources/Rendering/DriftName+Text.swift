package import Planning

extension DriftName {
  /// Returns one sentence, without a full stop, that says what the name means.
  package var meaning: String {
    switch self {
    case .configOnly: "in libxl's saved configuration, and not attached"
    case .storeOnly: "attached, and missing from libxl's saved configuration"
    case .recordOnly: "in Berth's record, and not attached"
    case .claimMissing: "attached, and not reserved for the domain"
    case .claimOnly: "reserved for a domain that does not have it"
    case .claimForeign: "attached here, and reserved for another domain"
    case .staleClaim: "reserved for a domain that is gone"
    case .assignmentOnly: "given to a guest by the hypervisor, and no store says to which"
    case .attachedTwice: "in the back ends of two domains"
    case .exportPending: "in the back end, and not yet exported to the guest"
    case .notOnPCIBack: "in the back end, and not on pciback"
    case .halfRemoved: "a removal was begun and not finished"
    case .revokedButListed: "in the back end, though the hypervisor has taken it from the domain"
    case .overwritten: "its entry in the back end was overwritten by another toolstack"
    case .orphanEntry: "its back end entry is beyond the count, where nobody looks"
    case .duplicateEntry: "in the back end more than once"
    case .mislabelled: "its back end entry is at the guest address of another device"
    case .sharedGuestAddress: "two devices have one address in the guest"
    case .leftoverIntent: "an earlier run of Berth ended before it had finished"
    case .deviceModelLacks: "in the back end, and not shown to the guest by QEMU"
    case .deviceModelOnly: "shown to the guest by QEMU, and not in the back end"
    case .busUnsettled: "pciback waits in a state in which it exports nothing"
    case .busTorn: "the guest is in the middle of a round that was taken back"
    case .roundUnheard: "a round was begun before the guest had connected"
    case .busReplaced: "the back end was replaced under a connected guest"
    case .busVanishing: "the back end is gone, and one end of the bus is not"
    case .leakedBackEnd: "a back end whose domain is gone"
    case .corruptBackEnd: "the domain's PCI back end in xenstore is damaged"
    case .corruptSavedConfiguration: "libxl's saved configuration of the domain cannot be read"
    case .busClosing: "the domain's PCI bus is being closed"
    }
  }

  /// Returns the next step, with ADDRESS and DOMAIN for the device and the domain; nil if a person has none to take.
  package var remedy: String? {
    switch self {
    case .claimOnly: "once no toolstack is at work, remove its node below /libxl/pci with xenstore-rm"
    case .claimForeign: "see which of the two domains should have the device, and detach it from the other"
    case .assignmentOnly: "find the guest with `xl debug-keys Q` and `xl dmesg`, and shut it down"
    case .attachedTwice: "detach it from one of the two with `xl pci-detach`"
    case .notOnPCIBack: "`xl pci-assignable-add ADDRESS`, then run again; or detach it from DOMAIN"
    case .revokedButListed: "shut the domain down and start it again: that builds the back end anew"
    case .orphanEntry: "shut the domain down and start it again: that builds the back end anew"
    case .duplicateEntry: "shut the domain down and start it again: that builds the back end anew"
    case .mislabelled:
      "look with `lspci` in DOMAIN which devices are there; restarting the domain gives it all of them"
    case .sharedGuestAddress:
      "look with `lspci` in DOMAIN which devices are there; restarting the domain gives it all of them"
    case .busReplaced: "apply a manifest that declares the devices of DOMAIN, or restart it"
    case .corruptBackEnd: "shut the domain down and start it again: that builds the back end anew"
    case .corruptSavedConfiguration: "shut the domain down and create it again from its configuration file"
    case .busClosing: "run again when the bus is closed; if it stays so, restart the domain"
    case .configOnly, .storeOnly, .recordOnly, .claimMissing, .staleClaim, .exportPending, .halfRemoved, .overwritten,
      .leftoverIntent, .deviceModelLacks, .deviceModelOnly, .busUnsettled, .busTorn, .roundUnheard, .busVanishing,
      .leakedBackEnd:
      nil
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .configOnly:
      "libxl never takes a detached device out of its saved configuration: this is what each `xl pci-detach` leaves. At "
        + "the next reboot libxl would attach it again."
    case .storeOnly:
      "libxl 4.14 left the first device out, and every version keeps no record for guests with a stub domain. The "
        + "device would be lost at a reboot."
    case .recordOnly:
      "Somebody took the device away, and its saved line too; or the domain was started anew without it."
    case .claimMissing:
      "Any `xl pci-attach` of the device that fails, for whatever domain, removes the reservation, also of the domain "
        + "that has it. The device could then be reset and offered to a second guest."
    case .claimOnly:
      "A toolstack was ended between its reservation and its entry, or detached the device and left the reservation, or "
        + "is about to attach it."
    case .claimForeign:
      "After a failed `xl pci-attach` had removed the reservation, another domain's attach wrote its own; or the number "
        + "is that of an earlier domain."
    case .staleClaim: "An attach that failed, or a domain that was destroyed without its toolstack."
    case .assignmentOnly:
      "An attach failed half-way, and what it had taken was not given back: libxl removes the reservation then, and "
        + "leaves the assignment. Or Xen does not know the device: it answers the same for both."
    case .attachedTwice:
      "Two toolstacks attached it at once: each looked whether it was free before either had reserved it. pciback exports "
        + "it to one of the two."
    case .exportPending:
      "The entry waits at state 1: a round went by without it, none came, or the guest does not answer."
    case .notOnPCIBack:
      "The device was taken from pciback or from the host after it had been entered. pciback ends the whole bus when it "
        + "is asked for a device that it does not have."
    case .halfRemoved:
      "xl or Berth was ended between the round and the deletion of the entry, or libxl left an HVM guest's bus where "
        + "pciback acts on nothing. The next round would remove whatever has the entry's slot by then."
    case .revokedButListed:
      "`xl pci-detach` of a guest that does not answer takes the rights away, reports success and leaves the entry. The "
        + "guest still believes that it has the device."
    case .overwritten:
      "Another toolstack wrote its own entry over it, since it had counted before it took the lock; or a run was killed "
        + "half-way. Whether the guest has the device is told by Berth's record or by dom0's kernel log; where it has, the "
        + "entry is put back without asking pciback again."
    case .orphanEntry:
      "Another toolstack wrote a count that it had read before these entries were added, or was ended while it removed "
        + "some. libxl and pciback do not look there."
    case .duplicateEntry:
      "Two toolstacks attached the device at once. pciback exports it once, and fails the second time."
    case .mislabelled:
      "Two `xl pci-attach` at once: the second one's address was written over the entry that pciback had exported for the "
        + "first. State 3 and a vdev then prove nothing of the device that the entry names."
    case .sharedGuestAddress:
      "A round was begun over a removal that was half done: the guest dropped the device that had the slot by then, and a "
        + "new one got it."
    case .leftoverIntent:
      "A run was killed. What it was about to do is on disk, and what it had done is looked up."
    case .deviceModelLacks:
      "pciback holds the device for the guest, and QEMU does not show it: QEMU was started anew, or a run was killed "
        + "before it had asked."
    case .deviceModelOnly:
      "`xl pci-detach -f` goes on without QEMU's answer, and a guest may let go of nothing for a long time. QEMU still "
        + "reaches the device, so it must not go to another guest."
    case .busUnsettled:
      "libxl asks every bus for a round, also an HVM guest's, which nobody answers: the back end then stays at 7, and "
        + "pciback exports and releases nothing more."
    case .busTorn:
      "A round was taken back while the guest was working on it: the guest waits for an answer that pciback no longer "
        + "owes it."
    case .roundUnheard:
      "`xl pci-attach` while the guest's first devices connect: libxl looks at pciback's state alone, and begins a round "
        + "that a connecting guest ignores. Both ends wait for each other then."
    case .busReplaced:
      "Two first devices were attached at once: libxl deleted the back end of the first and made its own in one "
        + "transaction, which neither dom0's kernel nor the guest notices."
    case .busVanishing:
      "The bus was closed or deleted a moment ago, or somebody deleted its nodes and one end has not let go."
    case .leakedBackEnd:
      "A guest that did not answer was destroyed: libxl leaves its PCI back end, which nothing else removes."
    case .corruptBackEnd:
      "The entries are not dense, or lack a node, or the count is none: xl crashes on a hole, and pciback leaves devices "
        + "out. It comes from two toolstacks that wrote at once, or from a hand. Berth changes nothing there."
    case .corruptSavedConfiguration:
      "libxl-json is empty or is not what libxl writes. libxl refuses it too. Attaching without it would lose the device "
        + "at the next reboot."
    case .busClosing:
      "pciback ended the bus: it was asked for a device that it did not have. The guest keeps what it has and gets "
        + "nothing more until it is started again."
    }
  }

  /// Returns what applying the plan does about a difference that nobody declared.
  var repair: String {
    switch self {
    case .configOnly: "will be dropped from the saved configuration"
    case .storeOnly: "will be written to the saved configuration"
    case .recordOnly: "will be taken out of Berth's record"
    case .claimMissing, .claimForeign: "will be reserved for the domain"
    case .staleClaim: "the reservation will be removed"
    case .leftoverIntent: "the intent will be removed"
    case .busUnsettled: "the back end will be brought to rest"
    case .leakedBackEnd: "the back end will be removed"
    case .claimOnly, .assignmentOnly, .attachedTwice, .exportPending, .notOnPCIBack, .halfRemoved, .revokedButListed,
      .overwritten, .orphanEntry, .duplicateEntry, .mislabelled, .sharedGuestAddress, .deviceModelLacks,
      .deviceModelOnly, .busTorn, .roundUnheard, .busReplaced, .busVanishing, .corruptBackEnd,
      .corruptSavedConfiguration, .busClosing:
      "will be repaired"
    }
  }
}
