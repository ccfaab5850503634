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

  /// The program's working directory; nil if it cannot be told.
  package static var workingDirectory: String? {
    guard let path = unsafe getcwd(nil, 0) else { return nil }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// How many processors work; at least one.
  package static var processorCount: Int { max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN))) }

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

extension Machine {
  /// The memory that a run may need beside what the program has at its start: stacks of its threads, and what is read.
  private static let leastMemory = 64 << 20
  /// The stack that the main thread needs.
  private static let leastStack: rlim_t = 1 << 20

  /// Returns what the program is too short of to begin; nil if it has enough.
  ///
  /// Swift ends a program at once if it gets no memory or no stack, without a word. So both are asked for before anything
  /// is begun, and the cause can be told. Without a limit on the address space nothing is asked.
  package static func shortage() -> String? {
    var limit = rlimit()
    if unsafe getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0, limit.rlim_cur < leastStack {
      return "the stack is limited to \(limit.rlim_cur >> 10) KiB, and Berth needs \(leastStack >> 10) KiB; raise the "
        + "limit (`ulimit -s`)"
    }
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur != rlim_t.max else {
      return nil
    }
    // Each thread would reserve 64 MiB of the address space for memory of its own (malloc/arena.c, glibc).
    berth_use_one_arena()
    let room = unsafe mmap(nil, leastMemory, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if unsafe room != MAP_FAILED {
      unsafe munmap(room, leastMemory)
      return nil
    }
    return
      "no room for \(leastMemory >> 20) MiB: the address space is limited to \(limit.rlim_cur >> 20) MiB; raise the "
      + "limit (`ulimit -v`)"
  }

  /// Lets a write beyond the limit of a file's size fail with EFBIG. Otherwise the signal ends the program half-way.
  package static func ignoreFileSizeSignal() { _ = signal(SIGXFSZ, SIG_IGN) }

  /// Opens /dev/null for each standard stream that the program was started without, and returns those streams.
  ///
  /// To be called before anything else is opened. Otherwise the next file or socket gets the stream's number, and text
  /// for people is written into it.
  package static func openStandardStreams() -> Set<Int32> {
    var closed: Set<Int32> = []
    for stream in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(stream, F_GETFD) < 0 {
      // open(2) returns the lowest number that is free: this one.
      if unsafe open("/dev/null", O_RDWR) == stream { closed.insert(stream) }
    }
    return closed
  }

  /// Lets SIGQUIT end the program at once, with status 131 and without a core dump.
  package static func endOnQuit() { berth_end_on_quit() }
}

/// Handles SIGINT, SIGTERM and SIGHUP as a wish to stop: the program ends its open work, then itself. A second signal
/// ends the program immediately. SIGHUP stays ignored if it was, as nohup(1) wants it.
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
