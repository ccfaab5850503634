package import Planning

extension Obstacle {
  /// Returns one sentence, without a full stop, that says what the name means.
  package var meaning: String {
    switch self {
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
    case .nameCollision: "QEMU cannot tell it from another device of the domain"
    case .corruptBackEnd: DriftName.corruptBackEnd.meaning
    case .corruptSavedConfiguration: DriftName.corruptSavedConfiguration.meaning
    case .busClosing: DriftName.busClosing.meaning
    case .notOnPCIBack: DriftName.notOnPCIBack.meaning
    }
  }

  /// Returns the next step, with ADDRESS and DOMAIN for the device and the domain; nil if a person has none to take.
  package var remedy: String? {
    switch self {
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
    case .nameCollision: "give one of the two to another domain"
    case .corruptBackEnd: DriftName.corruptBackEnd.remedy
    case .corruptSavedConfiguration: DriftName.corruptSavedConfiguration.remedy
    case .busClosing: DriftName.busClosing.remedy
    case .notOnPCIBack: DriftName.notOnPCIBack.remedy
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
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
    case .nameCollision:
      "QEMU names a device by bus, slot and function. Two devices that differ in the segment alone would have one name."
    case .corruptBackEnd: DriftName.corruptBackEnd.cause
    case .corruptSavedConfiguration: DriftName.corruptSavedConfiguration.cause
    case .busClosing: DriftName.busClosing.cause
    case .notOnPCIBack: DriftName.notOnPCIBack.cause
    }
  }
}
