import CLinux
import Glibc

/// What the program asks the machine on which it runs.
package enum Machine {
  /// The host's name, as `uname -n` prints it; empty if the host has none.
  package static var hostName: String {
    var names = utsname()
    guard unsafe uname(&names) == 0 else { return "" }
    return unsafe withUnsafeBytes(of: names.nodename) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }

  /// Seconds since 1970.
  package static var secondsSince1970: Int64 {
    var now = timespec()
    _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
    return Int64(now.tv_sec)
  }
}

extension Machine {
  /// Raises the process's limit of open files to its hard limit (`RLIMIT_NOFILE`, getrlimit(2)).
  ///
  /// A run keeps one file open per domain that it has locked. If the limit cannot be raised, it stays unchanged.
  package static func raiseFileLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

/// Handles SIGINT and SIGTERM as a wish to stop: the program ends its open work, then itself. A second signal ends the
/// program immediately.
package struct InterruptSignals: Sendable {
  /// Readable from the first signal on, permanently; nil if the signals could not be handled. They then have their
  /// default effect.
  package let descriptor: Int32?

  /// Installs the handlers for the whole process; to be called once per program.
  package init() {
    let number = berth_take_interrupts()
    descriptor = number < 0 ? nil : number
  }

  /// Whether a signal has come.
  package var isInterrupted: Bool { berth_is_interrupted() }
}
