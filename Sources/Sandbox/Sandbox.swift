/// What can go wrong with a sandbox.
package struct SandboxError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// A program the sandbox runs is not on this machine.
    case notInstalled
    /// The directory holds something that is not a sandbox.
    case inUse
    case alreadyRunning
    case notRunning
    /// A socket's path would not fit in the kernel's 108 bytes.
    case pathTooLong
    /// The scenario's text; the message holds every finding.
    case invalidScenario
    /// A request names what is not there.
    case notFound
    case timedOut
    /// A system call; the message names it.
    case system
    /// xenstored or the simulator ended; the message holds what it said.
    case ended
  }
  package let code: Code
  /// For people: what, where, and the next step.
  package let message: String
  package let errno: Int32

  package init(_ code: Code, _ message: String, errno: Int32 = 0) {
    self.code = code
    self.message = message
    self.errno = errno
  }

  package var description: String { message }
}
