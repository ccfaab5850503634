import Glibc

extension Machine {
  /// Returns a process as text for people: its number, its command line, and what it does, as the kernel shows them.
  package static func description(ofProcess process: Int32) -> String {
    let text = "process \(LockTable.describe(Int(process)))"
    return LockTable.state(of: Int(process)).map { text + ", " + $0 } ?? text + ", which is gone"
  }
}

extension LockTable {
  /// Returns what a process does (`/proc/<pid>/stat`, fs/proc/array.c: `task_state_array`, Linux 6.1); nil if it is gone.
  static func state(of process: Int) -> String? {
    let text: String
    do throws(SystemFailure) { text = try readAttribute("\(Root.processes)/\(process)/stat") } catch { return nil }
    // The name in parentheses may hold anything; the state follows the last of them.
    let rest = text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst()
    guard let letter = rest.first(where: { $0 != " " }) else { return nil }
    return switch letter {
    case "T": "stopped by a signal"
    case "t": "stopped by a debugger"
    case "D": "waiting for a device or a file system"
    case "Z", "X": "ended"
    case "R": "running"
    case "S", "I": "sleeping"
    default: "in state \(letter)"
    }
  }
}

extension Machine {
  /// Returns where xenstored answers on the machine whose files are below `root`: the paths of its socket, and of the
  /// kernel's devices for a xenstored in another domain.
  package static func storePaths(root: String) -> (socket: String, devices: [String]) {
    let root = Root(root)
    return (root.storeSocket, root.storeDevices)
  }
}
