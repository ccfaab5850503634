extension Machine {
  /// Returns a process as text for people: its number, its command line, and what it does, as the kernel shows them.
  package static func description(ofProcess process: Int32) -> String {
    let text = "process \(LockTable.describe(Int(process)))"
    return LockTable.state(of: Int(process)).map { text + ", " + $0 } ?? text + ", which is gone"
  }
}

extension LockTable {
  /// Returns what a process does; nil if it is gone.
  static func state(of process: Int) -> String? {
    guard let letter = stateLetter(of: process) else { return nil }
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
