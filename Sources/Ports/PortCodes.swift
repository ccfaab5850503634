import Model

/// What can go wrong with xenstore.
package enum StoreCode: String, PortCode, CaseIterable {
  /// No daemon answers at the socket.
  case unreachable
  case notPermitted
  /// Other writers came first in every attempt.
  case conflict
  /// The daemon refused the path or the value.
  case refused
  /// The connection broke; whether a commit under way was done is not known.
  case lost
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    // EINVAL is also what libxenstore makes of errors it does not know, such as oxenstored's EQUOTA.
    case .invalid, .tooLong, .noSpace: self = .refused
    case .badDescriptor, .brokenPipe, .connectionReset: self = .lost
    default: self = .other
    }
  }
}

/// What can go wrong with the hypervisor.
package enum HypervisorCode: String, PortCode, CaseIterable {
  /// There is no hypervisor interface here.
  case unreachable
  case notPermitted
  /// EBUSY: a guest owns the device.
  case busy
  /// ENODEV: the device is unknown, or this domain does not own it.
  case notOwner
  /// EOPNOTSUPP: the domain or the host has no IOMMU.
  case noIOMMU
  /// ESRCH: no such domain.
  case noDomain
  /// EINVAL.
  case invalid
  /// Xen acknowledged an assignment, and the device is still free.
  case unproven
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .notAllowed, .accessDenied: self = .notPermitted
    case .busy: self = .busy
    case .noDevice: self = .notOwner
    case .notSupported, .noSystemCall: self = .noIOMMU
    case .noProcess: self = .noDomain
    case .invalid: self = .invalid
    default: self = .other
    }
  }
}

/// What can go wrong with sysfs.
package enum DeviceTreeCode: String, PortCode, CaseIterable {
  case missing, notPermitted
  /// The file holds what the kernel never writes there.
  case malformed
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    case .noEntry, .notDirectory: self = .missing
    case .fileTooLarge: self = .malformed
    default: self = .other
    }
  }
}

/// What can go wrong with libxl's userdata files.
package enum UserdataCode: String, PortCode, CaseIterable {
  /// Someone else held the lock until the deadline.
  case busy
  case notPermitted
  case missing
  /// The file exists and is empty, which libxl refuses.
  case empty
  /// The content of the file cannot be edited; the detail says why.
  case malformed
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    case .noEntry, .notDirectory: self = .missing
    default: self = .other
    }
  }
}

/// What can go wrong with Berth's own files.
package enum RecordCode: String, PortCode, CaseIterable {
  case notPermitted
  /// The file is there and is not what Berth writes.
  case damaged
  case other

  package init(errno: Int32) {
    switch ErrorNumber(rawValue: errno) {
    case .accessDenied, .notAllowed, .readOnly: self = .notPermitted
    default: self = .other
    }
  }
}

/// What can go wrong with a device model.
package enum DeviceModelCode: String, PortCode, CaseIterable {
  /// No socket, or nobody behind it.
  case unreachable
  /// Another toolstack talks to it, or held its lock, until the deadline.
  case busy
  case notPermitted
  /// It was there and did not answer before the deadline.
  case timedOut
  /// It ended the conversation.
  case lost
  /// It said what is not QMP, or more than is allowed.
  case malformed
  /// It refused the command; the detail is its own text.
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
