package import Ports
import Synchronization

/// Counts the requests of a host's ports, and makes one of them fail.
package final class FaultLine: Sendable {
  // Size 0/6: the requests counted so far, the fault to come, and what it delays.
  private struct State {
    var requests: [PortRequest] = []
    var armed: (index: Int, fault: Fault)?
    var outage: HostError?
    var isStopped = false
    var place: String?
    /// What is done after the run has ended.
    var late: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  package init() {}

  /// Restarts the count. The request with this number, counted from 0, gets the fault.
  package func arm(_ fault: Fault, at index: Int) {
    state.withLock {
      $0 = State()
      $0.armed = (index, fault)
    }
  }

  /// Restarts the count; no request gets a fault. A request that was delayed has its effect now.
  package func disarm() {
    let late = state.withLock { state in
      defer { state = State() }
      return state.late
    }
    late?()
  }

  /// Lets a request have its effect when the line is disarmed.
  func delay(_ request: @escaping @Sendable () -> Void) { state.withLock { $0.late = request } }

  /// The requests since then, in order.
  package var requests: [PortRequest] { state.withLock(\.requests) }

  /// Whether a request was interrupted by the user.
  var isStopped: Bool { state.withLock(\.isStopped) }

  /// The fault that happened and its request, for people; nil if none has happened yet.
  package var place: String? { state.withLock(\.place) }

  /// Returns the ports of `host`, with this line between them and their users.
  package func host(_ host: Host) -> Host {
    var faulty = host
    faulty.stores = FaultyStores(inner: host.stores, line: self)
    faulty.hypervisor = FaultyHypervisor(inner: host.hypervisor, line: self)
    faulty.tree = FaultyTree(inner: host.tree, line: self)
    faulty.drivers = FaultyDrivers(inner: host.drivers, line: self)
    faulty.preparations = FaultyPreparations(inner: host.preparations, line: self)
    faulty.userdata = FaultyUserdata(inner: host.userdata, line: self)
    faulty.deviceModels = FaultyDeviceModels(inner: host.deviceModels, line: self)
    faulty.ownership = FaultyOwnership(inner: host.ownership, line: self)
    faulty.intents = FaultyIntents(inner: host.intents, line: self)
    let isInterrupted = host.isInterrupted
    faulty.isInterrupted = { [self] in isInterrupted() || isStopped }
    return faulty
  }

  /// Counts a request. Returns its fault, or nil.
  func next(_ request: PortRequest, _ subject: @autoclosure () -> String) -> Fault? {
    state.withLock { state in
      let index = state.requests.count
      state.requests.append(request)
      if let outage = state.outage, outage.port == request.port { return .fails(outage) }
      guard let armed = state.armed, armed.index == index else { return nil }
      state.place = "request \(index), \(request.rawValue) \(subject()), \(armed.fault)"
      if case .outage(let error) = armed.fault {
        state.outage = error
        return .fails(error)
      }
      if case .stops = armed.fault { state.isStopped = true }
      return armed.fault
    }
  }

  /// Makes a request. If it is lost, the answer is `lost`.
  func pass<Value>(
    _ request: PortRequest, _ subject: @autoclosure () -> String = "", lost: Value?,
    _ body: () throws(HostError) -> Value
  ) throws(HostError) -> Value {
    switch next(request, subject()) {
    case nil, .conflicts, .outage, .stalls, .stops: return try body()
    case .isLost:
      guard let lost else { return try body() }
      return lost
    case .fails(let error): throw error
    // Only `FaultyHypervisor` can make a request late.
    case .isDoneLate(let error): throw error
    case .failsDone(let error):
      _ = try body()
      throw error
    }
  }
}

extension HostError {
  fileprivate var port: Int {
    switch self {
    case .store: 0
    case .hypervisor: 1
    case .tree: 2
    case .userdata: 3
    case .record: 4
    case .deviceModel: 5
    }
  }
}

extension PortRequest {
  fileprivate var port: Int {
    switch self {
    case .connect, .read, .list, .begin, .write, .makeDirectory, .remove, .commit, .wait: 0
    case .domains, .hostFacts, .probe, .companions, .reservedMemory, .assign, .deassign, .ports, .frames, .map, .unmap,
      .interrupt:
      1
    case .hasPCIBack, .pciback, .facts, .grants, .serial, .neighbours, .reset, .permissive, .object, .listen, .exports,
      .permissiveList, .virtualFunctions, .permissiveForAll, .binding, .driverLoaded, .override,
      .unbindDriver, .bindDriver, .offer, .slots, .removeSlot, .loadModule:
      2
    case .lock, .saved, .save, .waiter: 3
    case .records, .ownRecord, .record, .openIntent, .intents, .closeIntent, .discardIntent, .preparations,
      .preparation, .holdPreparation, .writePreparation, .removePreparation:
      4
    case .conversation, .devices, .addDevice, .removeDevice: 5
    }
  }
}
