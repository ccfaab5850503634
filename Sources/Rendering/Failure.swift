package import Core

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

  /// `berth: error: …`, and the hint on a second line.
  package func text(_ style: TextStyle) -> String {
    var text = style.paint("berth: error:", .refused) + " " + style.printable(message) + "\n"
    if let hint { text += "  " + style.printable(hint) + "\n" }
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

  private var noDaemon: String {
    sandbox.map { "is the sandbox running? `berth sandbox start --sandbox \($0) SCENARIO.yaml` starts it" }
      ?? "is this dom0 of a Xen host, and is xenstored running (`systemctl status xenstored`)? "
      + "To try Berth without Xen: `berth sandbox start --sandbox DIR SCENARIO.yaml`"
  }

  private var noRights: String {
    userID == 0
      ? "running as root, and refused all the same: is this dom0, and not confined by a container?"
      : sandbox == nil
        ? "running as uid \(userID); Berth needs root: run it with sudo"
        : "running as uid \(userID): the sandbox belongs to whoever started it"
  }

  /// The status and the words for a port's failure.
  package func failure(for error: HostError) -> Failure {
    switch error {
    case .store(let error): failure(for: error)
    case .hypervisor(let error): failure(for: error)
    case .tree(let error): failure(for: error)
    case .userdata(let error): failure(for: error)
    case .record(let error): failure(for: error)
    case .deviceModel(let error): failure(for: error)
    }
  }

  private func failure(for error: StoreError) -> Failure {
    let place = error.path.map { " \($0)" } ?? ""
    switch error.code {
    case .unreachable:
      return Failure(.unreachable, "cannot reach xenstored" + at(error.path) + cause(error.errno), hint: noDaemon)
    case .notPermitted:
      return Failure(.notPermitted, "not permitted by xenstored: \(error.operation)\(place)", hint: noRights)
    case .conflict:
      return Failure(
        .lockBusy, "other programs kept changing xenstore\(place) under every attempt",
        hint: "nothing was left half done; run again")
    case .refused:
      return Failure(.failed, "xenstored refused: \(error.operation)\(place)" + cause(error.errno))
    case .lost:
      return Failure(
        .unknown, "the connection to xenstored broke during \(error.operation)\(place)" + cause(error.errno),
        hint: "run `berth status`, then apply again: it takes up what was left")
    case .other: return Failure(.failed, "xenstore: \(error.operation)\(place) failed" + cause(error.errno))
    }
  }

  private func at(_ path: String?) -> String { path.map { " at \($0)" } ?? "" }

  private func failure(for error: HypervisorError) -> Failure {
    switch error.code {
    case .unreachable:
      return Failure(
        .unreachable,
        sandbox == nil
          ? "cannot reach the Xen hypervisor: \(error.operation)" + cause(error.errno)
          : "cannot reach the sandbox's hypervisor: \(error.operation)" + cause(error.errno),
        hint: noDaemon)
    case .notPermitted:
      return Failure(
        .notPermitted, "not permitted by the hypervisor: \(error.operation)" + cause(error.errno), hint: noRights)
    case .noIOMMU:
      return Failure(
        .hostNotPrepared, "the host uses no IOMMU, so Xen assigns no devices (\(error.operation))",
        hint: Obstacle.hostWithoutIOMMU.remedy)
    case .busy: return Failure(.failed, "the hypervisor says a guest has the device (\(error.operation))")
    case .notOwner:
      return Failure(.failed, "the hypervisor says the domain does not have the device (\(error.operation))")
    case .noDomain: return Failure(.failed, "the domain went away (\(error.operation))", hint: "run again")
    case .invalid, .other:
      return Failure(.failed, "the hypervisor refused \(error.operation)" + cause(error.errno))
    }
  }

  private func failure(for error: DeviceModelError) -> Failure {
    let what = "the device model: \(error.operation): \(error.text)"
    switch error.code {
    case .unreachable: return Failure(.failed, what + cause(error.errno), hint: "is the guest's QEMU running?")
    case .busy:
      let holder = error.holder.map { ", held by \($0)" } ?? ""
      return Failure(.lockBusy, what + holder, hint: "run again when the other toolstack is done")
    case .notPermitted: return Failure(.notPermitted, what, hint: noRights)
    case .timedOut, .lost: return Failure(.unknown, what, hint: "run again: the next apply takes up what was left")
    case .malformed, .refused, .duplicate, .unknownDevice: return Failure(.failed, what)
    }
  }

  private func failure(for error: DeviceTreeError) -> Failure {
    switch error.code {
    case .missing:
      return Failure(
        .hostNotPrepared, "\(error.operation): there is no \(error.path)",
        hint: "is the pciback driver loaded? `modprobe xen-pciback`")
    case .notPermitted:
      return Failure(.notPermitted, "\(error.operation): not permitted: \(error.path)", hint: noRights)
    case .malformed:
      return Failure(.failed, "\(error.operation): \(error.path) holds what the kernel never writes there")
    case .other: return Failure(.failed, "\(error.operation): \(error.path)" + cause(error.errno))
    }
  }

  private func failure(for error: UserdataError) -> Failure {
    switch error.code {
    case .busy:
      return Failure(
        .lockBusy,
        "libxl's lock is busy: \(error.path)" + (error.holder.map { ", held by \($0)" } ?? ", its holder is not known"),
        hint: "wait for that program to end, or give more time with --lock-timeout")
    case .notPermitted:
      return Failure(.notPermitted, "\(error.operation): not permitted: \(error.path)", hint: noRights)
    case .missing: return Failure(.failed, "\(error.operation): there is no \(error.path)")
    case .empty:
      return Failure(
        .failed, "\(error.operation): \(error.path) is empty, and libxl refuses an empty one",
        hint: DriftName.corruptSavedConfiguration.remedy)
    case .other: return Failure(.failed, "\(error.operation): \(error.path)" + cause(error.errno))
    }
  }

  private func failure(for error: RecordError) -> Failure {
    switch error.code {
    case .notPermitted:
      return Failure(.notPermitted, "\(error.operation): not permitted: \(error.path)", hint: noRights)
    case .damaged:
      return Failure(
        .failed, "\(error.operation): \(error.path) is not what Berth writes",
        hint:
          "look at the file; once it is moved away, its domain's devices count as foreign until they are adopted again")
    case .other: return Failure(.failed, "\(error.operation): \(error.path)" + cause(error.errno))
    }
  }
}
