import Model
package import Planning
package import Ports

/// The words for the failures of ports. Every command takes them from here.
extension HostPlace {
  /// Returns the status and the words for a port's failure.
  package func failure(for error: HostError) -> Failure {
    if let shortage = shortage(error) { return shortage }
    return switch error {
    case .store(let error): failure(for: error)
    case .hypervisor(let error): failure(for: error)
    case .tree(let error): failure(for: error)
    case .userdata(let error): failure(for: error)
    case .record(let error): failure(for: error)
    case .deviceModel(let error): failure(for: error)
    }
  }

  /// Returns the text of an outcome's detail. A failure in it has the same words as in `failure(for:)`.
  package func text(of detail: OutcomeDetail) -> String {
    detail.parts.map { part in
      switch part {
      case .text(let text): text
      case .failure(let error): failure(for: error).message
      }
    }.joined()
  }

  private func failure(for error: StoreError) -> Failure {
    switch error.code {
    case .unreachable:
      let place = error.place.map { " at \($0)" } ?? ""
      return Failure(.unreachable, "cannot reach xenstored" + place + cause(error.errno), hint: noDaemon)
    case .notPermitted:
      return Failure(
        .notPermitted, "not permitted by xenstored: \(error.attempt)" + cause(error.errno), hint: noRights)
    case .conflict:
      let place = error.place.map { " \($0)" } ?? ""
      return Failure(
        .lockBusy, "other programs kept changing xenstore\(place) under every attempt",
        hint: "nothing is half done; run again")
    case .refused:
      return Failure(.failed, "xenstored refused: \(error.attempt)" + cause(error.errno))
    case .lost:
      return Failure(
        .unreachable, "the connection to xenstored broke during \(error.attempt)" + cause(error.errno),
        hint: "nothing was changed; run again when xenstored answers")
    case .timedOut:
      return Failure(
        .unreachable,
        "xenstored does not answer: \(error.attempt)" + (error.detail.map { "; it is \($0)" } ?? ""),
        hint: (error.detail == nil
          ? "see whether the process is stopped or waits for its disk" : "look at that process")
          + "; if it is only slow, wait longer with --store-timeout")
    case .other: return Failure(.failed, "xenstore: \(error.attempt) failed" + cause(error.errno))
    }
  }

  private func failure(for error: HypervisorError) -> Failure {
    switch error.code {
    case .unreachable:
      let hypervisor = sandbox == nil ? "the Xen hypervisor" : "the sandbox's hypervisor"
      return Failure(
        .unreachable, "cannot reach \(hypervisor): \(error.operation)" + cause(error.errno), hint: noDaemon)
    case .notPermitted:
      return Failure(
        .notPermitted, "not permitted by the hypervisor: \(error.operation)" + cause(error.errno), hint: noRights)
    case .otherRelease:
      return Failure(
        .unreachable,
        "the hypervisor refuses this berth: \(error.detail ?? "they are of two releases")" + cause(error.errno),
        hint: "install or build berth for the Xen that runs, or boot the Xen that belongs to the installed tools")
    case .noIOMMU:
      return Failure(
        .hostNotPrepared,
        "Xen assigns no devices here: the host uses no IOMMU, or the domain was created without passthrough "
          + "(\(error.operation))",
        hint: "`berth doctor` says whether the host has an IOMMU")
    case .busy: return Failure(.failed, "the hypervisor says a guest has the device (\(error.operation))")
    case .notOwner:
      return Failure(.failed, "the hypervisor says the domain does not have the device (\(error.operation))")
    case .noDomain: return Failure(.failed, "the domain is gone (\(error.operation))", hint: "run again")
    case .unproven:
      return Failure(
        .failed, "the hypervisor confirmed the assignment, but the device is still free (\(error.operation))",
        hint: "run again; if the device stays free, look at `xl dmesg`")
    case .timedOut:
      return Failure(
        .unreachable, "the hypervisor does not answer: \(error.operation)",
        hint: "if the hypervisor is only slow, wait longer with --store-timeout")
    case .invalid, .other:
      return Failure(.failed, "the hypervisor refused \(error.operation)" + cause(error.errno))
    }
  }

