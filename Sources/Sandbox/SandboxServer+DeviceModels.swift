import Glibc
import Manifest
import Model
import Ports
import XenProtocol

/// The device models of HVM guests, and the stub domains in which some of them run.
extension SandboxServer {
  /// Makes a guest's QEMU, with the guest's first devices. Returns these devices with their slots.
  func startDeviceModel(
    of id: DomainID, _ domain: ScenarioDomain, in stub: DomainID?
  ) throws(SandboxError) -> [SavedDevice] {
    let model = try DeviceModelServer(
      of: id, domain.deviceModel, in: stub, directory: directory,
      machine: EmulatedMachine(answers: domain.answers, delay: domain.delay, isGuestRunning: false)
    ) { [unowned self] address in hostDevice(address, in: stub) }
    deviceModels[id] = model
    var devices = domain.devices
    for index in devices.indices {
      guard let device = scenario.devices.first(where: { $0.address == devices[index].address }) else { continue }
      do throws(QMPFailure) {
        devices[index].options.virtualSlot = try model.machine.put(
          device.address, real: EmulatedMachine.HostDevice(device), options: devices[index].options)
      } catch {
        throw SandboxError(.invalidScenario, "\(quoted(domain.name)) cannot have \(device.address): \(error.text)")
      }
    }
    return devices
  }

  /// Returns what QEMU finds at a host address: in dom0 every device, in a stub domain what that domain's kernel has.
  private func hostDevice(_ address: PCIAddress, in stub: DomainID?) -> EmulatedMachine.HostDevice? {
    guard let device = scenario.devices.first(where: { $0.address == address }) else { return nil }
    if let stub, simulation.guest(stub)?.devices.values.contains(address) != true { return nil }
    return EmulatedMachine.HostDevice(device)
  }

  /// Builds a guest's stub domain, and connects the two in xenstore.
  func createStub(of id: DomainID, _ stub: ScenarioDomain) throws(SandboxError) -> DomainID {
    try create(stub, for: id)
    guard let found = domains.values.first(where: { $0.target == id })?.key.id else {
      throw SandboxError(.notFound, "the stub domain of \(id) is not there", errno: ENOENT)
    }
    try storeCall { () throws(StoreError) in try toolstack.setStub(found, of: id) }
    return found
  }

  /// Ends the device model that a domain has, or that runs in it.
  func endDeviceModels(with id: DomainID) throws(SandboxError) {
    for model in Array(deviceModels.values) where model.domain == id || model.stubDomain == id {
      try model.end()
      deviceModels[model.domain] = nil
    }
  }

  /// Ends the stub domain and starts another one, with a new number and a QEMU that has no devices.
  func restartStub(of guest: LiveDomain) throws(SandboxError) {
    guard let stub = guest.scenario.stub else {
      throw SandboxError(.notFound, "\(guest.scenario.name) has no stub domain", errno: ENOENT)
    }
    if let old = domains.values.first(where: { $0.target == guest.key.id }) { try destroy(old.key) }
    let number = try createStub(of: guest.key.id, stub)
    var empty = guest.scenario
    empty.devices = []
    _ = try startDeviceModel(of: guest.key.id, empty, in: number)
    setStopped(guest.key.id, isStopped(guest.key.id))
  }

  /// Stops or continues a domain, with everything that runs in it.
  func setStopped(_ id: DomainID, _ isStopped: Bool) {
    simulation.setStopped(id, isStopped, at: .now)
    for model in deviceModels.values {
      if model.domain == id { model.machine.setGuestRunning(!isStopped, at: .now) }
      if model.stubDomain == id { model.isStopped = isStopped }
    }
  }

  /// Executes `device-model DOMAIN normal`, or a fault: `device-model DOMAIN KIND COMMAND TIMES TEXT…`, with `-` for a
  /// missing part.
  func setDeviceModel(_ words: [Substring]) throws(SandboxError) {
    let domain = try find(words)
    guard let model = deviceModels[domain.key.id] else {
      throw SandboxError(.notFound, "\(domain.scenario.name) has no device model", errno: ENOENT)
    }
    guard words.count > 2 else { throw SandboxError(.system, "no fault was given", errno: EINVAL) }
    if words[2] == "normal" { return try model.clearFaults() }
    guard let kind = DeviceModelFault.Kind(rawValue: String(words[2])) else {
      let known = ["normal"] + DeviceModelFault.Kind.allCases.map(\.rawValue)
      throw SandboxError(.system, "expected one of \(known.joined(separator: ", "))", errno: EINVAL)
    }
    let rest = words.dropFirst(3)
    var fault = DeviceModelFault(kind)
    if let command = rest.first, command != "-" { fault.command = String(command) }
    if let times = rest.dropFirst().first, times != "-" {
      guard let number = Int(times), number > 0 else {
        throw SandboxError(.system, "'\(times)' is not a count", errno: EINVAL)
      }
      fault.times = number
    }
    let text = rest.dropFirst(2).joined(separator: " ")
    if !text.isEmpty { fault.text = text }
    try model.add(fault)
  }

  /// The time of the models' next event.
  var nextDeviceModelEvent: ContinuousClock.Instant? {
    deviceModels.values.filter { !$0.isStopped }.compactMap(\.machine.nextDue).min()
  }
}

extension EmulatedMachine.HostDevice {
  init(_ device: ScenarioDevice) {
    self.init(id: device.id, resources: device.resources, interrupt: device.interrupt)
  }
}
