package import Ports

/// The requests that a host's ports accept. Each is a place where a fault can happen.
package enum PortRequest: String, Sendable, CaseIterable {
  // The store.
  case connect, read, list, begin, write, makeDirectory, remove, commit, wait
  // The hypervisor.
  case domains, hostFacts, probe, companions, reservedMemory, assign, deassign, ports, frames, map, unmap, interrupt
  // sysfs and the kernel log.
  case hasPCIBack, pciback, facts, grants, serial, neighbours, reset, permissive, object, listen, exports
  case permissiveList, virtualFunctions, permissiveForAll
  case binding, driverLoaded, override, unbindDriver, bindDriver, offer, slots, removeSlot, loadModule
  // libxl's userdata.
  case lock, saved, save, waiter
  // Berth's own files.
  case records, ownRecord, record, openIntent, intents, closeIntent, discardIntent
  case preparations, preparation, holdPreparation, writePreparation, removePreparation
  // The device model.
  case conversation, devices, addDevice, removeDevice
}

/// A fault of one request.
package enum Fault: Sendable, CustomStringConvertible {
  /// The request has no effect, and this error is the answer.
  case fails(HostError)
  /// The request has its effect, and this error is the answer.
  case failsDone(HostError)
  /// The request gets no answer in time, and this error is the result. It has its effect after the run has ended.
  case isDoneLate(HostError)
  /// From here on every request of this port fails with this error.
  case outage(HostError)
  /// The request is acknowledged, but has no effect.
  case isLost
  /// A commit meets a conflict, once.
  case conflicts
  /// No answer comes before the caller's deadline.
  case stalls
  /// The user asks the program to stop.
  case stops

  package var description: String {
    switch self {
    case .fails(let error): "fails: \(error.word)"
    case .failsDone(let error): "is done and fails: \(error.word)"
    case .isDoneLate(let error): "is done after the run, and fails: \(error.word)"
    case .outage(let error): "fails from here on: \(error.word)"
    case .isLost: "is acknowledged and not done"
    case .conflicts: "meets a conflict"
    case .stalls: "stalls"
    case .stops: "is stopped"
    }
  }

  /// Whether the answer is a success although the request had no effect.
  package var isSilent: Bool { if case .isLost = self { true } else { false } }
}

extension HostError {
  /// The port and its code.
  fileprivate var word: String {
    switch self {
    case .store(let error): "store \(error.code)"
    case .hypervisor(let error): "Xen \(error.code)"
    case .tree(let error): "sysfs \(error.code)"
    case .userdata(let error): "userdata \(error.code)"
    case .record(let error): "record \(error.code)"
    case .deviceModel(let error): "QEMU \(error.code)"
    }
  }
}
