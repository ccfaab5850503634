import CLinux
import Glibc

/// Starts and ends other programs.
enum Processes {
  /// Starts a program with only these variables, with no signal blocked and with its output going to `output`.
  ///
  /// `executable` is the program's file; nil looks for the first argument in PATH. `inherited` becomes the child's
  /// descriptor 3. `isLeader` gives it a session of its own, so that a terminal's
  /// Ctrl-C does not reach it. The corresponding C function is `posix_spawn`.
  static func start(
    _ arguments: [String], executable: String? = nil, environment: [String: String], output: borrowing Descriptor,
    inherited: Int32? = nil, isLeader: Bool = false
  ) throws(SandboxError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.number, 1)
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
    let error = unsafe posix_spawnp(&process, executable ?? arguments[0], &actions, &attributes, words, variables)
    guard error == 0 else { throw systemError("starting \(arguments[0])", error) }
    return process
  }

  /// Returns a descriptor that becomes readable when the process ends; nil if there is no such process.
  static func watch(_ process: pid_t) throws(SandboxError) -> Descriptor? {
    let number = pidfd_open(process, 0)
    if number < 0, errno == ESRCH { return nil }
    guard number >= 0 else { throw systemError("watching process \(process)") }
    return Descriptor(number)
  }

  /// Returns whether a process was started to simulate a sandbox, by its command line (proc(5)).
  static func isSimulator(_ process: pid_t) -> Bool {
    let path = "/proc/\(process)/cmdline"
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { return false }
    do throws(SandboxError) {
      let words = try Files.read(Descriptor(number), path).split(separator: 0).map {
        String(decoding: $0, as: UTF8.self)
      }
      return zip(words, words.dropFirst()).contains { $0 == ("sandbox", "serve") }
    } catch { return false }
  }

  /// Kills a child that nobody has waited for yet, and waits for it.
  static func kill(child: pid_t) {
    Glibc.kill(child, SIGKILL)
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
  }

  /// Waits until the process has ended, and reaps it if it is a child. Returns false if the time is over.
  static func waitForEnd(_ process: pid_t, milliseconds: Int32) throws(SandboxError) -> Bool {
    guard let descriptor = try watch(process) else { return true }
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
