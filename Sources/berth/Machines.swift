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
  /// The socket of this machine's xenstored, if the environment names it for Xen's programs.
  private let storeSocket: String?

  init(environment: Environment) {
    root = environment[.root] ?? "/"
    storeSocket = environment[.storeSocket]
  }

  var name: String { Machine.hostName }
  var secondsSince1970: Int64 { Machine.secondsSince1970 }

  /// Opens nothing yet: each port opens at its first use. The sandbox's directory must have been checked.
  func open(sandbox: SandboxPaths?, name: String, answerTimeout: Duration) -> HostSession {
    // Observing changes nothing, so a signal may end it at any time. An apply must end its waits first.
    HostSession(
      host: host(name, sandbox: sandbox, AnswerLimit(answerTimeout), signals: nil),
      applying: { lockTimeout in
        Machine.raiseFileLimit()
        let signals = InterruptSignals()
        let limit = AnswerLimit(answerTimeout, interruptDescriptor: signals.descriptor)
        return host(name, sandbox: sandbox, limit, signals: signals, lockTimeout: lockTimeout)
      })
  }

  /// Opens nothing yet. The sandbox's directory must have been checked.
  func openPulls(sandbox: SandboxPaths?) -> any PullPort { PullFiles(root: sandbox?.root ?? root) }

  private func host(
    _ name: String, sandbox paths: SandboxPaths?, _ limit: AnswerLimit, signals: InterruptSignals?,
    lockTimeout: Duration = .zero
  ) -> Host {
    let root = paths?.root ?? self.root
    let hypervisor: any HypervisorPort =
      if let paths {
        SandboxHypervisor(paths: paths, timeout: limit.time, interruptDescriptor: limit.interruptDescriptor)
      } else {
        HypervisorConnection(limit: limit)
      }
    var tree: any DeviceTreePort = SysfsTree(root: root)
    var drivers: any DriverPort = SysfsDrivers(root: root)
    if let paths {
      let sandbox = SandboxDeviceTree(tree, hypervisor: hypervisor, paths: paths)
      (tree, drivers) = (sandbox, SandboxDrivers(drivers, tree: sandbox))
    }
    let reader = UsageReader(root: root)
    let usage: any HostUsagePort = paths == nil ? reader : SandboxUsage(reader)
    return Host(
      name: name,
      stores: XenStoreConnector(
        storePlace(paths), limit: limit, describe: { Machine.description(ofProcess: $0) }),
      hypervisor: hypervisor, tree: tree, inventory: SysfsInventory(root: root),
      usage: usage, drivers: drivers, preparations: PreparationFiles(root: root),
      boot: BootReader(root: root), userdata: UserdataFiles(root: root),
      deviceModels: QMPDeviceModels(root: root),
      ownership: OwnershipFiles(root: root, lockTimeout: lockTimeout), intents: IntentFiles(root: root),
      runLocks: RunLockFiles(root: root),
      wallClock: { Machine.secondsSince1970 }, isInterrupted: { signals?.isInterrupted ?? false })
  }

  private func storePlace(_ paths: SandboxPaths?) -> StorePlace {
    if let paths { return StorePlace(socket: paths.storeSocket) }
    let (socket, devices) = Machine.storePaths(root: root)
    return storeSocket.map { StorePlace(socket: $0) } ?? StorePlace(socket: socket, devices: devices)
  }

  /// Names come from this machine's list, even for a sandbox's devices.
  func names(for devices: Set<DeviceID>) -> [DeviceID: String] { PCINames(root: root).names(for: devices) }

  func classNames(for classes: Set<UInt32>) -> [UInt32: String] { PCINames(root: root).classNames(for: classes) }
}