  private func failure(for error: DeviceModelError) -> Failure {
    let what = "the device model: \(error.subject)"
    switch error.code {
    case .unreachable: return Failure(.failed, what + cause(error.errno), hint: "is the guest's QEMU running?")
    case .busy:
      let holder = error.holder.map { ", held by \($0)" } ?? ""
      return Failure(
        .lockBusy, what + holder, hint: strangerHint(error) ?? "run again when the other toolstack is done")
    case .notPermitted: return Failure(.notPermitted, what + cause(error.errno), hint: noRights)
    case .timedOut, .lost: return Failure(.unknown, what, hint: "run again: the next apply continues from here")
    case .malformed, .refused, .duplicate, .unknownDevice: return Failure(.failed, what)
    }
  }

  private func failure(for error: DeviceTreeError) -> Failure {
    switch error.code {
    case .missing:
      return Failure(
        .hostNotPrepared, "\(error.operation): there is no \(error.file)",
        hint: "is the pciback driver loaded? `modprobe xen-pciback`")
    case .notPermitted: return notPermitted(error)
    case .malformed:
      return Failure(.failed, "\(error.operation): \(error.file) holds text that the kernel does not write there")
    case .timedOut:
      return Failure(
        .unknown,
        "\(error.operation): the kernel does not answer at \(error.file): a driver may hang with the device's lock",
        hint: "look at the kernel's log: `dmesg`; only a reboot ends a driver that hangs")
    case .other: return Failure(.failed, error.subject + cause(error.errno))
    }
  }

  private func failure(for error: UserdataError) -> Failure {
    switch error.code {
    case .busy:
      return Failure(
        .lockBusy,
        "libxl's lock is busy: \(error.file)" + (error.holder.map { ", held by \($0)" } ?? ", its holder is not known"),
        hint: strangerHint(error) ?? "wait for that program to end, or wait longer with --lock-timeout")
    case .notPermitted: return notPermitted(error)
    case .missing: return Failure(.failed, "\(error.operation): there is no \(error.file)")
    case .empty:
      return Failure(
        .failed, "\(error.operation): \(error.file) is empty, and libxl refuses an empty one",
        hint: DriftName.corruptSavedConfiguration.explanation.remedy?.text())
    case .malformed:
      return Failure(
        .failed, "\(error.operation): \(error.file) \(error.detail ?? "cannot be changed by Berth")",
        hint: DriftName.corruptSavedConfiguration.explanation.remedy?.text())
    case .unproven: return unproven(error)
    case .other: return fileSystemFailure(error) ?? Failure(.failed, error.subject + cause(error.errno))
    }
  }

  private func failure(for error: RecordError) -> Failure {
    switch error.code {
    case .notPermitted: return notPermitted(error)
    case .damaged:
      return Failure(
        .failed, "\(error.operation): \(error.file) \(error.detail ?? "was not written by Berth, or is damaged")",
        hint: damageHint(error))
    case .busy:
      return Failure(
        .lockBusy,
        "the lock of Berth's record is busy: \(error.file)"
          + (error.holder.map { ", held by \($0)" } ?? ", its holder is not known"),
        hint: strangerHint(error) ?? "run again, or wait longer with --lock-timeout")
    case .unproven: return unproven(error)
    case .other: return fileSystemFailure(error) ?? Failure(.failed, error.subject + cause(error.errno))
    }
  }

  /// Returns what to do about a damaged file: a record, an intent or a lock, as its folder tells.
  private func damageHint(_ error: RecordError) -> String {
    let folder = error.file.split(separator: "/").dropLast().last
    let kind: DamagedFile.Kind = folder == "intents" ? .intent : folder == "locks" ? .runLock : .record
    return DamagedFile(kind, .nothing, error).remedy
  }

  /// Returns what to do about a lock that a process of a user holds who runs no toolstack; nil for other holders.
  private func strangerHint<Code>(_ error: PortError<Code>) -> String? {
    guard let holder = error.holder, let stranger = holder.stranger else { return nil }
    let folder = error.place.flatMap { place in place.lastIndex(of: "/").map { String(place[..<$0]) } } ?? "the folder"
    return "no toolstack runs as user \(stranger): end process \(holder.process), or remove the user's right to read "
      + folder
  }

  private func unproven<Code>(_ error: PortError<Code>) -> Failure {
    Failure(
      .failed, "\(error.operation): \(error.file) was written, but does not hold what was written",
      hint: "look at the file system's state with `dmesg`, and run again")
  }

