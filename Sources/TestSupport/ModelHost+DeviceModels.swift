package import Model
import Ports
import Synchronization
package import XenProtocol

/// QEMU of an HVM guest, as far as the protocol depends on it.
struct ModelDeviceModel: Sendable {
  var devices: [EmulatedDevice] = []
  /// Removals that the guest was asked for and has not answered.
  var pending: Set<DeviceModelName> = []
  /// Whether the guest releases what it is asked for.
  var guestLetsGo = true
  /// The error texts for the next `device_add` commands.
  var refusals: [String] = []
  /// Whether it runs.
  var isRunning = true
  /// The commands that changed something or tried to, in order.
  var commands: [String] = []
}

struct ModelDeviceModels: DeviceModelPort {
  let model: ModelHost

  func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    let isRunning = model.state.withLock { $0.deviceModels[domain.id]?.isRunning == true }
    guard isRunning else {
      throw .deviceModel(DeviceModelError(.unreachable, operation: "connect", place: "qmp-libxl-\(domain.id)"))
    }
    return try body(Conversation(model: model, domain: domain.id))
  }

  private struct Conversation: ~Copyable, DeviceModelConversation {
    let model: ModelHost
    let domain: DomainID
    init(model: ModelHost, domain: DomainID) { (self.model, self.domain) = (model, domain) }

    private borrowing func change<Value>(_ body: (inout ModelDeviceModel) -> Value) -> Value {
      model.state.withLock { body(&$0.deviceModels[domain, default: ModelDeviceModel()]) }
    }

    borrowing func devices() -> [EmulatedDevice] { change(\.devices) }

    borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError) {
      if model.takeStep() { throw .deviceModel(DeviceModelError(.lost, operation: "device_add", detail: "killed")) }
      let name = DeviceModelName(device)
      let failure = change { qemu -> DeviceModelError? in
        qemu.commands.append("add \(name)\(permissive ? " permissive" : "")")
        if !qemu.refusals.isEmpty {
          return DeviceModelError(.refused, operation: "device_add", detail: qemu.refusals.removeFirst())
        }
        if qemu.devices.contains(where: { $0.name == name }) {
          return DeviceModelError(.duplicate, operation: "device_add", detail: "Duplicate device ID '\(name)'")
        }
        let taken = Set(qemu.devices.map(\.slot))
        guard let free = slot ?? (UInt8(4)..<32).first(where: { !taken.contains($0) }), !taken.contains(free) else {
          return DeviceModelError(.refused, operation: "device_add", detail: "PCI: slot not available")
        }
        qemu.devices.append(EmulatedDevice(name: name, slot: free, function: 0))
        return nil
      }
      if let failure { throw .deviceModel(failure) }
    }

    borrowing func remove(_ name: DeviceModelName) throws(HostError) {
      if model.takeStep() { throw .deviceModel(DeviceModelError(.lost, operation: "device_del", detail: "killed")) }
      let isThere = change { qemu in
        qemu.commands.append("remove \(name)")
        guard qemu.devices.contains(where: { $0.name == name }) else { return false }
        if qemu.guestLetsGo { qemu.devices.removeAll { $0.name == name } } else { qemu.pending.insert(name) }
        return true
      }
      if !isThere {
        throw .deviceModel(
          DeviceModelError(.unknownDevice, operation: "device_del", detail: "Device '\(name)' not found"))
      }
    }
  }
}

extension ModelHost {
  /// Adds an HVM guest with QEMU in dom0; it runs unless changed.
  @discardableResult
  package func addHVMDomain(
    _ number: UInt32, _ name: String, uuid: DomainUUID? = nil, _ change: (inout Domain) -> Void = { _ in }
  ) -> DomainKey {
    let key = addDomain(number, name, uuid: uuid) { domain in
      domain.isHardwareVirtualised = true
      change(&domain)
    }
    store[StorePath.toolstack(key.id).child("type").text] = "hvm"
    store[StorePath.toolstack(key.id).child("dm-version").text] = "qemu_xen"
    state.withLock { $0.deviceModels[key.id] = ModelDeviceModel() }
    return key
  }

