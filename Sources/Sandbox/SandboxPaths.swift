package import Core

/// Where everything of one sandbox is.
package struct SandboxPaths: Hashable, Sendable {
  /// The sandbox's directory, absolute, without a slash at its end.
  package let directory: String

  /// The bytes of a socket's path that fit into `sockaddr_un.sun_path` with its end (unix(7)).
  static let longestSocketPath = 107

  package init(directory: String) {
    var text = directory.hasPrefix("/") ? directory : currentDirectory() + "/" + directory
    while text.count > 1, text.hasSuffix("/") { text.removeLast() }
    self.directory = text
  }

  /// The host's file system: what is `/sys/bus/pci` on a host is `sys/bus/pci` below this.
  package var root: String { directory + "/root" }
  /// The private xenstored's own directory.
  package var store: String { directory + "/xenstored" }
  /// Where xenstored listens, of either kind.
  package var storeSocket: String { store + "/socket" }
  /// The requests xenstored served, where the sandbox was started with a trace.
  package var storeTrace: String { log + "/xenstored.trace" }
  /// Where the simulator takes hypercalls and control requests.
  package var hypervisorSocket: String { directory + "/hypervisor.sock" }
  /// The simulator's and xenstored's own words.
  package var log: String { directory + "/log" }
  package var simulatorLog: String { log + "/simulator.log" }
  package var storeLog: String { log + "/xenstored.log" }
  /// What runs here; there from readiness on.
  package var description: String { directory + "/sandbox.json" }
  /// The scenario it was started from.
  package var scenario: String { directory + "/scenario.yaml" }
  /// Locked by the simulator while it runs.
  package var lock: String { directory + "/simulator.lock" }
  /// Tells the preloaded xenstored that a domain exists.
  package func domainFile(_ domain: DomainID) -> String { directory + "/dom-\(domain)" }

  package var pciDevices: String { root + "/sys/bus/pci/devices" }
  package var pciDrivers: String { root + "/sys/bus/pci/drivers" }
  package var backEndObjects: String { root + "/sys/bus/xen-backend/devices" }
  /// libxl's userdata files and their locks.
  package var userdata: String { root + "/var/lib/xen" }
  /// Where toolstacks and QEMU meet; `/var/run` is `/run`, as on Debian.
  package var toolstackSockets: String { root + "/run/xen" }
  /// QEMU's QMP socket of an HVM guest (`libxl__qmp_socket_path`, libxl_qmp.c, Xen 4.17).
  package func deviceModelSocket(of domain: DomainID) -> String { root + "/var/run/xen/qmp-libxl-\(domain)" }
  package var kernelLog: String { root + "/dev/kmsg" }

  /// A userdata file of libxl's: `userdata-<kind>.<domid>.<uuid>.<name>` (`libxl__userdata_path`, Xen 4.17).
  package func userdata(_ kind: Character, of domain: DomainKey, _ name: String) -> String {
    userdata + "/userdata-\(kind).\(domain.id).\(domain.uuid).\(name)"
  }

  /// Throws `pathTooLong` where a socket could not be made.
  package func check() throws(SandboxError) {
    for path in [storeSocket, hypervisorSocket] where path.utf8.count > Self.longestSocketPath {
      throw SandboxError(
        .pathTooLong,
        "the path of a socket, \(path), has \(path.utf8.count) bytes; at most \(Self.longestSocketPath) are possible: "
          + "use a directory with a shorter path")
    }
  }

  /// The variables with which a stock Xen program meets this sandbox in place of the host.
  ///
  /// `xenTools` is the preload library's path; nil leaves it out, for programs that only need the store.
  package func environment(forXenTools preload: String?) -> [String: String] {
    var variables = [
      "BERTH_SANDBOX": directory,
      // libxenstore up to 4.17 takes its socket from this.
      "XENSTORED_PATH": storeSocket,
      "XENSTORED_RUNDIR": store,
    ]
    if let preload { variables["LD_PRELOAD"] = preload }
    return variables
  }
}