  private func notPermitted<Code>(_ error: PortError<Code>) -> Failure {
    fileSystemFailure(error)
      ?? Failure(
        .notPermitted, "\(error.operation): not permitted: \(error.file)" + cause(error.errno), hint: noRights)
  }
}

/// What this machine is short of.
extension HostPlace {
  /// Returns what to say if the process or the machine has no more of something; nil for every other cause.
  private func shortage(_ error: HostError) -> Failure? {
    switch error {
    case .store(let error): shortage(error)
    // Xen's own memory is another matter.
    case .hypervisor(let error): error.errno == ErrorNumber.noMemory.rawValue ? nil : shortage(error)
    case .tree(let error): shortage(error)
    case .userdata(let error): shortage(error)
    case .record(let error): shortage(error)
    case .deviceModel(let error): shortage(error)
    }
  }

  private func shortage<Code>(_ error: PortError<Code>) -> Failure? {
    let hint: String
    switch ErrorNumber(rawValue: error.errno) {
    case .tooManyFiles: hint = "raise the limit of open files of this process (`ulimit -n`), then run again"
    case .tableFull: hint = "end programs that keep many files open, or raise fs.file-max, then run again"
    case .noMemory:
      hint = "raise the limit of this process's memory (`ulimit -v`), or end other programs; then run again"
    default: return nil
    }
    return Failure(.failed, error.subject + cause(error.errno), hint: hint)
  }
}

/// What a file system refuses whoever asks.
extension HostPlace {
  /// Returns what to say if a file system is full or read-only; nil for every other cause.
  private func fileSystemFailure<Code>(_ error: PortError<Code>) -> Failure? {
    let file = error.place ?? "its files"
    switch ErrorNumber(rawValue: error.errno) {
    case .fileTooLarge:
      return Failure(
        .failed, error.subject + cause(error.errno),
        hint: "raise the limit of file sizes of this process (`ulimit -f`), then run again")
    case .noSpace, .overQuota:
      return Failure(
        .hostNotPrepared, error.subject + cause(error.errno),
        hint: "make room on the file system of \(file), then run again"
      )
    case .readOnly:
      return Failure(
        .notPermitted, error.subject + cause(error.errno),
        hint: "make the file system of \(file) writable, then run again")
    default: return nil
    }
  }

  /// Returns what a person can do about an outcome's detail that is a file system's failure; nil for other details.
  func nextStep(for detail: OutcomeDetail) -> String? {
    guard detail.parts.count == 1, case .failure(let error)? = detail.parts.first else { return nil }
    return switch error {
    case .userdata(let error): strangerHint(error) ?? fileSystemFailure(error)?.hint
    case .record(let error):
      error.code == .damaged ? damageHint(error) : strangerHint(error) ?? fileSystemFailure(error)?.hint
    case .deviceModel(let error): strangerHint(error)
    case .store, .hypervisor, .tree: nil
    }
  }

  /// Returns the exit status of an apply: 75, 77 or 78 in place of 1, if nothing but such a cause ended the work.
  package func exitStatus(of outcome: ApplyOutcome, _ status: ExitStatus) -> ExitStatus {
    guard status == .failed else { return status }
    let details = outcome.domains.compactMap(\.failure) + outcome.hostFailures
    let isStepFailed = outcome.domains.contains { $0.failure == nil && $0.steps.contains { $0.result == .failed } }
    let statuses = Set(
      details.map { detail -> ExitStatus in
        // Words such as "records:" may stand before the failure.
        guard [.failed, .recordsFailed].contains(detail.sentence), case .failure(let error)? = detail.parts.last else {
          return .failed
        }
        return failure(for: error).status
      })
    guard statuses.count == 1, let only = statuses.first, !isStepFailed else { return status }
    return [.notPermitted, .hostNotPrepared, .lockBusy].contains(only) ? only : status
  }
}

extension PortError {
  /// `read /libxl/pci`.
  fileprivate var attempt: String { place.map { "\(operation) \($0)" } ?? operation }
  /// `write: /var/lib/berth/x`, and the detail if there is one.
  fileprivate var subject: String { [operation, place, detail].compactMap(\.self).joined(separator: ": ") }
  fileprivate var file: String { place ?? "a file" }
}

/// Returns `: ` and the words for an error number, or an empty text for 0.
private func cause(_ number: Int32) -> String { number == 0 ? "" : ": " + ErrorNumber.text(of: number) }