  /// Resets a guest. It keeps its number, its UUID and its saved configuration. libxl destroys its PCI bus and its
  /// QEMU, and starts a new QEMU (`libxl__domain_soft_reset`, tools/libs/light/libxl_create.c and libxl_dom_suspend.c,
  /// Xen 4.17).
  package func resetSoftly(_ guest: DomainKey, _ name: String) {
    let saved = state.withLock { $0.saved[guest] }
    destroy(guest.id.rawValue)
    for path in [StorePath.backEnd(guest.id), .frontEnd(guest.id)] { store[path.text] = nil }
    for device in state.withLock(\.present) where claim(on: device) == guest.id.description {
      store[StorePath.claim(device).text] = nil
    }
    _ = addHVMDomain(guest.id.rawValue, name, uuid: guest.uuid)
    setSaved(guest, saved)
  }

  /// Adds a new stub domain of the HVM guest `guest`. libxl has no saved configuration of it.
  package func addStubDomain(_ number: UInt32, of guest: DomainKey) {
    let stub = addDomain(number, "net-dm") { $0.hasIOMMU = false }
    setSaved(stub, nil)
    setStubDomain(stub, of: guest)
  }

  /// Makes the PV domain `stub` the stub domain of the HVM guest `guest`.
  package func setStubDomain(_ stub: DomainKey, of guest: DomainKey) {
    store[StorePath.home(guest.id).child("image").child("device-model-domid").text] = stub.id.description
    store[StorePath.home(stub.id).child("target").text] = guest.id.description
  }

  /// Sets whether the guest answers QEMU. If it begins to answer, it answers pending requests at once.
  package func setLetsGo(_ number: UInt32, _ letsGo: Bool) {
    changeDeviceModel(number) { qemu in
      qemu.guestLetsGo = letsGo
      guard letsGo else { return }
      let pending = qemu.pending
      qemu.devices.removeAll { pending.contains($0.name) }
      qemu.pending = []
    }
  }
  func letsGo(_ number: UInt32) -> Bool { state.withLock { $0.deviceModels[DomainID(number)]?.guestLetsGo == true } }
  package func setRefusals(_ number: UInt32, _ texts: [String]) { changeDeviceModel(number) { $0.refusals = texts } }
  package func setDeviceModelRunning(_ number: UInt32, _ isRunning: Bool) {
    changeDeviceModel(number) { $0.isRunning = isRunning }
  }
  /// Adds a device to QEMU that no Berth requested.
  package func putEmulated(_ number: UInt32, _ device: PCIAddress, slot: UInt8) {
    changeDeviceModel(number) {
      $0.devices.append(EmulatedDevice(name: DeviceModelName(device), slot: slot, function: 0))
    }
  }
  package func removeEmulated(_ number: UInt32, _ device: PCIAddress) {
    changeDeviceModel(number) { $0.devices.removeAll { $0.name == DeviceModelName(device) } }
  }

  /// Returns the names of the devices that QEMU shows the guest.
  package func emulated(_ number: UInt32) -> [String] {
    state.withLock { ($0.deviceModels[DomainID(number)]?.devices ?? []).map(\.name.description).sorted() }
  }
  /// Returns the slot at which QEMU shows each device.
  package func emulatedSlots(_ number: UInt32) -> [DeviceModelName: UInt8] {
    let devices = state.withLock { $0.deviceModels[DomainID(number)]?.devices ?? [] }
    return Dictionary(devices.map { ($0.name, $0.slot) }, uniquingKeysWith: { first, _ in first })
  }
  package func deviceModelCommands(_ number: UInt32) -> [String] {
    state.withLock { $0.deviceModels[DomainID(number)]?.commands ?? [] }
  }

  private func changeDeviceModel(_ number: UInt32, _ change: (inout ModelDeviceModel) -> Void) {
    state.withLock { change(&$0.deviceModels[DomainID(number), default: ModelDeviceModel()]) }
  }
}
