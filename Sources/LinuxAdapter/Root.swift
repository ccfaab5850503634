/// Where a host's files are: below `/`, or below a sandbox's folder. Absolute paths are written only here.
struct Root: Sendable {
  /// The kernel's processes and locks. They are this machine's even if the other paths are a sandbox's.
  static let processes = "/proc"
  /// What the paths of devices begin with, on each host.
  static let devices = "/dev/"
  /// This machine's users.
  static let users = "/etc/passwd"

  /// The name of the pciback driver, in a device's link and in the bus's folder.
  static let pcibackDriver = "pciback"

  private let prefix: String

  init(_ root: String) {
    var root = Substring(root)
    while root.last == "/" { root.removeLast() }
    prefix = String(root)
  }

  /// libxl's userdata files (`libxl__userdata_path`, libxl_dom.c, Xen 4.17).
  var userdata: String { prefix + "/var/lib/xen" }
  /// xenstored's socket (`xs_daemon_socket`, tools/libs/store/xs.c, Xen 4.17).
  var storeSocket: String { prefix + "/var/run/xenstored/socket" }
  /// The kernel's devices that lead to xenstored if it runs in another domain (`xs_domain_dev`, tools/libs/store/xs.c, Xen
  /// 4.17).
  var storeDevices: [String] { [prefix + "/dev/xen/xenbus", prefix + "/proc/xen/xenbus"] }
  /// Device models' sockets (`libxl__qemu_qmp_path`, Xen 4.17). Distributions link `/var/run` to `/run`.
  var deviceModelSockets: String { prefix + "/var/run/xen" }
  /// What Berth owns, one file per domain. The files survive a reboot of the host.
  var ownership: String { prefix + "/var/lib/berth/domains" }
  /// What Berth is about to do. The files disappear with a reboot, as the domains do.
  var intents: String { prefix + "/run/berth/intents" }
  /// The locks that runs of Berth hold while they work on a domain.
  var runLocks: String { prefix + "/run/berth/locks" }

  /// The PCI bus (`SYSFS_PCI_DEV`, libxl_osdeps.h).
  var pciDevices: String { prefix + "/sys/bus/pci/devices" }
  /// The labels of the board's slots.
  var pciSlots: String { prefix + "/sys/bus/pci/slots" }
  /// The driver; its module is called xen-pciback (`SYSFS_PCIBACK_DRIVER`, libxl_osdeps.h).
  var pciback: String { prefix + "/sys/bus/pci/drivers/" + Self.pcibackDriver }
  /// The module's parameter `permissive` (`xen_pcibk_permissive`, Linux drivers/xen/xen-pciback/conf_space.c, 6.1).
  var pcibackPermissive: String { prefix + "/sys/module/xen_pciback/parameters/permissive" }
  /// The kernel's objects for back ends in xenstore.
  var backEndObjects: String { prefix + "/sys/bus/xen-backend/devices" }
  /// The kernel's log.
  var kernelLog: String { prefix + "/dev/kmsg" }
  /// The PCI ID Repository's list, in the places where distributions install it.
  var pciNames: [String] { [prefix + "/usr/share/misc/pci.ids", prefix + "/usr/share/hwdata/pci.ids"] }

  /// dom0's command line.
  var commandLine: String { prefix + "/proc/cmdline" }
  /// The kernel's release, as `uname -r` prints it.
  var kernelRelease: String { prefix + "/proc/sys/kernel/osrelease" }
  /// Returns the folder of a kernel's modules and of the lists that depmod(8) makes of them.
  func modules(of kernel: String) -> String { prefix + "/lib/modules/" + kernel }
  /// The files of options for modules (modprobe.d(5)).
  var moduleConfigurations: String { prefix + "/etc/modprobe.d" }
  /// Berth's own file among them.
  var moduleOptions: String { moduleConfigurations + "/berth.conf" }
  /// pciback's parameter `hide`, as it is in force.
  var pcibackHide: String { prefix + "/sys/module/xen_pciback/parameters/hide" }
  /// The kernel's number of this start.
  var bootID: String { prefix + "/proc/sys/kernel/random/boot_id" }
  /// Returns the names that the image of a kernel has with Debian's initramfs-tools, and with dracut.
  func images(of kernel: String) -> [String] {
    [prefix + "/boot/initrd.img-" + kernel, prefix + "/boot/initramfs-" + kernel + ".img"]
  }

  /// The mounts of process 1.
  var mounts: String { prefix + "/proc/1/mountinfo" }
  /// The swap areas.
  var swaps: String { prefix + "/proc/swaps" }
  /// The block devices, each a link into the tree of all devices.
  var blockClass: String { prefix + "/sys/class/block" }
  /// The btrfs file systems, each a folder.
  var btrfs: String { prefix + "/sys/fs/btrfs" }
  /// The NVMe subsystems.
  var subsystems: String { prefix + "/sys/class/nvme-subsystem" }
  /// The NVMe controllers.
  var controllers: String { prefix + "/sys/class/nvme" }
  /// What udev knows of devices (`/run/udev/data/b<major>:<minor>`, systemd).
  var udevData: String { prefix + "/run/udev/data" }
  /// What the bonding driver shows of each bond.
  var bonds: String { prefix + "/proc/net/bonding" }

  /// Returns where a path of the host is.
  func path(_ path: String) -> String { prefix + path }
}
