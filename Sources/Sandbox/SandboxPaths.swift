package import Model

/// The paths of one sandbox.
package struct SandboxPaths: Hashable, Sendable {
  /// The sandbox's directory, absolute, without a slash at its end.
  package let directory: String

  /// The number of bytes of a socket's path that fit into `sockaddr_un.sun_path` with its end (unix(7)).
  static let longestSocketPath = 107

  package init(directory: String) {
    var text = directory.hasPrefix("/") ? directory : currentDirectory() + "/" + directory
    while text.count > 1, text.hasSuffix("/") { text.removeLast() }
    self.directory = text
  }

  /// The host's file system: `/sys/bus/pci` of a host is `sys/bus/pci` below this path.
  package var root: String { directory + "/root" }
  /// The private xenstored's own directory.
  package var store: String { directory + "/xenstored" }
  /// The socket on which xenstored listens, of either kind.
  package var storeSocket: String { store + "/socket" }
  /// The requests that xenstored served, if the sandbox was started with a trace.
  package var storeTrace: String { log + "/xenstored.trace" }
  /// The socket on which the simulator takes hypercalls and control requests.
  package var hypervisorSocket: String { directory + "/hypervisor.sock" }
  /// The messages of the simulator and of xenstored.
  package var log: String { directory + "/log" }
  package var simulatorLog: String { log + "/simulator.log" }
  package var storeLog: String { log + "/xenstored.log" }
  /// The file with the sandbox's description: written at the start, complete when the sandbox is ready.
  package var description: String { directory + "/sandbox.json" }
  /// The scenario from which the sandbox was started.
  package var scenario: String { directory + "/scenario.yaml" }
  /// The file that the simulator locks while it runs.
  package var lock: String { directory + "/simulator.lock" }
  /// Returns the file that shows the preloaded xenstored that a domain exists.
  package func domainFile(_ domain: DomainID) -> String { directory + "/dom-\(domain)" }

  /// The tree of all devices, to which `pciDevices` has links.
  package var devices: String { root + "/sys/devices" }
  package var networkInterfaces: String { root + "/sys/class/net" }
  package var blockDevices: String { root + "/sys/class/block" }
  package var mounts: String { root + "/proc/1/mountinfo" }
  package var swaps: String { root + "/proc/swaps" }
  package var consoles: String { root + "/proc/consoles" }
  package var inputDevices: String { root + "/proc/bus/input/devices" }
  package var connections: String { root + "/proc/net/tcp" }
  /// Returns the file with the default routes of a family: `ipv4` or `ipv6`.
  package func routes(_ family: String) -> String { root + "/run/berth-capture/routes-\(family)" }
  package var pciSlots: String { root + "/sys/bus/pci/slots" }
  package var pciDevices: String { root + "/sys/bus/pci/devices" }
  package var pciDrivers: String { root + "/sys/bus/pci/drivers" }
  /// Offers a device to all drivers.
  package var pciProbe: String { root + "/sys/bus/pci/drivers_probe" }
  package var backEndObjects: String { root + "/sys/bus/xen-backend/devices" }
  /// libxl's userdata files and their locks.
  package var userdata: String { root + "/var/lib/xen" }
  /// The folder of the sockets between toolstacks and QEMU; `/var/run` is `/run`, as on Debian.
  package var toolstackSockets: String { root + "/run/xen" }
  /// Returns the QMP socket of an HVM guest's QEMU (`libxl__qmp_socket_path`, libxl_qmp.c, Xen 4.17).
  package func deviceModelSocket(of domain: DomainID) -> String { toolstackSockets + "/qmp-libxl-\(domain)" }
  package var kernelLog: String { root + "/dev/kmsg" }

  /// Returns the path of a userdata file of libxl: `userdata-<kind>.<domid>.<uuid>.<name>` (`libxl__userdata_path`, Xen
  /// 4.17).
  package func userdata(_ kind: Character, of domain: DomainKey, _ name: String) -> String {
    userdata + "/userdata-\(kind).\(domain.id).\(domain.uuid).\(name)"
  }

  /// Throws `pathTooLong` if a socket could not be made, and `inUse` for blanks, which oxenstored's file does not take.
  package func check() throws(SandboxError) {
    guard !directory.contains(where: { $0 == "\n" || $0 == " " }) else {
      throw SandboxError(.inUse, "a sandbox's directory cannot have blanks in its path: \(directory)")
    }
    for path in [storeSocket, hypervisorSocket] where path.utf8.count > Self.longestSocketPath {
      throw SandboxError(
        .pathTooLong,
        "the path of a socket, \(path), has \(path.utf8.count) bytes; the limit is \(Self.longestSocketPath): "
          + "use a directory with a shorter path")
    }
  }

  /// Returns the variables with which a stock Xen program uses this sandbox instead of the host.
  ///
  /// `preload` is the preload library's path; nil leaves the library out, for programs that only need the store.
  package func environment(forXenTools preload: String?) -> [String: String] {
    var variables = [
      "BERTH_SANDBOX": directory,
      // The C daemon and libxenstore read both variables (`xs_daemon_socket`, tools/libs/store/xs.c).
      "XENSTORED_PATH": storeSocket,
      "XENSTORED_RUNDIR": store,
    ]
    if let preload { variables["LD_PRELOAD"] = preload }
    return variables
  }
}
