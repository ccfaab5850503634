package import Model
package import Ports

/// What one look saw of a host: enough for each command that changes nothing, for any manifest.
package struct Snapshot: Hashable, Sendable {
  /// The host's name, by which manifests select their hosts.
  package var hostName: String
  /// When the look began, in seconds since 1970.
  package var takenAt: Int64
  /// The user who looked: what is not permitted depends on that.
  package var userID: UInt32
  /// The folder of the sandbox that was looked at; nil for a machine.
  package var sandbox: String?
  /// Whether names and numbers of people, machines and cards were replaced.
  package var isRedacted = false
  /// The names of devices and of classes, as the host's own list has them.
  package var deviceNames: [DeviceID: String] = [:]
  package var classNames: [String: String] = [:]
  package var answers: Answers

  package init(hostName: String, takenAt: Int64, userID: UInt32, sandbox: String?, answers: Answers) {
    self.hostName = hostName
    self.takenAt = takenAt
    self.userID = userID
    self.sandbox = sandbox
    self.answers = answers
  }

  /// The recorded host. Its ports refuse every change, and every question that was not asked.
  package var host: Host { Host(name: hostName, playing: AnswerBook(answers), over: nil, at: takenAt) }

  /// Returns the name of a class of 24 bits.
  package func name(ofClass code: UInt32) -> String? { classNames[Self.key(ofClass: code)] }

  /// Returns the key of a class in `classNames`: `020000`.
  package static func key(ofClass code: UInt32) -> String { hex(UInt64(code), 6) }

  /// All functions that were seen, with all facts; none if they could not be listed.
  package var functions: [PCIFunction] {
    if case .answer(let functions)? = answers.inventory.functions { functions } else { [] }
  }

  /// What could not be asked at all, and why: Xen, xenstored, the devices.
  package var failures: [HostError] {
    var failures: [HostError] = []
    if case .failure(let error)? = answers.hypervisor.facts { failures.append(error) }
    if case .failure(let error)? = answers.store.connection { failures.append(error) }
    if case .failure(let error)? = answers.inventory.functions { failures.append(error) }
    return failures
  }
}
