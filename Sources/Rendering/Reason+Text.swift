package import Core

extension Reason {
  /// One sentence, without a full stop, that says what the reason means.
  package var meaning: String {
    switch self {
    case .declared: "the manifest declares it for this domain"
    case .notDeclared: "no longer declared"
    case .optionsDiffer: "its options differ from the declared ones"
    case .declaredElsewhere: "declared for another domain than the one that has it"
    case .alreadyAttached: "declared, and attached already"
    case .inSync: "as declared"
    case .notOwned: "attached, but neither declared nor attached by Berth"
    case .deviceMissing: "the host has no device at this address"
    case .notAssignable: "the device is not bound to pciback"
    case .isBridge: "a bridge cannot be passed through"
    case .assignedElsewhere: "the hypervisor has given the device to another domain"
    case .attachedElsewhere: "the device is attached to another domain"
    case .claimedElsewhere: "another domain has reserved the device"
    case .identityMismatch: "another device than the declared one is at this address"
    case .identityUnknown: "the device's id cannot be read, so it cannot be compared with the declared one"
    case .hostWithoutIOMMU: "the host uses no IOMMU, so Xen assigns no devices"
    case .domainWithoutIOMMU: "the domain was created without passthrough"
    case .kindNotSupported: "devices cannot be assigned to a domain of this kind"
    case .domainMismatch: "the domain of this name has another UUID than the declared one"
    case .domainAmbiguous: "more than one domain has this name"
    case .removalLimit: "the plan detaches more devices than policy.maxRemovals allows"
    case .corruptBackEnd: "the domain's PCI back end in xenstore is damaged"
    case .corruptSavedConfiguration: "libxl's saved configuration of the domain cannot be read"
    case .busClosing: "the domain's PCI bus is being closed"
    case .domainAbsent: "the domain does not exist now"
    case .domainBuilding: "libxl is still creating the domain"
    case .domainShuttingDown: "the domain is shutting down"
    case .domainDestroying: "the domain is being destroyed"
    case .domainPaused: "the domain is paused and cannot answer"
    case .configOnly: "in libxl's saved configuration, and not attached"
    case .storeOnly: "attached, and missing from libxl's saved configuration"
    case .claimMissing: "attached, and not reserved for the domain"
    case .recordOnly: "in Berth's record, and not attached"
    case .claimOnly: "reserved for a domain that does not have it"
    case .staleClaim: "reserved for a domain that is gone"
    case .assignmentOnly: "given to a guest by the hypervisor, and no store says to which"
    case .attachedTwice: "in the back ends of two domains"
    case .notOnPCIBack: "in the back end, and not on pciback"
    case .orphanEntry: "its back end entry is beyond the count, where nobody looks"
    case .mislabelled: "its back end entry is at the guest address of another device"
    case .sharedGuestAddress: "two devices have one address in the guest"
    case .busTorn: "the guest is in the middle of a round that was taken back"
    case .roundUnheard: "a round was begun before the guest had connected"
    case .busReplaced: "the back end was replaced under a connected guest"
    case .busVanishing: "the back end is gone, and one end of the bus is not"
    case .leakedBackEnd: "a back end whose domain is gone"
    case .claimForeign: "attached here, and reserved for another domain"
    case .exportPending: "in the back end, and not yet exported to the guest"
    case .halfRemoved: "a removal was begun and not finished"
    case .overwritten: "its entry in the back end was overwritten by another toolstack"
    case .duplicateEntry: "in the back end more than once"
    case .revokedButListed: "in the back end, though the hypervisor has taken it from the domain"
    case .leftoverIntent: "an earlier run of Berth ended before it had finished"
    case .stubDomainAbsent: "the domain's stub domain is not running"
    case .nameCollision: "QEMU cannot tell it from another device of the domain"
    case .deviceModelLacks: "in the back end, and not shown to the guest by QEMU"
    case .deviceModelOnly: "shown to the guest by QEMU, and not in the back end"
    case .busUnsettled: "pciback waits in a state in which it exports nothing"
    }
  }

  /// The next step, where a person has one to take; otherwise nil.
  package func remedy(device: PCIAddress, domain: String) -> String? {
    remedy(device: device.description, domain: domain)
  }

  func remedy(device: String, domain: String) -> String? {
    remedy?.replacing("ADDRESS", with: device).replacing("DOMAIN", with: domain)
  }

