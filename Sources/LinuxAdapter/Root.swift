import Model

/// Where a host's files are: below `/`, or below a sandbox's folder. Absolute paths are written only here.
struct Root: Sendable {
  /// The kernel's processes and locks. They are this machine's even if the other paths are a sandbox's.
  static let processes = "/proc"
  /// What the paths of devices begin with, on each host.
  static let devices = "/dev/"
  /// This machine's users.
  static let users = "/etc/passwd"

  /// The folders of programs that administrators use.
  static let systemPrograms = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
  /// The file that has no content.
  static let nothing = "/dev/null"

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
  /// The devices that Berth took from their drivers, one file per device. The files survive a reboot of the host.
  var preparations: String { prefix + "/var/lib/berth/devices" }
  /// What `berth pull` keeps: its record, its lock, and what it has fetched. The files survive a reboot of the host.
  var pulls: String { prefix + "/var/lib/berth/pull" }
  /// What Berth is about to do. The files disappear with a reboot, as the domains do.
  var intents: String { prefix + "/run/berth/intents" }
  /// The locks that runs of Berth hold while they work on a domain.
  var runLocks: String { prefix + "/run/berth/locks" }

  /// The PCI bus (`SYSFS_PCI_DEV`, libxl_osdeps.h).
  var pciDevices: String { prefix + "/sys/bus/pci/devices" }
  /// The labels of the board's slots.
  var pciSlots: String { prefix + "/sys/bus/pci/slots" }
  /// The driver; its module is called xen-pciback (`SYSFS_PCIBACK_DRIVER`, libxl_osdeps.h).
  var pciback: String { driver(DriverBinding.pciback) }
  /// Returns the folder of a driver of PCI devices.
  func driver(_ name: String) -> String { prefix + "/sys/bus/pci/drivers/" + name }
  /// Offers a device to all drivers.
  var pciProbe: String { prefix + "/sys/bus/pci/drivers_probe" }
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

  /// The drivers of virtio's devices, each with links to its devices.
  var virtioDrivers: String { prefix + "/sys/bus/virtio/drivers" }
  /// The mounts of process 1.
  var mounts: String { prefix + "/proc/1/mountinfo" }
  /// The mounts of this process. In a captured host there are none.
  var ownMounts: String { prefix + "/proc/self/mountinfo" }
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
  /// The ZFS pools that are imported, each a folder (`kstat_create`, module/os/linux/spl/spl-kstat.c, OpenZFS 2.1).
  var pools: String { prefix + "/proc/spl/kstat/zfs" }
  /// The connections of iSCSI sessions.
  var iscsiConnections: String { prefix + "/sys/class/iscsi_connection" }
  /// The number of the partition from which systemd-boot was started (`LoaderDevicePartUUID`, the Boot Loader Interface).
  var loaderPartition: String {
    prefix + "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
  }
  /// What the bonding driver shows of each bond.
  var bonds: String { prefix + "/proc/net/bonding" }

  /// The network interfaces, each a link into the tree of all devices.
  var networkInterfaces: String { prefix + "/sys/class/net" }
  /// The connections of TCP over both families.
  var connections: [String] { [prefix + "/proc/net/tcp", prefix + "/proc/net/tcp6"] }
  /// The processes of the host. They are this machine's only if the host is this machine.
  var hostProcesses: String { prefix + Self.processes }
  /// The routes of a host that is not this machine, per family, as `ip -o route show table all` prints them.
  var capturedRoutes: [DefaultRoute.Family: String] {
    [.ipv4: prefix + "/run/berth-capture/routes-ipv4", .ipv6: prefix + "/run/berth-capture/routes-ipv6"]
  }

  /// The consoles of the kernel.
  var consoles: String { prefix + "/proc/consoles" }
  var terminals: String { prefix + "/sys/class/tty" }
  /// The devices of input, with the keys that they have.
  var inputDevices: String { prefix + "/proc/bus/input/devices" }
  var securityModules: String { prefix + "/sys/class/tpm" }
  var watchdogs: String { prefix + "/sys/class/watchdog" }
  var managementControllers: String { prefix + "/sys/class/ipmi" }

  /// What folders of a host are for, by their paths on that host.
  var purposes: [String: FolderPurpose] {
    [
      "/boot": .boot, "/boot/efi": .boot, "/efi": .boot, "/var/lib/berth": .berth, "/run/berth": .berth,
      "/var/lib/xen": .toolstack,
    ]
  }

  /// Whether the host is the machine on which this program runs.
  var isThisMachine: Bool { prefix.isEmpty }

  /// Returns where a path of the host is.
  func path(_ path: String) -> String { prefix + path }
}
