import Model

/// The drivers of a sandbox's devices: which driver has each device, and which may take it.
///
/// It follows the driver core and the PCI bus of Linux 6.1, as far as sysfs shows them.
final class SimulatedDrivers {
  private let directory: SandboxDirectory
  private let sysfs: SysfsTree
  private let kernel: SimulatedKernel
  private let effects: HostEffects
  private let devices: [ScenarioDevice]
  private let refusals: [ScenarioFaults.DriverRefusal]
  /// The driver of each device that has one.
  private(set) var bound: [PCIAddress: String] = [:]
  /// The texts of `driver_override`.
  private var overrides: [PCIAddress: String] = [:]
  /// What pciback claims whenever it is offered it.
  var slots: Set<PCIAddress> = []
  private(set) var permissive: Set<PCIAddress> = []

  init(
    directory: SandboxDirectory, sysfs: SysfsTree, kernel: SimulatedKernel, effects: HostEffects, scenario: Scenario
  ) {
    self.directory = directory
    self.sysfs = sysfs
    self.kernel = kernel
    self.effects = effects
    devices = scenario.devices
    refusals = scenario.faults.drivers
  }

  /// The names of all drivers, in order.
  var names: [String] {
    Set(devices.compactMap(\.driver) + devices.compactMap(\.ownDriver) + [ScenarioDevice.pciback]).sorted()
  }

  /// Records the driver that a device has at the start.
  func begin(_ device: ScenarioDevice) {
    if let driver = device.driver { bound[device.address] = driver }
    guard device.driver == ScenarioDevice.pciback else { return }
    slots.insert(device.address)
    kernel.bind(device.address)
  }

  /// Takes over what was written as a device's override. The kernel shows none as `(null)` (`driver_override_show`, Linux
  /// drivers/pci/pci-sysfs.c, 6.1).
  func override(_ device: PCIAddress, _ path: String) throws(SandboxError) {
    let text = try directory.read(path) ?? ""
    let line = String(text.prefix { $0 != "\n" })
    overrides[device] = line.isEmpty || line == "(null)" ? nil : line
    let shown = (overrides[device] ?? "(null)") + "\n"
    if text != shown { try directory.write(path, shown) }
  }

  /// Binds a device to a driver that can have it (`driver_match_device`, `pci_match_device`, Linux
  /// drivers/pci/pci-driver.c, 6.1). An override permits one driver only.
  func bind(_ device: PCIAddress, to driver: String) throws(SandboxError) {
    guard bound[device] == nil, let card = devices.first(where: { $0.address == device }) else { return }
    if let override = overrides[device], override != driver { return }
    if refuses(.bind, device, driver) {
      return effects.log(priority: 3, "probe failed with error -5", device: device, driver: driver)
    }
    if driver == ScenarioDevice.pciback {
      // pciback takes only devices whose slot was given to it, or that are reserved for it (`pcistub_probe`, Linux
      // drivers/xen/xen-pciback/pci_stub.c, 6.1).
      guard slots.contains(device) || overrides[device] == driver else { return }
      slots.insert(device)
      kernel.bind(device)
    } else {
      guard card.ownDriver == nil || card.ownDriver == driver else { return }
    }
    bound[device] = driver
    try sysfs.bind(device, to: driver)
  }

  func unbind(_ device: PCIAddress, from driver: String) throws(SandboxError) {
    guard bound[device] == driver else { return }
    if refuses(.unbind, device, driver) {
      return effects.log(priority: 3, "cannot stop: still in use", device: device, driver: driver)
    }
    if driver == ScenarioDevice.pciback {
      kernel.unbind(device)
      permissive.remove(device)
      try writePermissive()
    }
    bound[device] = nil
    try sysfs.unbind(device, from: driver)
  }

  private func refuses(
    _ refusal: ScenarioFaults.DriverRefusal.Refusal, _ device: PCIAddress, _ driver: String
  ) -> Bool {
    refusals.contains { $0.device == device && $0.driver == driver && $0.refusal == refusal }
  }

  /// Offers a device to all drivers, pciback first.
  func offer(_ path: String) throws(SandboxError) {
    guard let text = try directory.read(path), let device = PCIAddress(text.prefix { $0 != "\n" }) else { return }
    try directory.write(path, "")
    let own = devices.first { $0.address == device }?.ownDriver
    for driver in [ScenarioDevice.pciback, own].compactMap(\.self) { try bind(device, to: driver) }
    try writeSlots()
  }

  // MARK: pciback

  func writeSlots() throws(SandboxError) { try sysfs.writeSlots(Array(slots)) }

  /// Takes over what was written into `permissive`, unless it is what the file shows.
  func permit(_ device: PCIAddress?, _ text: String) throws(SandboxError) {
    guard text != permissiveText else { return }
    if let device, kernel.stubs.index(forKey: device) != nil { permissive.insert(device) }
    try writePermissive()
  }

  /// Makes devices permissive from the start.
  func permit(_ devices: [PCIAddress]) throws(SandboxError) {
    permissive.formUnion(devices)
    try writePermissive()
  }

  private var permissiveText: String { permissive.sorted().map { "\($0)\n" }.joined() }

  /// Writes the content of pciback's `permissive`: the devices for which it is on. Only unbinding turns it off.
  private func writePermissive() throws(SandboxError) {
    try directory.write(sysfs.attribute(.permissive), permissiveText)
  }
}
