package import Model
package import Ports
import XenProtocol

/// The effects of dom0's kernel outside of xenstore.
package protocol KernelEffects: AnyObject {
  /// Records that the device object `pci-<domid>-0` appeared or disappeared.
  func backEndObject(of domain: DomainID, isThere: Bool)
  /// Writes a line to the kernel's log. The priority is syslog's.
  func kernelLog(priority: Int, _ text: String, device: PCIAddress?)
}

/// The part of dom0's kernel that deals with PCI back ends: its xenbus, and pciback.
///
/// It follows Linux 6.1's `drivers/xen/xenbus/xenbus_probe.c`, `xenbus_client.c` and
/// `drivers/xen/xen-pciback/{xenbus,vpci,pci_stub}.c`: their checks, in their order, and their reactions if a check
/// fails. It reads every value from the store at the time of the event, and takes none from the event.
// Size 19/5: what pciback keeps of all devices.
package final class SimulatedKernel {
  /// One back end's kernel object.
  struct BackEndObject {
    /// The state that the kernel last wrote, from its own memory. It does not include what others write.
    var cachedState: XenbusState = .initialising
    var isConnected = false
    var bus = VirtualBus()
  }

  let store: any SimulatorStore
  /// No object holds it weakly: the owner of the kernel also owns its effects.
  unowned let effects: any KernelEffects
  var objects: [DomainID: BackEndObject] = [:]
  /// The devices bound to pciback, with the domain to which each is exported.
  package internal(set) var stubs: [PCIAddress: DomainID?] = [:]
  package var virtualFunctions: Set<PCIAddress> = []
  package var bridges: Set<PCIAddress> = []
  /// Devices whose export fails without a reason: a fault of the scenario.
  package var failingExports: Set<PCIAddress> = []

  package init(store: any SimulatorStore, effects: any KernelEffects) {
    self.store = store
    self.effects = effects
  }

  /// Binds a device to pciback.
  package func bind(_ device: PCIAddress) {
    guard stubs.index(forKey: device) == nil else { return }
    stubs.updateValue(nil, forKey: device)
    effects.kernelLog(priority: 6, "xen_pciback: seizing device", device: device)
  }

  /// Takes a device from pciback. If the device is in use, the guest loses it.
  package func unbind(_ device: PCIAddress) {
    guard let user = stubs.removeValue(forKey: device) else { return }
    guard let domain = user, let place = objects[domain]?.bus.place(of: device) else { return }
    effects.kernelLog(priority: 4, "****** removing device \(device) while still in-use! ******", device: device)
    _ = objects[domain]?.bus.remove(at: place)
  }

  /// The domains for which the kernel has an object.
  package var domainsWithObject: [DomainID] { objects.keys.sorted() }
  package func hasObject(for domain: DomainID) -> Bool { objects[domain] != nil }

  /// Returns the bus that a connected guest sees.
  package func bus(of domain: DomainID) -> VirtualBus { objects[domain]?.bus ?? VirtualBus() }

  // MARK: Events

  /// Handles a change at or below a back end's directory (`xenbus_dev_changed`, then `xen_pcibk_be_watch`).
  package func backEndChanged(_ domain: DomainID) throws(StoreError) {
    guard try store.exists(domain.backEnd) else {
      if objects[domain] != nil { try unregister(domain) }
      return
    }
    if objects[domain] == nil { try probe(domain) } else { try backEndWatch(domain) }
  }

  /// Handles a change of the front end's state node, or the removal of its directory (`xenbus_otherend_changed`,
  /// `xen_pcibk_frontend_changed`).
  package func frontEndChanged(_ domain: DomainID) throws(StoreError) {
    guard objects[domain] != nil else { return }
    switch try store.driverState(domain.frontEnd) {
    case .initialised: try attach(domain)
    case .reconfiguring: try reconfigure(domain, from: .reconfiguring)
    // The guest has finished its scan of the new devices.
    case .connected: try switchState(domain, to: .connected)
    case .closing:
      objects[domain]?.isConnected = false
      try switchState(domain, to: .closing)
    case .closed:
      objects[domain]?.isConnected = false
      try switchState(domain, to: .closed)
      if try store.readNumber(domain.backEnd + "/online") ?? 0 == 0 { try unregister(domain) }
    case .unknown: try unregister(domain)
    case .initialising, .initWait, .reconfigured, nil: return
    }
  }

  // MARK: xenbus

  /// Makes an object for a back end, only if the back end is in state 1 when first seen and has a front end
  /// (`xenbus_probe_node`).
  private func probe(_ domain: DomainID) throws(StoreError) {
    guard try store.driverState(domain.backEnd) == .initialising,
      try store.readNumber(domain.backEnd + "/frontend-id") != nil,
      let frontEnd = try store.read(domain.backEnd + "/frontend"), !frontEnd.isEmpty,
      try store.exists(domain.frontEnd)
    else { return }
    objects[domain] = BackEndObject()
    effects.backEndObject(of: domain, isThere: true)
    try switchState(domain, to: .initWait)
    try backEndWatch(domain)
    try frontEndChanged(domain)
  }

  private func backEndWatch(_ domain: DomainID) throws(StoreError) {
    switch try store.driverState(domain.backEnd) {
    case .initWait: try setUp(domain)
    case .initialised: try reconfigure(domain, from: .initialised)
    default: return
    }
  }

  /// Drops the object and releases every device that it exported (`xen_pcibk_xenbus_remove`, `xenbus_dev_remove`).
  private func unregister(_ domain: DomainID) throws(StoreError) {
    guard let object = objects[domain] else { return }
    for (_, device) in object.bus.devices.sorted(by: { $0.key < $1.key }) { release(device, of: domain) }
    // The object no longer answers to events, but its last state is still written.
    try switchState(domain, to: .closed)
    objects[domain] = nil
    effects.backEndObject(of: domain, isThere: false)
  }

  /// Writes the back end's state, unless the kernel remembers this state already.
  func switchState(_ domain: DomainID, to state: XenbusState) throws(StoreError) {
    guard let object = objects[domain], object.cachedState != state else { return }
    try store.switchState(of: domain.backEnd, to: state)
    objects[domain]?.cachedState = state
  }

  /// Writes an error's text and closes (`xenbus_dev_fatal`).
  func fail(_ domain: DomainID, _ error: Int32, _ text: String) throws(StoreError) {
    effects.kernelLog(priority: 3, "pciback pci-\(domain)-0: \(error) \(text)", device: nil)
    try store.write(domain.backEndError, "\(error) \(text)")
    try switchState(domain, to: .closing)
  }
}

extension DomainID {
  var home: String { "/local/domain/\(self)" }
  var backEnd: String { StorePath.backEnd(self).text }
  var frontEnd: String { StorePath.frontEnd(self).text }
  var backEndError: String { StorePath.backEndError(self).text }
}
