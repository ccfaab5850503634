import CLinux
import Glibc

/// What the program asks of the machine it runs on.
package enum Machine {
  /// The host's name, as `uname -n` gives it; empty where it has none.
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
  /// Raises the number of files that the process may have open to all that it is allowed (`RLIMIT_NOFILE`, getrlimit(2)).
  ///
  /// A run keeps one file open per domain that it has locked. The number stays as it is if it cannot be raised.
  package static func raiseFileLimit() {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}

/// SIGINT and SIGTERM as a wish to stop: the program ends what it has open and then itself. A second one ends it at once.
package struct InterruptSignals: Sendable {
  /// Readable from the first signal on, for good; nil where the signals could not be taken, and work as ever.
  package let descriptor: Int32?

  /// Takes the signals for the whole process; once a program.
  package init() {
    let number = berth_take_interrupts()
    descriptor = number < 0 ? nil : number
  }

  /// Whether a signal has come.
  package var isInterrupted: Bool { berth_is_interrupted() }
}
