import Glibc

/// Debian's own C xenstored, run for one test without a hypervisor. It ends with this object.
package final class PrivateXenstored {
  private let folder: TemporaryFolder
  private let running: RunningProcess

  /// The daemon's process.
  package var process: Int32 { running.pid }

  /// The daemon's socket.
  package var socket: String { folder.path + "/xenstored/socket" }

  /// Starts a daemon for which `domains` exist, and waits until it accepts connections.
  package init(domains: [UInt32] = []) throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("xenstored")
    for domain in domains { try folder.write("dom-\(domain)", "") }
    running = try Command(
      try xenProgram("xenstored"), ["-N"],
      environment: [
        "BERTH_SANDBOX": folder.path, "BERTH_SANDBOX_ROLE": "store", "XENSTORED_RUNDIR": folder.path + "/xenstored",
        "XENSTORED_PATH": folder.path + "/xenstored/socket",
        "LD_PRELOAD": try builtFile("libBerthPreload.so"),
      ]
    ).start()
    let deadline = ContinuousClock.now + .seconds(20)
    while !(try canConnect(to: socket)) {
      // No event reports that its socket is ready, so its output is read between the attempts.
      let hasEnded = running.collect(until: min(deadline, .now + .milliseconds(5))) { _ in false }
      if hasEnded || ContinuousClock.now >= deadline {
        throw Command.Failure(description: "xenstored does not answer: \(running.output)\(running.errors)")
      }
    }
  }

  /// Kills the daemon, to test how its clients react.
  package func kill() { running.end(SIGKILL) }

  /// Stops the daemon, as a debugger does. It answers nobody until it is resumed.
  package func stop() { _ = Glibc.kill(running.pid, SIGSTOP) }

  package func resume() { _ = Glibc.kill(running.pid, SIGCONT) }
}
