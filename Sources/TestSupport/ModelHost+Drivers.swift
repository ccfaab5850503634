package import Model
import Ports
import Synchronization
import XenProtocol

/// How the model host's drivers behave, and what Berth recorded of its devices.
struct ModelDriverState {
  /// The texts of `driver_override`.
  var overrides: [PCIAddress: String] = [:]
  /// The drivers that devices have beside pciback; `e1000e` if none is named.
  var natives: [PCIAddress: String] = [:]
  /// What pciback claims whenever it is offered it, beside the devices that it has.
  var slots: Set<PCIAddress> = []
  /// The devices behind a bridge that pciback claims.
  var behindClaimedBridge: Set<PCIAddress> = []
  var quarantined: Set<PCIAddress> = []
  /// The drivers that neither release nor take these devices.
  var refusals: [String: Set<PCIAddress>] = [:]
  /// The drivers that never answer.
  var silent: Set<String> = []
  /// The devices whose overrides the kernel neither shows nor changes: a driver hangs with the device's lock.
  var locked: Set<PCIAddress> = []
  /// The drivers whose modules are not loaded.
  var unloaded: Set<String> = []
  var children: [PCIAddress: [FunctionName]] = [:]
  var interfaces: [PCIAddress: [NetworkInterface]] = [:]
  var usage = HostUsage()
  /// The disks that somebody has opened exclusively.
  var heldDisks: Set<String> = []
  var records: [PCIAddress: PreparationRecord] = [:]
  /// The devices whose records a run holds.
  var held: Set<PCIAddress> = []
}

struct ModelDrivers: DriverPort {
  let model: ModelHost

  func binding(of device: PCIAddress) -> DriverBinding? {
    model.store.turns?.turn(.file)
    return model.state.withLock { state in
      guard state.present.contains(device) else { return nil }
      let driver = Self.driver(of: device, in: state)
      var binding = DriverBinding(
        driver: driver, module: driver.map { "\($0)-module" }, driverOverride: state.drivers.overrides[device])
      if state.drivers.locked.contains(device) { (binding.driverOverride, binding.isOverrideUnknown) = (nil, true) }
      return binding
    }
  }

  func isLoaded(_ driver: String) -> Bool { model.state.withLock { !$0.drivers.unloaded.contains(driver) } }

  func setOverride(of device: PCIAddress, to driver: String?) throws(HostError) {
    try step("writes \(driver ?? "no driver") as override of \(device)", "override", device)
    if model.state.withLock({ $0.drivers.locked.contains(device) }) {
      throw .tree(DeviceTreeError(.timedOut, operation: "write", place: "\(device)/driver_override"))
    }
    model.state.withLock { $0.drivers.overrides[device] = driver }
  }

