import Glibc
import Sandbox

/// The programs that are measured, and how to run them.
struct Programs {
  let berth: String
  let preload: String
  /// Debian's xl; nil if it is not installed.
  let xl: String?

  init() throws(BenchError) {
    guard let program = unsafe realpath("/proc/self/exe", nil) else { throw BenchError("cannot find this program") }
    defer { unsafe free(program) }
    let folder = unsafe String(cString: program).split(separator: "/").dropLast().joined(separator: "/")
    berth = "/\(folder)/berth"
    preload = "/\(folder)/libBerthPreload.so"
    for path in [berth, preload] where unsafe access(path, R_OK) != 0 {
      throw BenchError("\(path) is not there: make release")
    }
    do { xl = try XenPrograms.path(of: "xl") } catch { throw BenchError("\(error)") }
  }
}

/// One run of a program, from its start to its end.
struct Run {
  let milliseconds: Double
  /// The processor time of the program and of the kernel for it, in milliseconds (`ru_utime`, `ru_stime`).
  let processorMilliseconds: Double
  /// The program's largest memory at one time, in KiB (`ru_maxrss`, getrusage(2)).
  let peakKiB: Int
  let status: Int32

  /// Runs a program without input, discards its output, and waits for its end.
  ///
  /// Throws if the program cannot be started, or if its exit code is not in `expecting`.
  init(
    _ command: [String], environment: [String: String] = [:], expecting: Set<Int32> = [0]
  ) throws(BenchError) {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] {
      unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let fixed = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"]
    let variables = fixed.merging(environment) { $1 }.sorted { $0.key < $1.key }
    let words = unsafe command.map { unsafe strdup($0) } + [nil]
    let settings = unsafe variables.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (words + settings).forEach { unsafe free($0) } }
    var process: pid_t = 0
    let start = ContinuousClock.now
    let failure = unsafe posix_spawn(&process, command[0], &actions, nil, words, settings)
    guard failure == 0 else { throw BenchError("cannot start \(command[0]): errno \(failure)") }
    var raw: Int32 = 0
    var usage = rusage()
    while unsafe wait4(process, &raw, 0, &usage) < 0 {
      guard errno == EINTR else { throw BenchError("cannot wait for \(command[0]): errno \(errno)") }
    }
    milliseconds = (ContinuousClock.now - start).milliseconds
    processorMilliseconds =
      Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000
      + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000
    peakKiB = usage.ru_maxrss
    status = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
    guard expecting.contains(status) else {
      throw BenchError("\(command.joined(separator: " ")) ended with \(status)")
    }
  }
}
