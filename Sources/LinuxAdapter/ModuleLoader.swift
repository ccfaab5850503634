import CLinux
import Glibc

/// Loads modules of the kernel with modprobe(8), which knows what else each module needs.
enum ModuleLoader {
  /// The most that is kept of what modprobe says.
  private static let mostBytes = 4096

  /// Returns what modprobe said if it failed, or did not end in time; empty if the module is loaded.
  static func load(_ name: String, until deadline: ContinuousClock.Instant) throws(SystemFailure) -> String {
    var ends: [Int32] = [0, 0]
    _ = try retrying("pipe") { unsafe berth_pipe(&ends) }
    let output = Descriptor(opened: ends[0])
    // This program's own end is closed with the call.
    let process = try start(["modprobe", "--", name], output: Descriptor(opened: ends[1]))
    guard let status = try BoundedWrite.wait(for: process, until: deadline) else {
      LeftProcesses.add(process)
      return "modprobe has not ended in time (process \(process))"
    }
    if status == 0 { return "" }
    var bytes = [UInt8](repeating: 0, count: mostBytes)
    let count = unsafe read(output.number, &bytes, bytes.count)
    let text = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    let line = text.split(separator: "\n").first.map(String.init) ?? ""
    return line.isEmpty ? "modprobe ended with status \(status >> 8 & 0xFF)" : line
  }

  /// Starts a program of the system's own folders, with nothing of this program's environment.
  private static func start(_ words: [String], output: consuming Descriptor) throws(SystemFailure) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_addopen(&actions, 0, Root.nothing, O_RDONLY, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.number, 1)
    unsafe posix_spawn_file_actions_adddup2(&actions, output.number, 2)
    let arguments = unsafe words.map { unsafe strdup($0) } + [nil]
    let environment = unsafe [unsafe strdup("PATH=" + Root.systemPrograms.joined(separator: ":")), nil]
    defer { unsafe (arguments + environment).forEach { unsafe free($0) } }
    for folder in Root.systemPrograms {
      var process: pid_t = 0
      let failure = unsafe posix_spawn(&process, "\(folder)/\(words[0])", &actions, nil, arguments, environment)
      if failure == 0 { return process }
      if failure != ENOENT { throw SystemFailure("start \(words[0])", failure) }
    }
    throw SystemFailure("start \(words[0])", ENOENT)
  }
}
