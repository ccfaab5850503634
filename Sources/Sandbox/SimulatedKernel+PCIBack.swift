import Glibc
import Model
import Ports
import XenProtocol

extension SimulatedKernel {
  /// Exports every device of a new back end (`xen_pcibk_setup_backend`).
  func setUp(_ domain: DomainID) throws(StoreError) {
    guard try store.driverState(domain.backEnd) == .initWait else { return }
    guard let count = try store.readNumber(domain.backEnd + "/num_devs") else {
      return try fail(domain, ENOENT, "Error reading number of devices")
    }
    for index in 0..<max(0, count) {
      guard let device = scanDevice(try store.read(domain.backEnd + "/dev-\(index)")) else {
        return try fail(domain, EINVAL, "Error reading device configuration")
      }
      guard try export(device, to: domain, index) else { return }
      try store.write(domain.backEnd + "/state-\(index)", "\(XenbusState.initialised.rawValue)")
    }
    try publishRoots(domain)
    try switchState(domain, to: .initialised)
  }

  /// Connects with the guest's pcifront (`xen_pcibk_attach`).
  func attach(_ domain: DomainID) throws(StoreError) {
    guard try store.driverState(domain.backEnd) == .initialised, try store.driverState(domain.frontEnd) == .initialised
    else { return }
    guard try store.readNumber(domain.frontEnd + "/pci-op-ref") != nil,
      try store.readNumber(domain.frontEnd + "/event-channel") != nil,
      let magic = try store.read(domain.frontEnd + "/magic")
    else { return try fail(domain, ENOENT, "Error reading configuration from frontend") }
    guard magic == "7" else {
      return try fail(
        domain, EFAULT, "version mismatch (\(magic.prefix(32))/7) with pcifront - halting xen_pcibk")
    }
    objects[domain]?.isConnected = true
    try switchState(domain, to: .connected)
  }

  /// Exports and releases what the entries ask for, but only if the back end is in state `expected`
  /// (`xen_pcibk_reconfigure`).
  ///
  /// If an entry asks to remove a device that pciback does not have, the function ends silently and without state 8.
  func reconfigure(_ domain: DomainID, from expected: XenbusState) throws(StoreError) {
    guard try store.driverState(domain.backEnd) == expected else { return }
    guard let count = try store.readNumber(domain.backEnd + "/num_devs") else {
      return try fail(domain, ENOENT, "Error reading number of devices")
    }
    for index in 0..<max(0, count) {
      let entry = try store.readNumber(domain.backEnd + "/state-\(index)") ?? 0
      if entry == XenbusState.initialising.rawValue {
        guard let device = scanDevice(try store.read(domain.backEnd + "/dev-\(index)")) else {
          return try fail(domain, EINVAL, "Error reading device configuration")
        }
        guard try export(device, to: domain, index) else { return }
        try publishRoots(domain)
        try store.write(domain.backEnd + "/state-\(index)", "\(XenbusState.initialised.rawValue)")
      } else if entry == XenbusState.closing.rawValue {
        guard let place = scanDevice(try store.read(domain.backEnd + "/vdev-\(index)")) else {
          return try fail(domain, EINVAL, "Error reading device configuration")
        }
        guard let device = objects[domain]?.bus.remove(at: place) else { return }
        release(device, of: domain)
      }
    }
    if expected != .initialised { try switchState(domain, to: .reconfigured) }
  }

  /// Exports a device to the guest; returns false after a fatal failure (`xen_pcibk_export_device`).
  ///
  /// The device is taken before it gets its place. Without a place, it stays taken, and no bus releases it
  /// (`pcistub_get_pci_dev_by_slot`).
  private func export(_ device: PCIAddress, to domain: DomainID, _ index: Int) throws(StoreError) -> Bool {
    // Both a device that pciback does not have and one that it has already exported are "not located".
    guard case .some(.none) = stubs[device], !failingExports.contains(device) else {
      try fail(domain, EINVAL, "Couldn't locate PCI device (\(device))! perhaps already in-use?")
      return false
    }
    stubs.updateValue(domain, forKey: device)
    guard !bridges.contains(device) else {
      try fail(domain, EFAULT, "Can't export bridges on the virtual PCI bus")
      return false
    }
    let isVirtualFunction = virtualFunctions.contains(device)
    guard let place = objects[domain]?.bus.add(device, isVirtualFunction: isVirtualFunction) else {
      try fail(domain, ENOMEM, "No more space on root virtual PCI bus")
      return false
    }
    let isBeside = (objects[domain]?.bus.devices.filter { $0.key.device == place.device }.count ?? 0) > 1
    effects.kernelLog(
      priority: 6,
      "xen_pciback: vpci: assign to virtual slot \(place.device)" + (isBeside ? " func \(place.function)" : ""),
      device: device)
    try store.write(domain.backEnd + "/vdev-\(index)", place.virtualText)
    effects.kernelLog(priority: 6, "registering for \(domain)", device: device)
    return true
  }

  /// Returns a device to pciback.
  ///
  /// The line is the one of `xen_pcibk_remove_device`, which a real kernel prints only with dynamic debugging. Here it
  /// is printed each time a device is released.
  func release(_ device: PCIAddress, of domain: DomainID) {
    if stubs.index(forKey: device) != nil { stubs.updateValue(nil, forKey: device) }
    effects.kernelLog(priority: 7, "unregistering for \(domain)", device: device)
  }

  /// Writes the one root bus of the virtual topology (`xen_pcibk_publish_pci_root`).
  private func publishRoots(_ domain: DomainID) throws(StoreError) {
    let count = try store.readNumber(domain.backEnd + "/root_num") ?? 0
    for index in 0..<max(0, count) where try store.read(domain.backEnd + "/root-\(index)") == "0000:00" { return }
    try store.write(domain.backEnd + "/root-\(count)", "0000:00")
    try store.write(domain.backEnd + "/root_num", "\(count + 1)")
  }

  /// Returns an address as `scanf("%x:%x:%x.%x")` reads it.
  private func scanDevice(_ text: String?) -> PCIAddress? { text.flatMap { PCIAddress($0) } }
}
