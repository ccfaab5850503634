import CLinux
import Glibc
import Ports

/// A write into sysfs that is given up if the kernel does not answer in time.
///
/// Such a write calls a driver, which may wait for ever, and no signal ends it then. The write is made by a process of
/// its own. If that process does not end, it is left behind, and this program goes on.
enum BoundedWrite {
  /// Writes `text` to the file, and returns the kernel's answer.
  static func write(
    _ text: String, to path: String, until deadline: ContinuousClock.Instant
  ) throws(SystemFailure) -> DriverAnswer {
    LeftProcesses.reap()
    let process = unsafe text.withCString { bytes in unsafe berth_begin_write(path, bytes, strlen(bytes)) }
    guard process > 0 else { throw SystemFailure("fork", errno) }
    let status: Int32?
    // The write may be under way, whatever keeps this process from waiting for it.
    do throws(SystemFailure) { status = try wait(for: process, until: deadline) } catch { status = nil }
    guard let status else {
      LeftProcesses.add(process)
      return .silent(process: process, stack: stack(of: process))
    }
    // WIFEXITED and WEXITSTATUS (wait(2)).
    guard status & 0x7F == 0 else { return .answered(errno: EINTR) }
    let failure = status >> 8 & 0xFF
    return .answered(errno: failure == 0 ? nil : failure)
  }

  /// Returns the status with which the process ended; nil if it had not ended at the deadline.
  static func wait(
    for process: pid_t, until deadline: ContinuousClock.Instant
  ) throws(SystemFailure) -> Int32? {
    let end = Descriptor(opened: try retrying("pidfd_open") { pidfd_open(process, 0) })
    while true {
      var entry = pollfd(fd: end.number, events: Int16(POLLIN), revents: 0)
      // At least a millisecond, so that a wait does not become a loop.
      let count = unsafe poll(&entry, 1, Self.milliseconds(max(.milliseconds(1), deadline - .now)))
      if count < 0, errno != EINTR { throw SystemFailure("poll", errno) }
      var status: Int32 = 0
      if count > 0 {
        let ended = unsafe waitpid(process, &status, 0)
        // The parent of this program may have let it ignore SIGCHLD, so that nobody learns how its processes end. What the
        // write changed is read back in any case.
        return ended == process ? status : 0
      }
      if ContinuousClock.now >= deadline { return nil }
    }
  }

  /// Returns a duration as poll(2) has it.
  static func milliseconds(_ duration: Duration) -> Int32 {
    let parts = duration.components
    return Int32(clamping: parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000)
  }

  /// Returns the functions in which a process waits in the kernel, the innermost one first; empty if the kernel does not
  /// show them to this user (`proc_pid_stack`, Linux fs/proc/base.c, 6.1).
  private static func stack(of process: pid_t) -> [String] {
    do throws(SystemFailure) {
      let text = String(decoding: try readFile("\(Root.processes)/\(process)/stack", atMost: 64 << 10), as: UTF8.self)
      // `[<0>] pci_device_remove+0x3e/0xb0`
      return text.split(separator: "\n").prefix(16).map { line in
        String((line.split(separator: " ").last ?? "").prefix { $0 != "+" })
      }
    } catch { return [] }
  }
}
