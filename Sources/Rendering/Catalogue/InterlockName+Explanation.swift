package import Planning

extension InterlockName {
  package var explanation: Explanation {
    switch self {
    case .rootFileSystem:
      Explanation(
        meaning: "dom0's root file system is on the device",
        cause: "Without the device, dom0 cannot read its own programs, and Berth could not undo what it began.",
        remedy: "keep the device in dom0")
    case .mountedFileSystem:
      Explanation(
        meaning: "a file system that is mounted in dom0 is on the device",
        cause:
          "Programs would get errors instead of their files, and what was not yet written would be lost. The mounts "
          + "of process 1 count, and those of Berth's own process.",
        remedy: "unmount the file system, and remove it from /etc/fstab, if dom0 can do without it")
    case .activeSwap:
      Explanation(
        meaning: "dom0 swaps to the device",
        cause: "What is swapped out would be lost, and each program that needs it ends.",
        remedy: "\(.command("swapoff")) the area, and remove it from /etc/fstab, if dom0 can do without it")
    case .bootPartition:
      Explanation(
        meaning: "the host starts from the device",
        cause:
          "The firmware or the boot loader reads a partition of the device. Such a partition is mounted at /boot or "
          + "/efi, or it is an EFI system partition. An EFI system partition counts if its disk has "
          + "other files of dom0, or if the boot loader says that it started from that partition. "
          + "Updates of the kernel would be written to another place.",
        remedy: "keep the device in dom0")
    case .berthState:
      Explanation(
        meaning: "Berth's own records are on the device",
        cause: "Berth could neither continue nor undo what it began.",
        remedy: "move /var/lib/berth to another disk, or keep the device in dom0")
    case .toolstackState:
      Explanation(
        meaning: "the saved configurations of domains are on the device",
        cause: "libxl keeps them below /var/lib/xen, and rebuilds a domain from them when its guest reboots.",
        remedy: "move /var/lib/xen to another disk, or keep the device in dom0")
    case .importedPool:
      Explanation(
        meaning: "a pool of disks that dom0 uses has a member on the device",
        cause:
          "The pool is imported, and none of its file systems is mounted. It may have volumes that are in use, or file "
          + "systems that another namespace has mounted.",
        remedy: "export the pool (\(.command("zpool export"))), if dom0 can do without it")
    case .networkStorage:
      Explanation(
        meaning: "dom0 reaches its storage on another host by the device",
        cause: "A file system, a swap area or a guest's disk comes by iSCSI, NVMe over a network, NFS or the like. The "
          + "device has the network card by which packets to that host leave.",
        remedy: "keep the device in dom0, or give that host another route")
    case .heldOpen:
      Explanation(
        meaning: "somebody in dom0 holds a disk of the device",
        cause:
          "Opening the disk exclusively failed: the kernel or a program has it. That is so for what is mounted in any "
          + "namespace, for members of arrays, volumes and pools, and for what is exported to other hosts. Berth opens "
          + "the disks of one device at a time, and only that device's own disks.",
        remedy: "see \(.command("lsblk")); stop what uses the disk")
    case .defaultRoute:
      Explanation(
        meaning: "a default route of dom0 leads over the device",
        cause:
          "dom0 could lose its network, and people who work on it from elsewhere their connection. Default routes of "
          + "all tables count, of IPv4 and IPv6, whatever their metrics, and so does each card of a bond or a bridge.",
        remedy: "give dom0 another route and remove this one, or keep the device in dom0")
    case .sessionRoute:
      Explanation(
        meaning: "somebody works on dom0 over the device now",
        cause:
          "An ssh server has a connection to another host, and packets to that host leave by the device. Each session "
          + "counts: under a terminal multiplexer it is not visible by which one a person came.",
        remedy: "work on dom0 from its console, or by another network card")
    case .guestDisk:
      Explanation(
        meaning: "dom0 serves a disk to a guest from the device",
        cause:
          "The guest's disk is the device's, or lies on it as a partition, a volume or a file. The guest would get "
          + "errors instead of its data.",
        remedy: "move the guest's disk to another device, or shut the guest down")
    case .servesGuests:
      Explanation(
        meaning: "guests reach the network by the device",
        cause:
          "The guests' interfaces are on a bridge of dom0, and the device has a network card on the same bridge. Or a "
          + "guest has a virtual function of the device, which ends if the driver in dom0 does.",
        remedy: "move the guests to another bridge, or shut them down")
    case .servesHost:
      Explanation(
        meaning: "dom0 reaches the network by the guest that has the device",
        cause: "dom0's route leads to a guest, and by that guest's network card to everywhere else.",
        remedy: "give dom0 another route first")
    case .userSpaceDriver:
      Explanation(
        meaning: "a process of dom0 may drive the device itself",
        cause:
          "The device has a driver that hands it to a process: vfio or uio. Which process uses it now is not visible.",
        remedy: "stop the process, and unbind the device from that driver")
    case .display:
      Explanation(
        meaning: "the device is a display of dom0",
        cause:
          "A person at the machine sees on a display what dom0 says. The device is refused if dom0 has no other "
          + "display with a driver. Displays that the same plan takes, or that pciback has, do not count.",
        remedy: "keep the device in dom0, unless the host is only reached by its network or a serial line")
    case .console:
      Explanation(
        meaning: "a console of dom0's kernel is on the device",
        cause:
          "The kernel writes its messages there, and people log in there if nothing else works. The device is "
          + "refused if dom0 has no other console.",
        remedy: "give the kernel another console (`console=` on its command line)")
    case .keyboard:
      Explanation(
        meaning: "a keyboard of dom0 is on the device",
        cause:
          "A person at the machine needs a keyboard. A USB controller has the keyboards that are plugged into it. The "
          + "device is refused if dom0 has no other keyboard.",
        remedy: "plug a keyboard into another controller, or keep the device in dom0")
    case .storageMember:
      Explanation(
        meaning: "a disk of the device belongs to something that is not assembled now",
        cause:
          "udev has seen a volume group, an array, a pool or encrypted data on it. dom0 may assemble it at its next "
          + "start, when it is whole again.",
        remedy: "make sure that dom0 needs nothing of it")
    case .tunnelUnderlay:
      Explanation(
        meaning: "dom0 uses a tunnel, and it is not known by which device the tunnel's packets leave",
        cause:
          "A default route or a session leads into a tunnel or a virtual private network. The kernel does not say by "
          + "which interface its packets leave. Any network card may be that one.",
        remedy: "find out by which card the other end is reached")
    case .securityModule:
      Explanation(
        meaning: "a security module (TPM) may be on the device",
        cause:
          "Keys of dom0 may be sealed in it. AMD's firmware has its module in a processor that is a PCI device, and "
          + "the kernel shows that module without the device.",
        remedy: "make sure that dom0 needs no key of it")
    case .watchdog:
      Explanation(
        meaning: "a watchdog of dom0 is on the device",
        cause: "If it is armed and nobody feeds it, the machine is reset.",
        remedy: "disarm the watchdog")
    case .managementController:
      Explanation(
        meaning: "dom0 talks to the board's own controller (IPMI) by the device",
        cause: "dom0 could no longer read sensors, or be reached by the controller's tools.",
        remedy: "make sure that dom0 needs no controller")
    case .unknown:
      Explanation(
        meaning: "it could not be found out whether something stands on the device",
        cause:
          "A file could not be read, or what was read is not understood. For example, a disk that is made of nothing "
          + "known, or a route over an unknown interface. The way shows the question. Each device that it may be about is "
          + "refused: by class, by what is below it, or because its class is unknown.",
        remedy: "run as root; otherwise see which file the way names")
    }
  }
}
