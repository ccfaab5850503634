package import Core

extension Reason {
  /// How it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .declared:
      "The manifest names the device for this domain, and the domain does not have it, or has it only in part: an entry "
        + "that the guest has not taken yet counts as missing. Applying attaches it, or goes on where it was left."
    case .notDeclared:
      "Berth attached or adopted the device, or policy.prune is `all`, and the manifest no longer names it here. "
        + "Applying asks the guest to let go, then takes its rights away, then the reservation and the saved line."
    case .optionsDiffer:
      "The options in the back end's opts-N and vdevfn-N are others than the declared ones. None of them can be changed "
        + "in place, so the device is detached and attached again. A slot that nobody asked for is no difference."
    case .declaredElsewhere:
      "The manifest declares the device here, and another domain that Berth may take it from has it. Applying detaches "
        + "it there first; where that guest does not let go, the device stays with it."
    case .alreadyAttached:
      "Somebody else attached the device as it is declared. Applying writes it into Berth's record and changes nothing "
        + "on the host. From then on it is Berth's, and removed when it is no longer declared."
    case .inSync: "The device is attached as declared, and every place that is asked says so."
    case .notOwned:
      "The device is attached, and neither the manifest nor Berth's record knows it: another toolstack or a person put "
        + "it there. It is shown and left alone unless policy.prune is `all`."
    case .deviceMissing:
      "sysfs has no such function: the card was moved or is off, or its bus was numbered anew after another card came."
    case .notAssignable:
      "Only devices bound to pciback can be exported. A round that meets one that is not ends the guest's whole bus, so "
        + "Berth asks for none."
    case .isBridge: "pciback passes single functions, and a bridge is none that a guest could use."
    case .assignedElsewhere:
      "Xen says that some guest has the device and no back end says which: Xen has no call that names the owner. It is "
        + "left by an attach that failed half-way, or by another toolstack. `xl debug-keys Q` and `xl dmesg` show owners."
    case .attachedElsewhere:
      "Another domain's back end lists the device, and Berth may not take it from there: neither its record nor the "
        + "policy says so."
    case .claimedElsewhere:
      "The node /libxl/pci/<address>/domid names another domain that lives and does not have the device: a toolstack is "
        + "about to attach it there, or failed to."
    case .identityMismatch:
      "The device at the address has another vendor or device number than the manifest says. Cards are numbered anew "
        + "when one is added; giving a guest the wrong one may take the host's disk away."
    case .identityUnknown: "The manifest says what the device must be, and sysfs does not say what it is."
    case .hostWithoutIOMMU:
      "Without an IOMMU a guest's device could read and write all memory. Xen 4.17 assigns none then, not to PV guests "
        + "either."
    case .domainWithoutIOMMU:
      "Whether a domain can have devices is settled when it is created: by passthrough=\"enabled\", or by pci=[…]. It "
        + "cannot be changed while it lives."
    case .kindNotSupported:
      "PVH guests get no devices in Xen 4.17. Of HVM guests Berth knows qemu-xen and qemu-traditional, in dom0 or in a "
        + "stub domain."
    case .domainMismatch:
      "A domain of the declared name is there, and it is another one than the manifest means."
    case .domainAmbiguous: "xl keeps names unique, other toolstacks and renaming do not."
    case .removalLimit:
      "policy.maxRemovals bounds what one apply may take away, so that an empty or truncated manifest does no harm. "
        + "Nothing of such a plan is applied."
    case .corruptBackEnd:
      "The entries are not dense, or lack a node, or the count is none: xl crashes on a hole, and pciback leaves devices "
        + "out. It comes from two toolstacks that wrote at once, or from a hand. Berth changes nothing there."
    case .corruptSavedConfiguration:
      "libxl-json is empty or is not what libxl writes. libxl refuses it too. Attaching without it would lose the device "
        + "at the next reboot."
    case .busClosing:
      "pciback ended the bus: it was asked for a device that it did not have. The guest keeps what it has and gets "
        + "nothing more until it is started again."
    case .nameCollision:
      "QEMU names a device by bus, slot and function. Two devices that differ in the segment alone would have one name."
    case .domainAbsent: "No domain of this name is there. Its devices are attached by the first apply after it starts."
    case .domainBuilding:
      "libxl attaches devices itself while it creates a domain, without any lock; its saved configuration, which comes "
        + "last of all, is not there yet."
    case .domainShuttingDown:
      "The domain has ended or crashed, and its toolstack is about to destroy or restart it."
    case .domainDestroying: "libxl removes the domain's nodes before the domain itself: they are gone already."
    case .domainPaused:
      "A paused guest cannot answer a round, and cannot let go of a device. Nothing is begun that it would have to end."
    case .stubDomainAbsent:
      "The guest's devices go through its stub domain, which is starting, stopping, paused or gone."
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
    case .revokedButListed:
      "`xl pci-detach` of a guest that does not answer takes the rights away, reports success and leaves the entry. The "
        + "guest still believes that it has the device."
    case .leftoverIntent:
      "A run was killed. What it was about to do is on disk, and what it had done is looked up."
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
    case .deviceModelLacks:
      "pciback holds the device for the guest, and QEMU does not show it: QEMU was started anew, or a run was killed "
        + "before it had asked."
    case .deviceModelOnly:
      "`xl pci-detach -f` goes on without QEMU's answer, and a guest may let go of nothing for a long time. QEMU still "
        + "reaches the device, so it must not go to another guest."
    }
  }
}
