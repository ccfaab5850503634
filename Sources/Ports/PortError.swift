package import Model

/// The kinds of failures of one port. Callers decide by the code, and the compiler knows every code.
package protocol PortCode: Hashable, Sendable, Codable, RawRepresentable<String> {
  /// Returns the code for the error number of a request to this port. A number without its own code gets the general
  /// code.
  init(errno: Int32)
}

/// A failure of one port: what was tried, its object, and the system's answer.
package struct PortError<Code: PortCode>: Error, Hashable, Sendable, Codable {
  package let code: Code
  /// What was tried: `read`, `commit`, a C function's name, a QEMU command.
  package let operation: String
  /// The object of the attempt: a node, a file, a socket. The hypervisor's calls have none.
  package let place: String?
  /// Linux's error number, see `ErrorNumber`; 0 if there was none.
  package let errno: Int32
  /// The holder of the lock that was busy, if `/proc/locks` reports it.
  package let holder: LockHolder?
  /// Further words: QEMU's own text, or what is wrong with a file's content.
  package let detail: String?

  package init(
    _ code: Code, operation: String, place: String? = nil, errno: Int32 = 0, holder: LockHolder? = nil,
    detail: String? = nil
  ) {
    self.code = code
    self.operation = operation
    self.place = place
    self.errno = errno
    self.holder = holder
    self.detail = detail
  }

  /// Returns the failure of a system call or a request. The code is the one its number has at this port.
  package init(errno: Int32, operation: String, place: String? = nil) {
    self.init(Code(errno: errno), operation: operation, place: place, errno: errno)
  }
}

/// A failure of xenstored or of the connection to it.
package typealias StoreError = PortError<StoreCode>
/// A failure reported by the hypervisor or by its interface.
package typealias HypervisorError = PortError<HypervisorCode>
/// A failure of sysfs.
package typealias DeviceTreeError = PortError<DeviceTreeCode>
/// A failure of libxl's userdata files.
package typealias UserdataError = PortError<UserdataCode>
/// A failure of Berth's own files.
package typealias RecordError = PortError<RecordCode>
/// A failure of a device model, or of the attempt to reach it.
package typealias DeviceModelError = PortError<DeviceModelCode>

/// A failure of any port. Every port throws it.
package enum HostError: Error, Hashable, Sendable {
  case store(StoreError)
  case hypervisor(HypervisorError)
  case tree(DeviceTreeError)
  case userdata(UserdataError)
  case record(RecordError)
  case deviceModel(DeviceModelError)

  /// Whether xenstored, the hypervisor or dom0's kernel gave no answer: not in time, or the connection ended before the
  /// answer. Each may have done what was asked, or may still do it.
  package var isWithoutAnswer: Bool {
    storeCode == .timedOut || storeCode == .lost || hypervisorCode == .timedOut || treeCode == .timedOut
  }

  /// The store's code; nil for a failure of another port.
  package var storeCode: StoreCode? { if case .store(let error) = self { error.code } else { nil } }
  /// The hypervisor's code; nil for a failure of another port.
  package var hypervisorCode: HypervisorCode? { if case .hypervisor(let error) = self { error.code } else { nil } }
  /// The code of sysfs; nil for a failure of another port.
  package var treeCode: DeviceTreeCode? { if case .tree(let error) = self { error.code } else { nil } }
  /// The code of libxl's userdata; nil for a failure of another port.
  package var userdataCode: UserdataCode? { if case .userdata(let error) = self { error.code } else { nil } }
  /// The device model's code; nil for a failure of another port.
  package var deviceModelCode: DeviceModelCode? { if case .deviceModel(let error) = self { error.code } else { nil } }
}

extension HostError: Codable {
  private enum Key: String, CodingKey { case store, hypervisor, tree, userdata, record, deviceModel }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    guard values.allKeys.count == 1, let port = values.allKeys.first else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "not a failure of one port"))
    }
    switch port {
    case .store: self = .store(try values.decode(StoreError.self, forKey: port))
    case .hypervisor: self = .hypervisor(try values.decode(HypervisorError.self, forKey: port))
    case .tree: self = .tree(try values.decode(DeviceTreeError.self, forKey: port))
    case .userdata: self = .userdata(try values.decode(UserdataError.self, forKey: port))
    case .record: self = .record(try values.decode(RecordError.self, forKey: port))
    case .deviceModel: self = .deviceModel(try values.decode(DeviceModelError.self, forKey: port))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    switch self {
    case .store(let error): try values.encode(error, forKey: .store)
    case .hypervisor(let error): try values.encode(error, forKey: .hypervisor)
    case .tree(let error): try values.encode(error, forKey: .tree)
    case .userdata(let error): try values.encode(error, forKey: .userdata)
    case .record(let error): try values.encode(error, forKey: .record)
    case .deviceModel(let error): try values.encode(error, forKey: .deviceModel)
    }
  }
}