  func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try step("unbinds \(device) from \(driver)", "unbind", device)
    return model.state.withLock { state in
      if state.drivers.silent.contains(driver) { return .silent(process: 4321, stack: ["pci_device_remove"]) }
      guard Self.driver(of: device, in: state) == driver else { return .answered(errno: ErrorNumber.noDevice.rawValue) }
      if state.drivers.refusals[driver]?.contains(device) == true { return .answered(errno: nil) }
      // pciback releases the device even if a guest uses it (`pcistub_remove`).
      state.pciback.remove(device)
      state.permissive.remove(device)
      for domain in Array(state.exports.keys) { state.exports[domain]?[device] = nil }
      state.driverless.insert(device)
      return .answered(errno: nil)
    }
  }

  func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try step("binds \(device) to \(driver)", "bind", device)
    return model.state.withLock { state in
      if state.drivers.silent.contains(driver) { return .silent(process: 4321, stack: []) }
      let override = state.drivers.overrides[device]
      let isWanted =
        override == driver
        || override == nil && (driver != DriverBinding.pciback || state.drivers.slots.contains(device))
      guard state.driverless.contains(device), isWanted, !state.drivers.unloaded.contains(driver),
        state.drivers.refusals[driver]?.contains(device) != true
      else { return .answered(errno: ErrorNumber.noDevice.rawValue) }
      state.driverless.remove(device)
      if driver == DriverBinding.pciback {
        state.pciback.insert(device)
        state.drivers.slots.insert(device)
      } else {
        state.drivers.natives[device] = driver
      }
      return .answered(errno: nil)
    }
  }

  func offer(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> DriverAnswer {
    try step("offers \(device)", "offer", device)
    return model.state.withLock { state in
      if state.driverless.contains(device), state.drivers.overrides[device] == nil {
        state.driverless.remove(device)
        if state.drivers.slots.contains(device) || state.drivers.behindClaimedBridge.contains(device) {
          state.pciback.insert(device)
        } else {
          state.drivers.natives[device] = "e1000e"
        }
      }
      return .answered(errno: nil)
    }
  }

  func slots() -> Set<PCIAddress> { model.state.withLock { $0.drivers.slots } }

  func removeSlot(_ device: PCIAddress) throws(HostError) {
    try step("removes the slot \(device)", "remove_slot", device)
    model.state.withLock { _ = $0.drivers.slots.remove(device) }
  }

  func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    if model.takeStep() { throw .tree(DeviceTreeError(.other, operation: "load", place: name)) }
    let driver = name == "xen-pciback" ? DriverBinding.pciback : String(name.dropLast(7))
    guard name == "xen-pciback" || name.hasSuffix("-module") else {
      throw .tree(DeviceTreeError(.other, operation: "load", place: name, detail: "Module \(name) not found."))
    }
    model.state.withLock { _ = $0.drivers.unloaded.remove(driver) }
  }

  func listen(about device: PCIAddress) -> (any DeviceLog)? { ModelDeviceLog(device: device) }

  /// Returns the driver that has a device; nil if none does.
  static func driver(of device: PCIAddress, in state: ModelHost.State) -> String? {
    if state.pciback.contains(device) { return DriverBinding.pciback }
    return state.driverless.contains(device) ? nil : state.drivers.natives[device] ?? "e1000e"
  }

  private func step(_ note: String, _ operation: String, _ device: PCIAddress) throws(HostError) {
    model.store.turns?.turn(.file)
    model.store.turns?.note(note)
    if model.takeStep() { throw .tree(DeviceTreeError(.other, operation: operation, place: "\(device)")) }
  }

  private struct ModelDeviceLog: DeviceLog {
    let device: PCIAddress
    func lines() -> [String] { ["e1000e \(device): the model's kernel says so"] }
  }
}

struct ModelPreparations: PreparationPort {
  let model: ModelHost

  func readPreparations() -> OwnFiles<PreparationRecord> {
    model.store.turns?.turn(.record)
    let damaged = model.state.withLock { $0.damaged.filter { $0.kind == .preparation } }
    return OwnFiles(
      model.state.withLock { $0.drivers.records.values.sorted { $0.device < $1.device } }
        .filter { record in !damaged.contains { $0.concern == .device(record.device) } }, damaged: damaged)
  }

  func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord? {
    model.store.turns?.turn(.record)
    model.store.turns?.note("reads the record of \(device)")
    if let damage = model.state.withLock({ $0.damaged.first { $0.concern == .device(device) } }) {
      throw .record(damage.error)
    }
    return model.state.withLock { $0.drivers.records[device] }
  }

