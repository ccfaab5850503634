import Model

/// The kinds of failures of xenstore.
package enum StoreCode: String, PortCode, CaseIterable {
  /// No daemon answers at the socket.
  case unreachable
  case notPermitted
  /// Other writers committed first in every attempt.
  case conflict
  /// The daemon refused the path or the value.
  case refused
  /// The connection broke. Whether a commit in progress took effect is unknown.
  case lost
  /// The daemon did not answer before the deadline. It may still do what was asked.
  case timedOut
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    // libxenstore also uses EINVAL for errors unknown to it, such as oxenstored's EQUOTA.
    case .invalid, .tooLong, .noSpace: self = .refused
    case .badDescriptor, .brokenPipe, .connectionReset: self = .lost
    case .timedOut: self = .timedOut
    default: self = .other
    }
  }
}

/// The kinds of failures of the hypervisor.
package enum HypervisorCode: String, PortCode, CaseIterable {
  /// There is no hypervisor interface here.
  case unreachable
  case notPermitted
  /// libxenctrl is of another release than Xen, so Xen refuses its calls.
  case otherRelease
  /// EBUSY: a guest owns the device.
  case busy
  /// ENODEV: the device is unknown, or this domain does not own it.
  case notOwner
  /// EOPNOTSUPP: the domain or the host has no IOMMU.
  case noIOMMU
  /// ESRCH: there is no such domain.
  case noDomain
  /// EINVAL.
  case invalid
  /// Xen acknowledged an assignment, but the device is still free.
  case unproven
  /// The hypervisor's device did not answer before the deadline. Xen may still do what was asked.
  case timedOut
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .notAllowed, .accessDenied: self = .notPermitted
    case .busy: self = .busy
    case .noDevice: self = .notOwner
    case .notSupported, .noSystemCall: self = .noIOMMU
    case .noProcess: self = .noDomain
    case .invalid: self = .invalid
    case .timedOut: self = .timedOut
    default: self = .other
    }
  }
}

/// The kinds of failures of sysfs.
package enum DeviceTreeCode: String, PortCode, CaseIterable {
  case missing, notPermitted
  /// The file's content is not of the kernel's form.
  case malformed
  /// The kernel did not answer before the deadline. It may still do what was asked.
  case timedOut
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    case .noEntry, .notDirectory: self = .missing
    case .fileTooLarge: self = .malformed
    case .timedOut: self = .timedOut
    default: self = .other
    }
  }
}

/// The kinds of failures of libxl's userdata files.
package enum UserdataCode: String, PortCode, CaseIterable {
  /// Another process held the lock until the deadline.
  case busy
  case notPermitted
  case missing
  /// The file exists but is empty, which libxl refuses.
  case empty
  /// The content of the file cannot be edited; the detail says why.
  case malformed
  /// The file does not hold what was written.
  case unproven
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    case .noEntry, .notDirectory: self = .missing
    default: self = .other
    }
  }
}

/// The kinds of failures of Berth's own files.
package enum RecordCode: String, PortCode, CaseIterable {
  case notPermitted
  /// The file exists, but does not have the form that Berth writes, or is none of Berth's; the detail says more.
  case damaged
  /// Another process held the file's lock until the deadline.
  case busy
  /// The file does not hold what was written.
  case unproven
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    default: self = .other
    }
  }
}

/// The kinds of failures of a device model.
package enum DeviceModelCode: String, PortCode, CaseIterable {
  /// There is no socket, or no process serves it.
  case unreachable
  /// Another toolstack talked to the device model, or held its lock, until the deadline.
  case busy
  case notPermitted
  /// The device model did not answer before the deadline.
  case timedOut
  /// The device model ended the conversation.
  case lost
  /// The device model's answer is not QMP, or exceeds a limit.
  case malformed
  /// The device model refused the command; the detail is its own text.
  case refused
  case duplicate
  case unknownDevice

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    default: self = .unreachable
    }
  }
}
