package import Planning

extension Ailment {
  package var explanation: Explanation {
    switch self {
    case .xenUnreachable:
      Explanation(
        meaning: "the hypervisor cannot be asked",
        cause: "The machine was not booted with Xen, this is not dom0, or the caller is not root. Or the program was "
          + "built for another release of Xen: libxenctrl works only with its own release. It opens /dev/xen/privcmd.",
        remedy: "see \(.command("xl info")), and run as root in dom0")
    case .storeUnreachable:
      Explanation(
        meaning: "xenstored cannot be asked",
        cause: "xenstored is not running, this is not dom0, or the caller is not root. Berth tries the daemon's "
          + "socket at /run/xenstored/socket, and then the kernel's device, /dev/xen/xenbus. Or xenstored runs and does "
          + "not answer: a debugger has stopped it, or its disk is full. Then its process and state are shown.",
        remedy:
          "see \(.command("systemctl status xenstored")), and run as root in dom0; a stopped process continues with "
          + "\(.command("kill -CONT PID"))")
    case .sysfsUnreadable:
      Explanation(
        meaning: "the kernel's PCI devices cannot be read",
        cause: "The folder /sys is not mounted, or a container or its policy hides it.",
        remedy: "see \(.command("ls /sys/bus/pci/devices"))")
    case .recordUnreadable:
      Explanation(
        meaning: "Berth's record of what it owns in a domain cannot be read",
        cause: "A file below /var/lib/berth/domains cannot be read by this caller, or another user can change it. Or "
          + "Berth did not write it, or a later release wrote it. Berth replaces its files as a whole, so a crash "
          + "does not damage one. An editor or a file system repair can. Berth changes nothing in the file's domain "
          + "until the file is readable or gone. Other domains are changed as usual.",
        remedy: "look at the file; if it is of no use, move it away and run \(.command("berth doctor")) again")
    case .intentUnreadable:
      Explanation(
        meaning: "Berth's intents, which its runs write before they begin, cannot be read",
        cause: "A file below /run/berth/intents cannot be read by this caller, or another user can change it. Or Berth "
          + "did not write it, or a later release wrote it. The file may be the only trace of a device that was half "
          + "attached. Berth changes nothing in the domain that the file's name names until the file is readable or "
          + "gone. If the name names none, Berth changes nothing in any domain.",
        remedy: "look at the file; if it is of no use, move it away and run \(.command("berth doctor")) again")
    case .locksUnreadable:
      Explanation(
        meaning: "libxl's lock files cannot be read",
        cause: "The folder /var/lib/xen cannot be read by this caller.",
        remedy: "run as root")
    case .lookFailed:
      Explanation(
        meaning: "the host answers, but cannot be observed as a whole",
        cause: "One of the places failed while it was read, or holds a value that no program should write there.",
        remedy: "run \(.command("berth doctor")) again; see \(.command("xenstore-ls -f"))")
    case .noIOMMU:
      Explanation(
        meaning: "Xen uses no IOMMU, so it assigns no devices",
        cause: "VT-d or AMD-Vi is off in the firmware, missing in the processor, or turned off by iommu=0 on Xen's "
          + "command line. Without it a device could read and write all memory.",
        remedy: "turn on VT-d or AMD-Vi in the firmware, and boot Xen without iommu=0")
    case .pcibackMissing:
      Explanation(
        meaning: "the pciback driver is not loaded",
        cause: "The module xen-pciback is not loaded, or not built for dom0's kernel. Only devices bound to it can be "
          + "given to guests.",
        remedy: "\(.command("modprobe xen-pciback")), then `xl pci-assignable-add` for each device")
    case .pcibackPermissive:
      Explanation(
        meaning: "pciback lets every guest write the whole configuration space of its devices",
        cause: "The module xen-pciback was loaded with permissive=1. `permissive: false` in a manifest has no effect "
          + "then, and a guest can do more to the host's bus than it should.",
        remedy: "remove permissive=1 from the options of xen-pciback in /etc/modprobe.d or on the kernel's command "
          + "line, and restart the host; declare `permissive: true` for devices that need it")
    case .xenAdvisory:
      Explanation(
        meaning: "this version of Xen has a known weakness in PCI passthrough",
        cause: "A later release has the correction. A distribution may include it in its package without a new version "
          + "number. See the distribution's own list of corrected advisories.",
        remedy: "update Xen, or check whether your distribution's package has the correction")
    case .xenNewer:
      Explanation(
        meaning: "this Xen is newer than the releases that Berth knows",
        cause:
          "Nobody has compared this release with those that Berth was written for. Berth changes devices as usual: "
          + "each change is proven afterwards, and what is not understood stays.",
        remedy: "update Berth, if a newer version lists this release in docs/releases.md")
    case .runLockUnreadable:
      Explanation(
        meaning: "the lock that a run of Berth takes for a domain cannot be used",
        cause: "A file below /run/berth/locks cannot be read by this caller, or is no plain file, or another user can "
          + "change it. Berth changes nothing in the file's domain until the file is gone.",
        remedy: "look at the file; if no run of Berth is at work, move it away")
    case .preparationUnreadable:
      Explanation(
        meaning: "the record of a device that Berth took from its driver cannot be used",
        cause:
          "This caller cannot read a file below /var/lib/berth/devices, the file is damaged, or a later release wrote "
          + "the file. The file names the driver that gets the device back.",
        remedy: "look at the file; if it is of no use, move it away")
    case .driverChangeUnfinished:
      Explanation(
        meaning: "a run ended while it changed a device's driver",
        cause:
          "The run was killed, the host restarted, or the driver did not answer. The device may have no driver, or "
          + "its `driver_override` may still name pciback.",
        remedy:
          "\(.command("berth apply")) finishes it if the device is declared, and \(.command("berth release", .address)) "
          + "returns it to its driver")
    case .lockHeld:
      Explanation(
        meaning: "a process holds libxl's lock of a domain",
        cause: "A toolstack is at work. xl holds the lock while xenstored answers. A process that is stopped or hangs "
          + "holds it until it ends. Every attach and detach of the domain waits for the lock.",
        remedy: "check what the holder does; the lock is free when the holder ends")
    case .lockHeldByStranger:
      Explanation(
        meaning: "a process of another user holds libxl's lock of a domain",
        cause: "Toolstacks run as root, so the holder is none. libxl makes the files of its locks so that every user "
          + "who can reach them can open them. Whoever can open a file can lock it. Berth makes them for root "
          + "alone. Every attach and detach of the domain waits for the lock.",
        remedy:
          "end the process, and remove its user's right to reach /var/lib/xen")
    case .lockLeftOver:
      Explanation(
        meaning: "nobody holds this lock file of libxl's",
        cause: "Its holder was killed before it could remove the file. The kernel released the lock with the process, "
          + "and the next holder uses the file again.")
    case .backEndError:
      Explanation(
        meaning: "pciback reported an error of a domain's bus",
        cause: "pciback found a device that it does not have, a node that it cannot read, or a guest that misbehaves. "
          + "The node stays after the error is over.",
        remedy: "see \(.command("xl dmesg")) and dom0's kernel log, then \(.command("berth status --drift"))")
    case .frontEndError:
      Explanation(
        meaning: "a guest's pcifront reported an error of its bus",
        cause: "The guest's driver reported a failure. The guest writes this node, so the text is not reliable. Linux "
          + "leaves `22 freeing event channel` at every orderly close.",
        remedy: "see the guest's kernel log")
    case .bootHideMissing:
      Explanation(
        meaning: "a device that is to be hidden at the start is not",
        cause:
          "A file of options for modules names the device, and pciback was started without it. The file was changed "
          + "after the start. Or the image from which the kernel starts has an older copy, or none.",
        remedy: "make the image again, with \(.command("update-initramfs -u")) for example, and restart the host")
    case .bootHideExtra:
      Explanation(
        meaning: "pciback hides a device that no file names",
        cause: "The file of options for modules was changed after the start, or a person loaded pciback by hand.",
        remedy: "restart the host, or name the device under `hideAtBoot` and see `berth render boot`")
    case .bootHideUnparsable:
      Explanation(
        meaning: "the kernel does not read a list of devices to hide",
        cause:
          "The list has an error: a comma, a missing bracket, a number that is too large. pciback then does not start "
          + "at all, and no device can be given to a domain.",
        remedy: "correct the list, or write it again with `berth render boot`")
    case .bootImageOlder:
      Explanation(
        meaning: "the image from which the kernel starts is older than the options for pciback",
        cause: "The image has a copy of the files of options for modules. A change of the files leaves the copy old.",
        remedy: "make the image again, with \(.command("update-initramfs -u")) for example")
    case .nativeDriverFirst:
      Explanation(
        meaning: "a device that is to be hidden has a driver of dom0",
        cause:
          "The driver was loaded before pciback. Debian's initramfs loads drivers of devices before it reads its list "
          + "of modules. A driver that is a part of the kernel is always first.",
        remedy: "see `berth render boot`, whose `softdep` lines make pciback come first, and restart the host")
    case .hiddenUnquarantined:
      Explanation(
        meaning: "a hidden device may reach dom0's memory",
        cause:
          "pciback took the device at the start. Xen does not know that, so for the IOMMU the device is still dom0's. "
          + "That changes when a domain gets the device. Xen does not say whether somebody has changed it before.")
    case .commandLineNearLimit:
      Explanation(
        meaning: "dom0's command line is nearly as long as Xen passes on",
        cause:
          "Xen has 1024 bytes for the command line of a PV dom0, and cuts a longer one without a word. Then the last "
          + "parameters are missing.",
        remedy: "move parameters of modules to /etc/modprobe.d, for example with `berth render boot`")
    case .bridgeInSlots:
      Explanation(
        meaning: "pciback claims a bridge, and takes everything behind it",
        cause:
          "The list of devices to hide names a bridge, or a whole bus or slot with one. Or somebody wrote a bridge into "
          + "pciback's `new_slot`. pciback compares each device and all bridges above it with its list.",
        remedy: "name the devices instead of the bridge; write a bridge that was added into pciback's `remove_slot`")
    case .pcibackBuiltIn:
      Explanation(
        meaning: "pciback is a part of the kernel, so options for modules have no effect",
        cause: "Only the kernel's command line sets the parameters of a driver that is no module.",
        remedy: "use `berth render boot --for grub`")
    }
  }
}
