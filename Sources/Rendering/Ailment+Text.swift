package import Planning

extension Ailment {
  /// One sentence, without a full stop, that says what was found.
  package var meaning: String {
    switch self {
    case .xenUnreachable: "the hypervisor cannot be asked"
    case .storeUnreachable: "xenstored cannot be asked"
    case .sysfsUnreadable: "the kernel's PCI devices cannot be read"
    case .recordUnreadable: "Berth's record of what it owns cannot be read"
    case .intentUnreadable: "what runs of Berth wrote down before they began cannot be read"
    case .locksUnreadable: "libxl's lock files cannot be read"
    case .lookFailed: "the host answers, and cannot be looked at as a whole"
    case .noIOMMU: "Xen uses no IOMMU, so it assigns no devices"
    case .pcibackMissing: "the pciback driver is not loaded"
    case .xenAdvisory: "this version of Xen has a known weakness in PCI passthrough"
    case .lockHeld: "a process holds libxl's lock of a domain"
    case .lockLeftOver: "a lock file of libxl's that nobody holds"
    case .backEndError: "pciback has complained of a domain's bus"
    case .frontEndError: "a guest's pcifront has complained of its bus"
    }
  }

  /// How it comes to be so, in whole sentences.
  package var cause: String {
    switch self {
    case .xenUnreachable:
      "The machine was not booted with Xen, this is not dom0, the caller is not root, or the program was built for "
        + "another release of Xen: libxenctrl works with its own release only. It opens /dev/xen/privcmd."
    case .storeUnreachable:
      "xenstored is not running, this is not dom0, or the caller is not root. libxenstore tries the daemon's socket "
        + "at /run/xenstored/socket, and then the kernel's device, /dev/xen/xenbus."
    case .sysfsUnreadable: "The folder /sys is not mounted, or a container or its policy hides it."
    case .recordUnreadable:
      "A file below /var/lib/berth/domains is not for this caller to read, or not what Berth writes, or a later "
        + "release's. Berth replaces its files as a whole, so a crash does not damage one; an editor, or the repair of a "
        + "file system, does."
    case .intentUnreadable:
      "A file below /run/berth/intents is not for this caller to read, or not what Berth writes, or a later release's. "
        + "Nothing is applied while it is so: it may be all that tells of a device that was half attached."
    case .locksUnreadable: "The folder /var/lib/xen cannot be read by this caller."
    case .lookFailed:
      "One of the places failed between the first question and the last, or holds what nobody writes there."
    case .noIOMMU:
      "VT-d or AMD-Vi is off in the firmware, missing in the processor, or turned off by iommu=0 on Xen's command line. "
        + "Without it a device could read and write all memory."
    case .pcibackMissing:
      "The module xen-pciback is not loaded, or not built for dom0's kernel. Only devices bound to it can be given away."
    case .xenAdvisory:
      "The correction is in a later release. A distribution may have it in its package without a new version number: its "
        + "own list of corrected advisories decides."
    case .lockHeld:
      "A toolstack is at work. xl holds it for as long as xenstored takes to answer; a stopped or hanging process holds "
        + "it until it ends, and every attach and detach of the domain waits for it."
    case .lockLeftOver:
      "Its holder was killed before it could remove the file. The kernel dropped the lock with the process, and the next "
        + "holder takes the file over."
    case .backEndError:
      "pciback met a device that it does not have, a node that it cannot read, or a guest that misbehaves. The node stays "
        + "when all is well again."
    case .frontEndError:
      "The guest's driver failed, or says what a guest likes to say: the guest writes this node. Linux leaves `22 freeing "
        + "event channel` at every orderly close."
    }
  }

  /// The next step; nil where there is none to take.
  package var nextStep: String? {
    switch self {
    case .xenUnreachable: "see `xl info`, and run as root in dom0"
    case .storeUnreachable: "see `systemctl status xenstored`, and run as root in dom0"
    case .sysfsUnreadable: "see `ls /sys/bus/pci/devices`"
    case .recordUnreadable, .intentUnreadable: "look at the file; once it is moved away, run `berth doctor` again"
    case .locksUnreadable: "run as root"
    case .lookFailed: "run `berth doctor` again; see `xenstore-ls -f`"
    case .noIOMMU: Obstacle.hostWithoutIOMMU.remedy
    case .pcibackMissing: "`modprobe xen-pciback`, then `xl pci-assignable-add` for each device"
    case .xenAdvisory: "update Xen, or see whether your distribution's package has the correction"
    case .lockHeld: "see what the holder does; once it is ended, the lock is free"
    case .lockLeftOver: nil
    case .backEndError: "see `xl dmesg` and dom0's kernel log, then `berth status --drift`"
    case .frontEndError: "see the guest's kernel log"
    }
  }
}