  func hold(
    _ device: PCIAddress, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> any HeldPreparation {
    let isTaken = model.state.withLock { !$0.drivers.held.insert(device).inserted }
    if isTaken { throw .record(RecordError(.busy, operation: "lock", place: "\(device).lock")) }
    return Held(model: model, device: device)
  }

  private final class Held: HeldPreparation {
    let model: ModelHost
    let device: PCIAddress
    init(model: ModelHost, device: PCIAddress) { (self.model, self.device) = (model, device) }

    func read() throws(HostError) -> PreparationRecord? {
      try ModelPreparations(model: model).preparation(of: device)
    }
    func write(_ record: PreparationRecord) throws(HostError) {
      model.store.turns?.turn(.record)
      model.store.turns?.note("records \(device) as \(record.phase)")
      if model.takeStep() { throw .record(RecordError(.other, operation: "write", place: "device")) }
      model.state.withLock { $0.drivers.records[device] = record }
    }
    func remove() throws(HostError) {
      model.store.turns?.turn(.record)
      model.store.turns?.note("removes the record of \(device)")
      if model.takeStep() { throw .record(RecordError(.other, operation: "remove", place: "device")) }
      model.state.withLock { $0.drivers.records[device] = nil }
    }
    func release() { model.state.withLock { _ = $0.drivers.held.remove(device) } }
  }
}

extension ModelHost {
  /// The drivers of the host's devices, as tests set them and look at them.
  package var drivers: ModelDriverSettings { ModelDriverSettings(model: self) }
}

/// What tests set on a model host's drivers, and what they look at.
package struct ModelDriverSettings: Sendable {
  let model: ModelHost

  /// Adds a device that a driver of dom0 has.
  package func addHostDevice(
    _ address: PCIAddress, driver: String = "e1000e", interfaces: [NetworkInterface] = []
  ) {
    model.addDevice(address)
    giveToHost(address, driver: driver)
    model.state.withLock { $0.drivers.interfaces[address] = interfaces }
  }

  /// Gives a device of pciback to a driver of dom0.
  package func giveToHost(_ device: PCIAddress, driver: String = "e1000e") {
    model.state.withLock { state in
      state.pciback.remove(device)
      state.drivers.slots.remove(device)
      state.drivers.natives[device] = driver
    }
  }

  /// Everything that tells how a device is bound.
  package struct DriverState: Hashable, Sendable {
    package var driver: String?
    package var driverOverride: String?
    package var phase: PreparationRecord.Phase?
    package var hasDriverPath: Bool
    package var hasSlot: Bool
    package var isQuarantined = false

    /// The state of a device at rest: prepared, or as if Berth had never seen it.
    package init(driver: String, isRecorded: Bool, hasDriverPath: Bool, hasSlot: Bool) {
      (self.driver, self.hasDriverPath, self.hasSlot) = (driver, hasDriverPath, hasSlot)
      phase = isRecorded ? .prepared : nil
    }
  }

  /// Returns how a device is bound. A device that a guest has is not in quarantine.
  package func driverState(of device: PCIAddress) -> DriverState {
    let hasPath = model.store[StorePath.driverPath(device).text] != nil
    return model.state.withLock { state in
      var found = DriverState(driver: "", isRecorded: false, hasDriverPath: hasPath, hasSlot: false)
      found.driver = ModelDrivers.driver(of: device, in: state)
      found.driverOverride = state.drivers.overrides[device]
      found.phase = state.drivers.records[device]?.phase
      found.hasSlot = state.drivers.slots.contains(device)
      found.isQuarantined = state.owners[device] == nil && state.drivers.quarantined.contains(device)
      return found
    }
  }

  /// The driver of a device; nil if no driver has it.
  package func driver(of device: PCIAddress) -> String? {
    model.state.withLock { ModelDrivers.driver(of: device, in: $0) }
  }
  package func driverOverride(of device: PCIAddress) -> String? {
    model.state.withLock { $0.drivers.overrides[device] }
  }
  package func setOverride(of device: PCIAddress, to driver: String?) {
    model.state.withLock { $0.drivers.overrides[device] = driver }
  }
  package func isQuarantined(_ device: PCIAddress) -> Bool {
    model.state.withLock { $0.drivers.quarantined.contains(device) }
  }
  /// Gives pciback the bridge above a device.
  package func claimBridge(above device: PCIAddress) {
    model.state.withLock { _ = $0.drivers.behindClaimedBridge.insert(device) }
  }
  package func hasSlot(_ device: PCIAddress) -> Bool { model.state.withLock { $0.drivers.slots.contains(device) } }
  package func preparation(of device: PCIAddress) -> PreparationRecord? {
    model.state.withLock { $0.drivers.records[device] }
  }
  package func setPreparation(_ record: PreparationRecord?, of device: PCIAddress) {
    model.state.withLock { $0.drivers.records[device] = record }
  }
  /// Makes a driver refuse to release or to take a device.
  package func refuse(_ device: PCIAddress, by driver: String) {
    model.state.withLock { _ = $0.drivers.refusals[driver, default: []].insert(device) }
  }
  /// Makes a driver never answer, or answer again.
  package func silence(_ driver: String, _ isSilent: Bool = true) {
    model.state.withLock { state in
      if isSilent { state.drivers.silent.insert(driver) } else { state.drivers.silent.remove(driver) }
    }
  }
  /// Makes the kernel neither show nor change a device's override.
  package func lock(_ device: PCIAddress) { model.state.withLock { _ = $0.drivers.locked.insert(device) } }
  /// Unloads pciback, which has no device then.
  package func removePCIBack() { unload(DriverBinding.pciback) }
  package func unload(_ driver: String) { model.state.withLock { _ = $0.drivers.unloaded.insert(driver) } }
  package func setVirtualFunctions(_ children: [FunctionName], of device: PCIAddress) {
    model.state.withLock { $0.drivers.children[device] = children }
  }
  package func setUsage(_ usage: HostUsage) { model.state.withLock { $0.drivers.usage = usage } }
}
