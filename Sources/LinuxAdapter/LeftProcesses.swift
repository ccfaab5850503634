import Glibc
import Synchronization

/// The processes of this program that had not ended when it went on. One that ends later is a zombie until this program
/// has asked for its end.
///
/// Each new process asks, so there are never more zombies than processes were left behind since. No thread waits for them.
/// A second fork would make init their parent, but costs as much again, and nobody would learn how a write ended.
enum LeftProcesses {
  private static let processes = Mutex<[pid_t]>([])

  /// Remembers a process that is not waited for any more.
  static func add(_ process: pid_t) { processes.withLock { $0.append(process) } }

  /// Forgets the processes that have ended.
  static func reap() {
    processes.withLock { processes in
      // 0: it still runs. A failure: it is no child of this program any more, because that ignores SIGCHLD.
      processes.removeAll { waitpid($0, nil, WNOHANG) != 0 }
    }
  }
}
