/// What Berth recorded of a device before it took the device from its driver.
///
/// The record is on disk before the first change, and stays until the device is released. It keeps what the driver
/// showed of the device, because pciback shows none of that.
package struct PreparationRecord: Hashable, Sendable, Codable {
  package enum Phase: String, Sendable, Codable, CaseIterable {
    /// The device is being taken from its driver. A run that ended here left it somewhere on the way.
    case preparing
    /// pciback has the device.
    case prepared
    /// The device is being returned to its driver.
    case releasing
  }

  package var device: PCIAddress
  package var phase: Phase
  /// What the device is. A record of another device says nothing.
  package var identity: DeviceIdentity
  /// The driver that had the device, and gets it back; nil if none had it, or if it is not known.
  package var driver: String?
  /// Whether it is known which driver had the device.
  package var isDriverKnown = true
  /// The module that contains the driver; nil if the kernel itself does, or if no driver had the device.
  package var module: String?
  /// The text of `driver_override` that was there before; nil if there was none.
  package var driverOverride: String?
  /// The network interfaces that the driver showed.
  package var interfaces: [NetworkInterface]
  /// The NVMe controllers that the driver showed.
  package var controllers: [NVMeController]
  /// The set of manifests that declared the device; nil if a person asked for it by hand.
  package var set: String?
  /// Why the device was taken although something stood on it; nil if nothing did.
  package var override: InterlockOverride?
  /// When the record was written first, in seconds since 1970.
  package var since: Int64

  package init(
    device: PCIAddress, phase: Phase = .preparing, identity: DeviceIdentity, driver: String? = nil,
    module: String? = nil, driverOverride: String? = nil, interfaces: [NetworkInterface] = [],
    controllers: [NVMeController] = [], set: String? = nil, override: InterlockOverride? = nil,
    since: Int64 = 0
  ) {
    self.override = override
    self.device = device
    self.phase = phase
    self.identity = identity
    self.driver = driver
    self.module = module
    self.driverOverride = driverOverride
    self.interfaces = interfaces
    self.controllers = controllers
    self.set = set
    self.since = since
  }
}

extension Inventory {
  /// Returns the inventory with what Berth recorded of devices before it took them from their drivers.
  ///
  /// A record counts only for the device that it was written of: vendor, device and the card's own numbers are the
  /// same, and no serial number speaks against it. A fact that can be read now is left as it is.
  package func recalling(_ records: [PreparationRecord]) -> Inventory {
    guard !records.isEmpty else { return self }
    let kept = Dictionary(records.map { ($0.device, $0) }, uniquingKeysWith: { first, _ in first })
    var inventory = self
    for index in inventory.functions.indices {
      guard let address = inventory.functions[index].address, let record = kept[address],
        record.describes(inventory.functions[index])
      else { continue }
      if inventory.functions[index].interfaces.isEmpty { inventory.functions[index].interfaces = record.interfaces }
      if inventory.functions[index].nvme.isEmpty { inventory.functions[index].nvme = record.controllers }
    }
    return inventory
  }
}

extension PreparationRecord {
  /// Returns whether the function can be the recorded device, and has none of the drivers that show its facts.
  fileprivate func describes(_ function: PCIFunction) -> Bool {
    guard function.driver == nil || function.driver != driver, function.id == identity.id,
      function.subsystem == identity.subsystem
    else { return false }
    return function.serial == identity.serial
  }
}
