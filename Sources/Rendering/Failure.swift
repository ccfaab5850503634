package import Model
package import Planning

/// Why a command could not do its work: for the caller a status, for people what, where, and the next step.
package struct Failure: Error, Hashable, Sendable {
  package var status: ExitStatus
  package var message: String
  package var hint: String?

  package init(_ status: ExitStatus, _ message: String, hint: String? = nil) {
    self.status = status
    self.message = message
    self.hint = hint
  }

  /// Returns `berth: error: …`, with the hint on a second line.
  package func text(_ style: TextStyle) -> TerminalText {
    var text: TerminalText = "\(style.paint("berth: error:", .refused)) \(style.printable(message))\n"
    if let hint { text += "  \(style.printable(hint))\n" }
    return text
  }
}

/// Where a host was looked for, and as whom.
package struct HostPlace: Sendable {
  /// The sandbox's directory; nil for the machine itself.
  package var sandbox: String?
  package var userID: UInt32

  package init(sandbox: String?, userID: UInt32) {
    self.sandbox = sandbox
    self.userID = userID
  }

  var noDaemon: String {
    sandbox.map { "is the sandbox running? `berth sandbox start --sandbox \($0) SCENARIO.yaml` starts it" }
      ?? "is this dom0 of a Xen host, and is xenstored running (`systemctl status xenstored`)? "
      + "To try Berth without Xen: `berth sandbox start --sandbox DIR SCENARIO.yaml`"
  }

  var noRights: String {
    userID == 0
      ? "running as root, and refused all the same: is this dom0, and not confined by a container?"
      : sandbox == nil
        ? "running as uid \(userID); Berth needs root: run it with sudo"
        : "running as uid \(userID): the sandbox belongs to whoever started it"
  }
}
