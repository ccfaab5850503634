import CLinux
import Glibc

/// The xenstored that a sandbox runs. Debian has both.
package enum StoreKind: String, Sendable, Codable, CaseIterable {
  /// The daemon in C.
  case c
  /// The daemon in OCaml, Debian's default on a host.
  case ox

  /// The daemon's program.
  var program: String { self == .c ? "xenstored" : "oxenstored" }
}

/// A private xenstored, a child of this process that ends with it.
final class StoreDaemon {
  let process: pid_t
  private var isStopped = false

  private init(process: pid_t) { self.process = process }

  /// Starts the daemon and returns when it answers.
  static func start(
    _ kind: StoreKind, in directory: SandboxDirectory, preload: String, isTracing: Bool, testEagain: Bool,
    until deadline: ContinuousClock.Instant
  ) throws(SandboxError) -> StoreDaemon {
    guard let program = try XenPrograms.path(of: kind.program) else {
      throw SandboxError(
        .notInstalled,
        "\(kind.program) is not installed. Debian's package for it is named after Xen's release: "
          + "`apt-cache search '^xen-utils-[0-9]'` prints the name")
    }
    guard Files.exists(preload) else {
      throw SandboxError(.notInstalled, "the sandbox's preload library is not at \(preload)")
    }
    let paths = directory.paths
    try directory.makeDirectories(paths.store)
    try directory.remove(paths.storeSocket)
    let arguments: [String]
    switch kind {
    case .c: arguments = [program, "-N"] + (isTracing ? ["-T", paths.storeTrace] : [])
    case .ox:
      let configuration = paths.store + "/oxenstored.conf"
      try directory.write(configuration, Self.configuration(paths, isTracing: isTracing, testEagain: testEagain))
      arguments = [program, "--no-fork", "--config-file", configuration]
    }
    var environment = paths.environment(forXenTools: preload)
    environment["BERTH_SANDBOX_ROLE"] = "store"
    environment["BERTH_SANDBOX_PARENT"] = "\(getpid())"
    environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    let log = try directory.open(paths.storeLog, O_WRONLY | O_CREAT | O_APPEND)
    let process = try Processes.start(arguments, environment: environment, output: log)
    let daemon = StoreDaemon(process: process)
    do {
      try daemon.waitUntilReady(directory, until: deadline)
    } catch {
      daemon.stop()
      throw error
    }
    return daemon
  }

  /// Ends the daemon and reaps it. A second call does nothing.
  func stop() {
    guard !isStopped else { return }
    isStopped = true
    // It is a child that nobody has waited for, so the number is still its own.
    kill(process, SIGTERM)
    do throws(SandboxError) {
      if try Processes.waitForEnd(process, milliseconds: 3000) { return }
    } catch {
      HostEffects.note("\(error)")
    }
    Processes.kill(child: process)
  }

  /// Waits for a connection. The socket's file exists before the daemon listens, so only a connection proves that it is
  /// ready.
  private func waitUntilReady(
    _ directory: SandboxDirectory, until deadline: ContinuousClock.Instant
  ) throws(SandboxError) {
    let paths = directory.paths
    guard let end = try Processes.watch(process) else { throw systemError("watching xenstored", ESRCH) }
    var pause: Int32 = 1
    while true {
      do throws(SandboxError) {
        let socket = try Sockets.connect(paths.storeSocket)
        guard Sockets.listener(of: socket)?.process == process else {
          throw SandboxError(.inUse, "another program than the sandbox's xenstored listens at \(paths.storeSocket)")
        }
        return
      } catch  where error.code == .notRunning {
        // Nothing reports that the daemon begins to listen. Its end is reported, so the pause between attempts waits
        // for that.
        if Sockets.waitFor(end.number, Int16(POLLIN), milliseconds: pause) {
          throw SandboxError(.ended, "xenstored ended at once: \(Self.lastWords(directory))")
        }
        pause = min(20, pause * 2)
      }
      guard ContinuousClock.now < deadline else {
        throw SandboxError(.timedOut, "xenstored does not answer: \(Self.lastWords(directory))")
      }
    }
  }

  private static func lastWords(_ directory: SandboxDirectory) -> String {
    // The log is only added to another error. If it cannot be read, that must not hide the other error.
    let text = (try? directory.read(directory.paths.storeLog)) ?? nil
    let lines = (text ?? "").split(separator: "\n").suffix(3)
    return lines.isEmpty ? "it wrote no message (\(directory.paths.storeLog))" : lines.joined(separator: "; ")
  }

  private static func configuration(_ paths: SandboxPaths, isTracing: Bool, testEagain: Bool) -> String {
    """
    pid-file = \(paths.store)/oxenstored.pid
    xenstored-kva = /proc/xen/xsd_kva
    xenstored-port = /proc/xen/xsd_port
    xenstored-log-file = \(paths.log)/oxenstored.log
    access-log-file = \(isTracing ? paths.storeTrace : paths.log + "/oxenstored-access.log")
    access-log-nb-files = 1
    access-log-nb-lines = 100000000
    access-log-read-ops = \(isTracing)
    access-log-transactions-ops = \(isTracing)
    access-log-special-ops = \(isTracing)
    quota-activate = true
    quota-maxentity = 1000
    quota-maxsize = 2048
    merge-activate = true
    perms-activate = true
    test-eagain = \(testEagain)

    """
  }
}