  /// The next step, with ADDRESS and DOMAIN for the device and the domain.
  package var remedy: String? {
    switch self {
    case .declared, .notDeclared, .optionsDiffer, .declaredElsewhere, .alreadyAttached, .inSync: nil
    case .notOwned: "declare it, or remove it with `xl pci-detach`; policy.prune: all lets Berth remove it"
    case .deviceMissing: "check the address with `lspci -D`; after moving cards, correct it in the manifest"
    case .notAssignable: "`xl pci-assignable-add ADDRESS`, or hide it at boot with xen-pciback.hide"
    case .isBridge: "declare the functions behind the bridge instead"
    case .assignedElsewhere: "detach it from the domain that has it; `berth status` shows what each domain has"
    case .attachedElsewhere: "detach it there, or declare that domain too so that Berth moves the device"
    case .claimedElsewhere: "see which toolstack uses the device; a claim of a domain that is gone is removed by itself"
    case .identityMismatch: "see with `lspci -Dnn` which device is meant, and correct address or id in the manifest"
    case .identityUnknown: "see why sysfs gives no vendor and device for it, or leave the id out of the manifest"
    case .hostWithoutIOMMU: "turn on VT-d or AMD-Vi in the firmware, and boot Xen without iommu=0"
    case .domainWithoutIOMMU: "put `passthrough=\"enabled\"` into the domain's configuration and create it again"
    case .kindNotSupported: "use a PV domain or an HVM one with qemu-xen, or leave the device out of this one"
    case .domainMismatch: "correct the uuid in the manifest, or leave it out if any domain of this name will do"
    case .domainAmbiguous: "rename one of them with `xl rename`, or declare the uuid"
    case .removalLimit: "if these removals are meant, run again with --allow-removals"
    case .corruptBackEnd: "shut the domain down and start it again: that builds the back end anew"
    case .corruptSavedConfiguration: "shut the domain down and create it again from its configuration file"
    case .busClosing: "run again when the bus is closed; if it stays so, restart the domain"
    case .domainAbsent: "start the domain, then run again"
    case .domainBuilding: "run again when the domain is created"
    case .domainShuttingDown, .domainDestroying: "run again when the domain is back"
    case .domainPaused: "`xl unpause DOMAIN`, then run again"
    case .stubDomainAbsent: "see `xl list`; run again when the stub domain runs"
    case .nameCollision: "give one of the two to another domain"
    case .configOnly, .storeOnly, .recordOnly, .claimMissing, .staleClaim, .exportPending, .halfRemoved, .overwritten,
      .leftoverIntent, .deviceModelLacks, .deviceModelOnly, .busUnsettled, .busTorn, .roundUnheard, .busVanishing,
      .leakedBackEnd:
      nil
    case .claimOnly: "once no toolstack is at work, remove its node below /libxl/pci with xenstore-rm"
    case .assignmentOnly: "find the guest with `xl debug-keys Q` and `xl dmesg`, and shut it down"
    case .attachedTwice: "detach it from one of the two with `xl pci-detach`"
    case .notOnPCIBack: "`xl pci-assignable-add ADDRESS`, then run again; or detach it from DOMAIN"
    case .orphanEntry: "shut the domain down and start it again: that builds the back end anew"
    case .mislabelled, .sharedGuestAddress:
      "look with `lspci` in DOMAIN which devices are there; restarting the domain gives it all of them"
    case .busReplaced: "apply a manifest that declares the devices of DOMAIN, or restart it"
    case .claimForeign: "see which of the two domains should have the device, and detach it from the other"
    case .duplicateEntry, .revokedButListed: "shut the domain down and start it again: that builds the back end anew"
    }
  }

  /// What applying the plan does about a difference that nobody declared.
  var repair: String {
    switch self {
    case .configOnly: "will be dropped from the saved configuration"
    case .storeOnly: "will be written to the saved configuration"
    case .recordOnly: "will be taken out of Berth's record"
    case .claimMissing, .claimForeign: "will be reserved for the domain"
    case .staleClaim: "the reservation will be removed"
    case .leakedBackEnd: "the back end will be removed"
    case .leftoverIntent: "the intent will be removed"
    case .busUnsettled: "the back end will be brought to rest"
    default: "will be repaired"
    }
  }
}
