package import Planning

extension DriftName {
  package var explanation: Explanation {
    switch self {
    case .configOnly:
      Explanation(
        meaning: "in libxl's saved configuration, but not attached",
        cause: "libxl does not remove a detached device from its saved configuration, so each `xl pci-detach` leaves a "
          + "line. When xl restarts the domain, libxl leaves out what no back end entry lists "
          + "(`libxl_retrieve_domain_configuration`). Other programs take the line for a device of the domain.",
        seen: "libxl-json lists it; no back end entry, no claim",
        repair: "Removes the line, or attaches the device if it is declared",
        action: "removes it from the saved configuration",
        whyLeft: "while QEMU of an HVM guest cannot be asked, the line is the only trace of the device")
    case .storeOnly:
      Explanation(
        meaning: "attached, but missing from libxl's saved configuration",
        cause:
          "Old versions of libxl did not save a domain's first device. No version of libxl saves the devices of guests with "
          + "a stub domain. The device would be lost at a reboot.",
        seen: "back end entry; libxl-json lacks it",
        repair: "Adds the line if the device is declared",
        action: "adds it to the saved configuration")
    case .recordOnly:
      Explanation(
        meaning: "in Berth's record, but not attached",
        cause: "Somebody detached the device and removed its saved line, or the domain was started again without it.",
        seen: "Berth's record names it; nothing else of the domain does",
        repair: "Attaches it if it is declared; otherwise removes it from the record",
        action: "removes it from its record")
    case .claimMissing:
      Explanation(
        meaning: "attached, but not reserved for the domain",
        cause: "An `xl pci-attach` that fails removes the device's claim, even if another domain has the device. Then "
          + "the device could be reset and offered to a second guest.",
        seen: "back end entry; no claim",
        repair: "Writes the claim again if the device is declared",
        action: "writes the claim again")
    case .claimOnly:
      Explanation(
        meaning: "reserved for a domain that does not have it",
        cause: "A toolstack ended between its claim and its entry, or detached the device and left the claim. Or it is "
          + "about to attach the device.",
        seen: "a claim of a living domain; no back end entry, no line in libxl-json",
        repair: "Attaches it if it is declared for that domain",
        whyLeft: "no store says whether a toolstack is about to attach it",
        remedy: "when no toolstack is at work, remove its node below /libxl/pci with `xenstore-rm`")
    case .claimForeign:
      Explanation(
        meaning: "attached here, but reserved for another domain",
        cause: "A failed `xl pci-attach` removed the claim, and then another domain's attach wrote its own. Or the "
          + "claim's number is that of an earlier domain.",
        seen: "back end entry of one domain, claim of another",
        repair: "Corrects the claim if the device is declared and the other domain does not list it",
        action: "corrects the claim",
        whyLeft: "both domains list it, and no store says which of them should have it",
        remedy: "decide which of the two domains should have the device, and detach it from the other")
    case .staleClaim:
      Explanation(
        meaning: "reserved for a domain that is gone",
        cause: "An attach failed, or a domain was destroyed without its toolstack.",
        seen: "a claim of a domain that is gone; no back end entry",
        repair: "Removes the claim",
        action: "removes the claim",
        whyLeft: "the device is declared, and Xen says that a guest has it; the claim may be the only trace of that "
          + "guest")
    case .assignmentOnly:
      Explanation(
        meaning: "given to a guest by the hypervisor, but no store says which guest",
        cause: "An attach failed half-way, and its assignment was not undone: libxl then removes the claim and leaves "
          + "the assignment. Or Xen does not know the device, for which it gives the same answer.",
        seen: "Xen says that a guest has it; no back end entry, no claim, no intent",
        whyLeft: "Xen does not name the guest, and trying each domain would take the device from one that uses it",
        remedy: "find the guest with \(.command("xl debug-keys Q")) and \(.command("xl dmesg")), and shut it down")
    case .attachedTwice:
      Explanation(
        meaning: "in the back ends of two domains",
        cause: "Two toolstacks attached it at once. Each saw the device as free before either had reserved it. pciback "
          + "exports it to one of the two.",
        seen: "back end entries in two living domains",
        repair: "Detaches it from one of them if the manifest says so",
        whyLeft: "a person has to decide which domain gets it",
        remedy: "detach it from one of the two with `xl pci-detach`")
    case .exportPending:
      Explanation(
        meaning: "in the back end, but not yet exported to the guest",
        cause: "The entry waits at state 1. pciback skipped it in a round, or no round came, or the guest does not "
          + "answer.",
        seen: "back end entry not at state 3 with a vdev, in a domain that runs",
        repair: "Starts a round, or waits for the round that runs, if the device is declared")
    case .notOnPCIBack:
      Explanation(
        meaning: "in the back end, but not on pciback",
        cause: "The device was taken from pciback or from the host after its entry was added. If pciback is asked for "
          + "a device that it does not have, it ends the whole bus.",
        seen: "back end entry; the device is not bound to pciback, or is gone",
        repair: "Removes the entry if the device is no longer declared",
        whyLeft: "a round that includes it would end the guest's bus",
        remedy: "if the host can do without the device, \(.command("xl pci-assignable-add", .address)) and run again; "
          + "or detach it from \(.domain)")
    case .halfRemoved:
      Explanation(
        meaning: "a removal was begun but not finished",
        cause: "xl or Berth ended between the round and the removal of the entry. Or libxl left an HVM guest's bus in "
          + "a state in which pciback does nothing. The next round would remove the device that then has the entry's "
          + "slot.",
        seen: "back end entry at state 5; or, for an HVM guest, no entry while pciback still holds the device",
        repair: "Finishes the removal",
        whyLeft: "another toolstack may be about to remove the entry by an index it has read; after 15 seconds the "
          + "next change to the domain finishes it")
    case .revokedButListed:
      Explanation(
        meaning: "in the back end, though the hypervisor has taken it from the domain",
        cause: "If a guest does not answer, `xl pci-detach` removes its rights, reports success and leaves the entry. "
          + "The guest still acts as if it had the device.",
        seen: "back end entry; Xen says that no guest has the device",
        repair: "Detaches it completely, and attaches it again if it is declared",
        remedy: "shut the domain down and start it again: this makes a new back end")
    case .overwritten:
      Explanation(
        meaning: "its entry in the back end was overwritten by another toolstack",
        cause: "Another toolstack counted the entries before it took the lock, and wrote its own entry over this one. "
          + "Or a run was killed half-way. Berth's record or dom0's kernel log says whether the guest has the device. "
          + "If it has, the entry is added again without asking pciback.",
        seen: "claim and libxl-json; no back end entry",
        repair: "If declared, adds the entry again. If Berth owned it, returns the device to Xen",
        whyLeft: "nobody declares it, and Berth did not attach it")
    case .orphanEntry:
      Explanation(
        meaning: "its back end entry is beyond the count, so libxl and pciback ignore it",
        cause: "Another toolstack wrote a count that it had read before these entries were added, or ended while it "
          + "removed some.",
        seen: "back end nodes of an entry at or above num_devs",
        repair: "Adds the entry again if the domain has claimed the device",
        whyLeft: "no store says whether the guest has it; until a person settles that, Berth changes nothing in the "
          + "domain",
        remedy: "shut the domain down and start it again: this makes a new back end")
    case .duplicateEntry:
      Explanation(
        meaning: "in the back end more than once",
        cause: "Two toolstacks attached the device at once. pciback exports it once, and fails the second time.",
        seen: "two back end entries of one domain with one address",
        whyLeft: "only a new bus is sure to be right; until there is one, Berth changes nothing in the domain",
        remedy: "shut the domain down and start it again: this makes a new back end")
    case .mislabelled:
      Explanation(
        meaning: "its back end entry is at the guest address of another device",
        cause: "Two `xl pci-attach` ran at once. The second wrote its address over the entry that pciback had exported "
          + "for the first. So state 3 and a vdev prove nothing about the device that the entry names.",
        seen: "an entry has the vdev of another device in Berth's record; that device is claimed but not listed",
        whyLeft: "only the guest and dom0's kernel log say which of the two devices the guest has",
        remedy: "run `lspci` in \(.domain) to see which devices it has; a restart of the domain gives it all of them")
    case .sharedGuestAddress:
      Explanation(
        meaning: "two devices have one address in the guest",
        cause: "A round began while a removal was half done. The guest dropped the device that had the slot by then, "
          + "and a new device got that slot.",
        seen: "two entries at state 3 with one vdev",
        whyLeft: "the guest has lost one of them, and only a new bus brings it back",
        remedy: "run `lspci` in \(.domain) to see which devices it has; a restart of the domain gives it all of them")
    case .rightsLeft:
      Explanation(
        meaning: "the guest still has rights to memory or an interrupt of a device that it no longer has",
        cause: "The card was pulled, or another one is at its address now. Neither Linux nor Xen then revokes what the "
          + "guest was granted. What gets that memory next can be read and written by the guest.",
        seen: "Berth's record of what was granted; the back end lists no such device, or another card is there",
        repair: "Revokes what is on record",
        whyLeft: "nobody recorded what the guest was granted, and the rights end only with the domain",
        remedy: "shut the domain down and start it again: a new domain has no old rights")
    case .permissiveLeft:
      Explanation(
        meaning: "the guest may write the device's whole configuration space, but its entry says that it may not",
        cause: "The device was attached with `permissive` before. pciback keeps that permission until the device is "
          + "unbound, and `xl pci-detach` and `xl pci-attach` do not unbind it.",
        seen: "pciback's file `permissive` lists the device; the back end's opts-N says permissive=0",
        repair: "Detaches the device, binds it to pciback again, and attaches it, if it is declared without "
          + "`permissive`",
        whyLeft: "nobody declares the device, and the guest would lose it for a moment")
    case .leftoverIntent:
      Explanation(
        meaning: "an earlier run of Berth ended before it had finished",
        cause:
          "A run was killed, or its guest did not answer in time. Its intent on disk says what it was about to do. "
          + "Berth reads from the stores what the run had done.",
        seen: "an intent below /run/berth whose writer is gone",
        repair: "Finishes what was begun or undoes it; if nothing is left to do, removes the intent",
        action: "removes the intent")
    case .deviceModelLacks:
      Explanation(
        meaning: "in the back end, but QEMU does not show it to the guest",
        cause: "pciback holds the device for the guest, but QEMU does not show it. QEMU was restarted, or a run was "
          + "killed before it had asked QEMU.",
        seen: "back end entry; QEMU does not list it",
        repair: "Asks QEMU to add it if it is declared")
    case .deviceModelOnly:
      Explanation(
        meaning: "QEMU shows it to the guest, but it is not in the back end",
        cause: "`xl pci-detach -f` does not wait for QEMU's answer, and a guest may take long to release a device. "
          + "QEMU still reaches the device, so no other guest may get it.",
        seen: "QEMU lists it; no back end entry",
        repair: "Asks QEMU to remove it if Berth owned it, and gives it to no other guest before it is gone",
        whyLeft: "nobody declares it, and Berth did not attach it")
    case .busUnsettled:
      Explanation(
        meaning: "pciback waits in a state in which it exports nothing",
        cause: "libxl requests a round on every bus. On an HVM guest's bus nobody answers, so the back end stays at 7. "
          + "Then pciback exports and releases nothing more. A device that `xl pci-detach` removed there is still "
          + "pciback's, and no node shows it. If such a device is requested again, pciback ends the bus.",
        seen: "an HVM guest's back end is not at 3",
        repair: "Writes 3 if a declared device is on the bus, and Berth's record or the kernel log shows what pciback "
          + "holds",
        action: "sets the back end to 3",
        whyLeft: "nothing shows whether pciback already holds a device that waits on the bus, and then 3 would end it",
        remedy: "restart \(.domain) to settle its bus; until then, the guest keeps the devices that it has")
    case .busTorn:
      Explanation(
        meaning: "a round was cancelled while the guest worked on it",
        cause: "The guest waits for an answer that pciback does not send, because the round was cancelled.",
        seen: "back end 4, front end 7",
        repair: "Starts the round again before the next change to the domain")
    case .roundUnheard:
      Explanation(
        meaning: "a round was begun before the guest had connected",
        cause: "`xl pci-attach` ran while the guest's first devices connected. libxl looks only at pciback's state, "
          + "and begins a round that a connecting guest ignores. Then both ends wait for each other.",
        seen: "back end 7 or 8, front end below 4",
        repair: "If a declared device is on the bus and waiting did not help, sets the back end to 4; requests another "
          + "round when the guest has connected")
    case .busReplaced:
      Explanation(
        meaning: "the back end was replaced while the guest was connected",
        cause: "Two first devices were attached at once. In one transaction libxl deleted the back end of the first "
          + "and made its own. Neither dom0's kernel nor the guest notices that.",
        seen: "back end below 4, front end 4",
        repair: "Recreates the bus if a declared device is on it and waiting did not help",
        remedy: "apply a manifest that declares the devices of \(.domain), or restart it")
    case .busVanishing:
      Explanation(
        meaning: "the back end is gone, but one end of the bus is still there",
        cause: "The bus was closed or deleted a moment ago, or somebody deleted its nodes and one end still holds on.",
        seen: "no back end; dom0's kernel object pci-N-0, or the front end, is still there",
        repair: "Waits for it to go before the next attach, and removes a front end that nobody serves")
    case .leakedBackEnd:
      Explanation(
        meaning: "a back end whose domain is gone",
        cause: "A guest that did not answer was destroyed. libxl then leaves its PCI back end, and nothing else "
          + "removes it.",
        seen: "a back end whose domain is gone",
        repair: "Removes it",
        action: "removes the back end",
        whyLeft: "dom0's kernel still serves it")
    case .corruptBackEnd:
      Explanation(
        meaning: "the domain's PCI back end in xenstore is damaged",
        cause: "The entries have a gap or lack a node, or the count is not a number. xl crashes on a gap, and pciback "
          + "ignores devices. Two toolstacks that wrote at once cause this, or a person. Berth changes nothing there.",
        seen: "num_devs, dev-N, key-N, state-N, state or frontend missing or wrong",
        whyLeft: "pciback and the guest may know other devices than the nodes say; until a person settles that, Berth "
          + "changes nothing in the domain",
        remedy: "shut the domain down and start it again: this makes a new back end")
    case .neverConnected:
      Explanation(
        meaning: "the guest has never connected to its PCI bus",
        cause:
          "The front end is at 1: no driver in the guest has looked at the bus since the devices were entered. The "
          + "guest's kernel has no xen-pcifront, or it has not started. With a stub domain, the stub domain's kernel is "
          + "meant. The guest never had the devices.",
        seen: "back end below 4, front end 1, and an attach of an ended run that is older than two minutes",
        whyLeft: "only the guest can connect; Berth takes the devices back if they are no longer declared there",
        remedy:
          "look at the console of the guest or stub domain, and load xen-pcifront there; or declare the devices "
          + "for another domain")
    case .crashedAndKept:
      Explanation(
        meaning: "the domain has crashed or stopped, and its configuration keeps it",
        cause: "A key like `on_crash` in the domain's configuration says `preserve`, so that somebody can look at the "
          + "domain. The domain does not run, does not answer, and does not end by itself.",
        seen: "Xen says that the domain has shut down; its libxl-json says `preserve` for that event",
        whyLeft: "nothing can be attached to it, and its devices stay with it until it is destroyed",
        remedy: "look at it with \(.command("xl dump-core")), if that is wanted, and end it with `xl destroy`")
    case .runningWithoutConfiguration:
      Explanation(
        meaning: "the domain runs, and libxl has no saved configuration of it",
        cause: "libxl writes the saved configuration before it lets a new domain run. So another toolstack, such as "
          + "XAPI, created this domain, or the file below /var/lib/xen was lost.",
        seen: "the domain has used processor time, and libxl-json is missing",
        whyLeft: "what Berth attaches could not be saved, and another toolstack may own the domain",
        remedy: "use the toolstack that created the domain; if the file was lost, restart the domain")
    case .corruptSavedConfiguration:
      Explanation(
        meaning: "libxl's saved configuration of the domain cannot be read",
        cause: "libxl-json is empty or libxl did not write it. libxl rejects it too. A device that is attached without "
          + "it would be lost at the next reboot.",
        seen: "libxl-json is empty or not as libxl writes it",
        whyLeft: "its lost contents cannot be guessed; until it is restored, Berth changes nothing in the domain",
        remedy: "shut the domain down and create it again from its configuration file")
    case .busClosing:
      Explanation(
        meaning: "the domain's PCI bus is being closed",
        cause: "pciback ended the bus, because it was asked for a device that it did not have. The guest keeps its "
          + "devices, but gets no new one until the domain is started again.",
        seen: "back end or front end at 5 or 6",
        repair: "Finishes the closing of a bus without devices",
        whyLeft: "the guest keeps its devices, and a bus that pciback ended takes no new one until the domain is "
          + "started again",
        remedy: "run again when the bus is closed; if it stays like this, restart the domain")
    }
  }
}
