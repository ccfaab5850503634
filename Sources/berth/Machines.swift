import Commands
import LinuxAdapter
import Model
import Ports
import Sandbox
import XenAdapter

/// The hosts on which this program can work: its own machine, and sandboxes.
struct Machines: Sendable {
  /// Where this machine's files are; another folder only if a test says so.
  private let root: String

  init(environment: [String: String]) { root = environment["BERTH_ROOT"] ?? "/" }

  var name: String { Machine.hostName }
  var secondsSince1970: Int64 { Machine.secondsSince1970 }

  /// Opens nothing yet: each port opens at its first use.
  func open(sandbox: String?, name: String) -> HostSession {
    // Observing changes nothing, so a signal may end it at any time. An apply must end its waits first.
    HostSession(
      host: host(name, sandbox: sandbox, signals: nil),
      applying: { lockTimeout in
        Machine.raiseFileLimit()
        return host(name, sandbox: sandbox, signals: InterruptSignals(), lockTimeout: lockTimeout)
      })
  }

  private func host(
    _ name: String, sandbox: String?, signals: InterruptSignals?, lockTimeout: Duration = .zero
  ) -> Host {
    let paths = sandbox.map { SandboxPaths(directory: $0) }
    let root = paths?.root ?? self.root
    let hypervisor: any HypervisorPort =
      if let paths { SandboxHypervisor(paths: paths) } else { HypervisorConnection() }
    let tree: any DeviceTreePort =
      if let paths {
        SandboxDeviceTree(SysfsTree(root: root), hypervisor: hypervisor, paths: paths)
      } else {
        SysfsTree(root: root)
      }
    return Host(
      name: name,
      stores: XenStoreConnector(socket: paths?.storeSocket, interruptDescriptor: signals?.descriptor),
      hypervisor: hypervisor, tree: tree, userdata: UserdataFiles(root: root),
      deviceModels: QMPDeviceModels(root: root),
      ownership: OwnershipFiles(root: root, lockTimeout: lockTimeout), intents: IntentFiles(root: root),
      runLocks: RunLockFiles(root: root),
      wallClock: { Machine.secondsSince1970 }, isInterrupted: { signals?.isInterrupted ?? false })
  }

  /// Names come from this machine's list, even for a sandbox's devices.
  func names(for devices: Set<DeviceID>) -> [DeviceID: String] { PCINames(root: root).names(for: devices) }
}
