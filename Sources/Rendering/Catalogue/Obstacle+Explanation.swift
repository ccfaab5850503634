package import Planning

extension Obstacle {
  package var explanation: Explanation {
    switch self {
    case .deviceMissing:
      Explanation(
        meaning: "the host has no device at this address",
        cause: "sysfs has no such function. The card was moved or is off, or its bus got another number when a card "
          + "was added.",
        remedy: "check the address with \(.command("lspci -D")), and that the device is powered; if cards were moved, "
          + "correct the manifest")
    case .notAssignable:
      Explanation(
        meaning: "the device is not bound to pciback",
        cause: "Only devices that are bound to pciback can be given to a guest. If pciback is asked for another "
          + "device, it ends the guest's whole PCI bus, so Berth does not ask. Berth takes a declared device from its "
          + "driver, unless `policy.hostDrivers` is `never`, or something stands on the device.",
        remedy:
          "see with \(.command("berth explain", .address)) what the host uses the device for; then let Berth take "
          + "it (policy.hostDrivers: prepare), or hide it at boot with xen-pciback.hide")
    case .isBridge:
      Explanation(
        meaning: "a bridge cannot be passed through",
        cause: "pciback passes single functions to guests. A guest cannot use a bridge.",
        remedy: "declare the functions behind the bridge instead")
    case .assignRefused:
      Explanation(
        meaning: "Xen does not permit that the domain gets the device",
        cause:
          "On Intel machines, mostly because the firmware reserves memory for the device (RMRR) that it shares with "
          + "another device. With `rdmPolicy: relaxed` Xen assigns the device all the same, and then both reach that "
          + "memory. A security policy of Xen (XSM) can forbid the assignment, too.",
        remedy:
          "see \(.command("xl dmesg")), and with \(.command("berth explain", .address)) whether it shares reserved "
          + "memory with another device: give both to one domain, with rdmPolicy: relaxed, or turn that off in the "
          + "firmware")
    case .assignedElsewhere:
      Explanation(
        meaning: "the hypervisor has given the device to another domain",
        cause: "Xen says that a guest has the device, but no back end lists it. Xen has no call that names the owner. "
          + "Either an attach failed half-way, or another toolstack is at work.",
        remedy: "find the guest with \(.command("xl debug-keys Q")) and \(.command("xl dmesg")), and detach the device "
          + "there")
    case .attachedElsewhere:
      Explanation(
        meaning: "the device is attached to another domain",
        cause: "Another domain's back end lists the device. Neither Berth's record nor the policy allows Berth to "
          + "remove it from there.",
        remedy: "detach it there, or declare that domain too so that Berth moves the device")
    case .claimedElsewhere:
      Explanation(
        meaning: "another domain has reserved the device",
        cause: "The node /libxl/pci/<address>/domid names another domain, which lives but does not have the device. A "
          + "toolstack is about to attach the device there, or failed to.",
        remedy: "find out which toolstack uses the device; Berth removes a claim when its domain is gone")
    case .identityMismatch:
      Explanation(
        meaning: "the address has a different device than the declared one",
        cause: "The device at the address has another vendor or device number than the manifest says. Addresses change "
          + "when a card is added. A guest that gets the wrong device could take the host's disk.",
        remedy: "find the declared device with \(.command("lspci -Dnn")), and correct address or id in the manifest")
    case .identityUnknown:
      Explanation(
        meaning: "the device's id cannot be read, so it cannot be compared with the declared one",
        cause: "The manifest declares the device's id, but sysfs does not give the id of the device at the address.",
        remedy: "find out why sysfs gives no vendor and device for it, or remove the id from the manifest")
    case .hostWithoutIOMMU:
      Explanation(
        meaning: "the host uses no IOMMU, so Xen assigns no devices",
        cause: "Without an IOMMU a guest's device could read and write all memory. Xen then assigns no devices, "
          + "even to PV guests.",
        remedy: "turn on VT-d or AMD-Vi in the firmware, and boot Xen without iommu=0")
    case .domainWithoutIOMMU:
      Explanation(
        meaning: "the domain was created without passthrough",
        cause: "A domain can have devices if it was created with passthrough=\"enabled\" or with pci=[…]. This cannot "
          + "be changed while the domain lives.",
        remedy: "put `passthrough=\"enabled\"` into the domain's configuration and create it again")
    case .kindNotSupported:
      Explanation(
        meaning: "devices cannot be assigned to a domain of this kind",
        cause:
          "Xen passes no PCI devices to PVH guests. For HVM guests Berth supports qemu-xen and qemu-traditional, in "
          + "dom0 or in a stub domain.",
        remedy: "use a PV domain or an HVM domain with qemu-xen, or remove the device from this domain in the manifest")
    case .domainMismatch:
      Explanation(
        meaning: "the domain of this name has another UUID than the declared one",
        cause: "The host has a domain of the declared name, but it is another domain than the manifest means.",
        remedy: "correct the uuid in the manifest, or remove it if any domain of this name will do")
    case .domainAmbiguous:
      Explanation(
        meaning: "more than one domain has this name",
        cause: "xl keeps names unique, but other toolstacks and renaming do not.",
        remedy: "rename one of them with \(.command("xl rename")), or declare the uuid")
    case .domainRenamed:
      Explanation(
        meaning: "the declared domain has another name now",
        cause:
          "A domain has the declared UUID, or Berth attached devices to it under the declared name. It has another "
          + "name now. Nothing is detached from it while the manifest and the host disagree about the name.",
        remedy: "correct the name in the manifest, or rename the domain back with \(.command("xl rename"))")
    case .domainUnknown:
      Explanation(
        meaning: "no domain has this name, and the name is probably wrong",
        cause: "The name is the number of a domain, or a domain with a similar name has the device. The device stays "
          + "there: a misspelt name must not take a device from a running guest.",
        remedy: "correct the name in the manifest; if the name is right, start the domain, then run again")
    case .otherSet:
      Explanation(
        meaning: "another set of manifests owns the device",
        cause: "Berth recorded the device for the set that first declared it (`metadata.set`). Two sets that declare "
          + "one device would take it from each other at every apply.",
        remedy: "declare the device in one set only; to hand it over, remove it from the other set and apply that first"
      )
    case .nameCollision:
      Explanation(
        meaning: "QEMU cannot distinguish it from another device of the domain",
        cause: "QEMU names a device by bus, slot and function. Two devices that differ only in the segment have the "
          + "same name.",
        remedy: "give one of the two to another domain")
    case .permissiveStays:
      Explanation(
        meaning: "pciback would keep `permissive`, which is not declared",
        cause: "pciback lets the device's guest write the whole configuration space, and keeps that permission until "
          + "the device is unbound. The device has virtual functions, which pciback would release with the device, "
          + "even if guests use them.",
        remedy: "bind the device to its own driver, write 0 to its `sriov_numvfs`, then "
          + "\(.command("xl pci-assignable-add", .address)) and run again; or declare `permissive: true`")
    case .virtualSlotNotSupported:
      Explanation(
        meaning: "nobody can choose the slot at which a PV guest sees a device",
        cause: "pciback gives the devices of a PV guest their slots itself, in the order in which it exports them. It "
          + "ignores the slot that a toolstack writes. Only QEMU, which shows an HVM guest its devices, takes one.",
        remedy: "remove virtualSlot from this device in the manifest")
    case .busFull:
      Explanation(
        meaning: "the guest's PCI bus has no free slot",
        cause: "pciback shows a guest 32 slots. The functions of one card share a slot, but a virtual function that is "
          + "function 0 is alone in its slot. If pciback were asked for one device more, pciback would end the whole "
          + "bus. QEMU shows an HVM guest 32 slots, too, and its own devices use some of them.",
        remedy: "declare fewer devices for the domain, or give some of them to another domain")
    case .ownFileDamaged:
      Explanation(
        meaning: "a file of Berth's about the domain is damaged, so nothing in the domain is changed",
        cause: "Berth cannot read its record of the domain, or an intent of an earlier run. The file may be the only "
          + "trace of what the domain was granted, or of a device that was half attached. The evidence names the file "
          + "and what was found. Files have their domains in their names. If the name of a damaged file has none, "
          + "no domain is changed.",
        remedy: "look at the file; if it is of no use, move it away and run again")
    case .selectorAmbiguous:
      Explanation(
        meaning: "several devices are what the manifest says",
        cause: "The keys of the device in `spec.devices` hold for more than one function of the host. A second card of "
          + "the same type was added, or no key is unique. Berth changes nothing about any of "
          + "them.",
        remedy: "add a key that only the right device has; \(.command("berth devices -o wide")) shows them")
    case .selectorUnproven:
      Explanation(
        meaning: "a device may be the declared one, but that cannot be proven",
        cause: "A key of the device in `spec.devices` cannot be read of the device now. A hardware address and the "
          + "serial number of an NVMe controller are shown only by the device's own driver. Other facts are unknown if "
          + "the device is switched off, or if Berth does not run as root.",
        remedy: "add address, path or slot, or use only keys that \(.command("berth devices -o wide")) shows now")
    case .deviceMoved:
      Explanation(
        meaning: "the device is at another address than the manifest says",
        cause: "The serial number or the hardware address proves that the card is there. The card was put into another "
          + "slot, or its bus got another number when a card was added or removed.",
        remedy: "correct the address in the manifest, or write `follow: true` beside it")
    case .deviceContested:
      Explanation(
        meaning: "two entries of the manifest mean one device",
        cause: "The entries have different keys, and all of them hold for the same function. Berth cannot know which "
          + "entry is wrong, so it does nothing for either of them.",
        remedy: "remove one of the entries, or correct its keys")
    case .segmentTooLarge:
      Explanation(
        meaning: "Xen has no address for the device",
        cause: "Linux numbers the PCI segments behind Intel VMD from 10000 on. Xen's hypercalls and libxl have 16 bits "
          + "for a segment.",
        remedy: "turn VMD off in the firmware, or declare the VMD controller itself")
    case .driverReserved:
      Explanation(
        meaning: "the device is reserved for another driver than pciback",
        cause:
          "The file `driver_override` of the device names a driver. `driverctl`, another tool for virtual machines, "
          + "or a person wrote that name, and expects the device there.",
        remedy: "find out who reserved it, for example with \(.command("driverctl list-overrides")), and let that "
          + "program release the device")
    case .hasVirtualFunctions:
      Explanation(
        meaning: "the device has virtual functions, which would end with its driver",
        cause:
          "The driver of a physical function removes its virtual functions when it releases the function, even those "
          + "that guests have (SR-IOV).",
        remedy: "declare the virtual functions instead of the physical one, or turn them off first")
    case .pcibackNotLoaded:
      Explanation(
        meaning: "dom0's kernel has not loaded pciback, and this run may not load it",
        cause: "pciback gives devices to guests. Most distributions build it as the module xen-pciback, which nothing "
          + "loads by itself.",
        remedy: "load it with \(.command("modprobe xen-pciback")), or run without `--no-load-modules`")
    case .interlocked:
      Explanation(
        meaning: "the host, or another guest, stands on the device",
        cause: "A file system, a swap area, a network connection, a console or a guest's disk leads to the device. The "
          + "evidence shows the whole way. The host or the guest would lose it with the device.",
        remedy: "check the address; if it is right, move what stands on the device elsewhere first")
    case .interlockUnknown: InterlockName.unknown.explanation
    case .cardBlocked:
      Explanation(
        meaning: "another function of the card is blocked, and the card is taken as a whole",
        cause: "The manifest declares all functions of the card (`functions: all`). A guest gets all of them, or none "
          + "more. The evidence names the function that is blocked, and why.",
        remedy: "see to that function; if the guest is to have some functions only, declare each of them by its address"
      )
    case .corruptBackEnd: DriftName.corruptBackEnd.explanation
    case .corruptSavedConfiguration: DriftName.corruptSavedConfiguration.explanation
    case .busClosing: DriftName.busClosing.explanation
    case .notOnPCIBack: DriftName.notOnPCIBack.explanation
    case .neverConnected: DriftName.neverConnected.explanation
    case .runningWithoutConfiguration: DriftName.runningWithoutConfiguration.explanation
    case .busUnsettled: DriftName.busUnsettled.explanation
    case .crashedAndKept: DriftName.crashedAndKept.explanation
    }
  }
}
