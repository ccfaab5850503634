import CLinux
import Glibc

/// Starts and ends other programs.
enum Processes {
  /// Starts a program with only these variables, with no signal blocked and with its output going to `output`.
  ///
  /// `inherited` becomes the child's descriptor 3. `isLeader` gives it a session of its own, so that a terminal's
  /// Ctrl-C does not reach it. The corresponding C function is `posix_spawn`.
  static func start(
    _ arguments: [String], environment: [String: String], output: String, inherited: Int32? = nil,
    isLeader: Bool = false
  ) throws(SandboxError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
    if let inherited { unsafe posix_spawn_file_actions_adddup2(&actions, inherited, 3) }

    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    var all = sigset_t()
    unsafe sigfillset(&all)
    unsafe posix_spawnattr_setsigdefault(&attributes, &all)
    // POSIX_SPAWN_SETSID is a GNU extension that Swift does not see (spawn.h).
    let newSession: Int32 = 0x80
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (isLeader ? newSession : 0)))

    let words = unsafe arguments.map { unsafe strdup($0) } + [nil]
    let variables = unsafe environment.sorted { $0.key < $1.key }.map { unsafe strdup("\($0.key)=\($0.value)") } + [nil]
    defer { unsafe (words + variables).forEach { unsafe free($0) } }
    var process: pid_t = 0
    let error = unsafe posix_spawnp(&process, arguments[0], &actions, &attributes, words, variables)
    guard error == 0 else { throw systemError("starting \(arguments[0])", error) }
    return process
  }

  /// Returns a descriptor that becomes readable when the process ends; nil if there is no such process.
  static func watch(_ process: pid_t) -> Descriptor? {
    let number = pidfd_open(process, 0)
    return number < 0 ? nil : Descriptor(number)
  }

  /// Waits until the process has ended, and reaps it if it is a child. Returns false if the time is over.
  static func waitForEnd(_ process: pid_t, milliseconds: Int32) -> Bool {
    guard let descriptor = watch(process) else { return true }
    guard Sockets.waitFor(descriptor.number, Int16(POLLIN), milliseconds: milliseconds) else { return false }
    var status: Int32 = 0
    _ = unsafe waitpid(process, &status, WNOHANG)
    return true
  }

  /// Returns this process's variables.
  static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var next = unsafe environ
    while let text = unsafe next.pointee {
      let pair = unsafe String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
      unsafe next += 1
    }
    return variables
  }
}
