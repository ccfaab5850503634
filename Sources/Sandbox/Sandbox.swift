package import Model

/// An error of a sandbox.
package struct SandboxError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// A program that the sandbox runs is not on this machine.
    case notInstalled
    /// The directory contains something that is not a sandbox, or other users may enter it.
    case inUse
    /// The directory, or one above it, belongs to another user.
    case notOwned
    case alreadyRunning
    case notRunning
    /// A socket's path would not fit in the kernel's 108 bytes.
    case pathTooLong
    /// The scenario's text is invalid; the message has every finding.
    case invalidScenario
    /// A request names something that does not exist.
    case notFound
    case timedOut
    /// A system call failed; the message names it.
    case system
    /// xenstored or the simulator ended; the message has its last output.
    case ended
  }
  package let code: Code
  /// The message for people: what, where, and the next step.
  package let message: String
  /// Each finding about a scenario, with its lines; empty for other errors.
  package let findings: [TerminalText]
  package let errno: Int32

  package init(_ code: Code, _ message: String, findings: [TerminalText] = [], errno: Int32 = 0) {
    self.code = code
    self.message = message
    self.findings = findings
    self.errno = errno
  }

  package var description: String { message }
}
