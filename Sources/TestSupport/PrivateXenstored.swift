import Glibc

/// Debian's own C xenstored, run for one test with no hypervisor; it ends with this object.
package final class PrivateXenstored {
  private static let program = "/usr/lib/xen-4.17/bin/xenstored"

  private let folder: TemporaryFolder
  private let process: RunningProcess

  /// The daemon's socket.
  package var socket: String { folder.path + "/xenstored/socket" }

  /// Starts a daemon to which `domains` exist, and waits until it takes connections.
  package init(domains: [UInt32] = []) throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("xenstored")
    for domain in domains { try folder.write("dom-\(domain)", "") }
    process = try Command(
      Self.program, ["-N"],
      environment: [
        "BERTH_SANDBOX": folder.path, "BERTH_SANDBOX_ROLE": "store", "XENSTORED_RUNDIR": folder.path + "/xenstored",
        "XENSTORED_PATH": folder.path + "/xenstored/socket",
        "LD_PRELOAD": try builtLibrary("libBerthPreload.so"),
      ]
    ).start()
    let deadline = ContinuousClock.now + .seconds(20)
    while !canConnect(to: socket) {
      // Its socket appears without any event to wait for; what it says meanwhile is read.
      let hasEnded = process.collect(until: min(deadline, .now + .milliseconds(5))) { _ in false }
      if hasEnded || ContinuousClock.now >= deadline {
        throw Command.Failure(description: "xenstored does not answer: \(process.output)\(process.errors)")
      }
    }
  }

  /// Kills the daemon, as a test of what its clients make of that.
  package func kill() { process.end(SIGKILL) }
}

/// A library of this package, beside the running test program.
package func builtLibrary(_ name: String) throws -> String {
  var buffer = [CChar](repeating: 0, count: 4096)
  let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
  guard count > 0 else { throw Command.Failure(description: "readlink /proc/self/exe: \(errno)") }
  let program = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  let path = program.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
  guard unsafe access(path, R_OK) == 0 else { throw Command.Failure(description: "\(path) is not built") }
  return path
}

private func canConnect(to path: String) -> Bool {
  let number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
  guard number >= 0 else { return false }
  defer { close(number) }
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  let bytes = Array(path.utf8)
  guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
  unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
  return unsafe withUnsafePointer(to: &address) {
    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      unsafe connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
    }
  }
}
