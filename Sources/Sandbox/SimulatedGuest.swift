package import Model
package import Ports
import XenProtocol

/// How a guest's pcifront behaves.
package enum GuestAnswers: String, Sendable, Codable, CaseIterable {
  case normal
  /// It answers like `normal`, after `delay`.
  case slow
  /// The guest does not notice anything that happens to its bus.
  case never
  /// It writes states that make no sense.
  case wrong
  /// The guest has no pcifront.
  case noDriver = "no-driver"
}

/// The part of a PV guest's kernel that deals with its PCI bus: its xenbus, and pcifront.
///
/// It follows Linux 6.1's `drivers/pci/xen-pcifront.c` and `xenbus_probe_frontend.c`. Each reaction has two halves, as
/// in a real guest that is slow or is paused in between: first it reads and decides, then it acts.
package final class SimulatedGuest {
  package enum Event: Hashable, Sendable {
    /// The front end's directory was made, changed or removed (the guest's watch on `device`).
    case frontEndChanged
    /// The back end's state node changed.
    case backEndChanged
  }

  /// The second half of a reaction.
  package enum Action: Hashable, Sendable {
    case publish, scanAndConnect, detachDevices, rescan, disconnect, drop, mumble
  }

  /// pcifront's object for the bus.
  struct FrontEndObject {
    var cachedState: XenbusState = .initialising
    var devices: [PCIAddress: PCIAddress] = [:]
    var wasConnected = false
  }

  package let domain: DomainID
  package var answers: GuestAnswers
  let store: any SimulatorStore
  /// Returns the bus that pciback shows this guest now.
  let bus: (DomainID) -> VirtualBus
  var object: FrontEndObject?

  package init(
    domain: DomainID, answers: GuestAnswers = .normal, store: any SimulatorStore,
    bus: @escaping (DomainID) -> VirtualBus
  ) {
    self.domain = domain
    self.answers = answers
    self.store = store
    self.bus = bus
  }

  /// The devices that the guest's own kernel has on its PCI bus, with the guest's address and the host's address of
  /// each.
  package var devices: [PCIAddress: PCIAddress] { object?.devices ?? [:] }

  /// Does the first half: reads what it needs, and returns what is to be done.
  package func begin(_ event: Event) throws(StoreError) -> Action? {
    guard answers != .never, answers != .noDriver else { return nil }
    switch event {
    case .frontEndChanged:
      let isThere = try store.exists(domain.frontEnd)
      if object == nil {
        guard isThere, try store.driverState(domain.frontEnd) == .initialising else { return nil }
        return .publish
      }
      return isThere ? nil : .drop
    case .backEndChanged:
      guard object != nil else { return nil }
      return try reaction(to: try store.driverState(domain.backEnd))
    }
  }

  /// Returns the reaction of pcifront's `pcifront_backend_changed`, with each branch's own check.
  private func reaction(to backEnd: XenbusState?) throws(StoreError) -> Action? {
    let own = try store.driverState(domain.frontEnd)
    switch backEnd {
    case .connected: return own == .initialised ? .scanAndConnect : nil
    case .reconfiguring:
      guard own == .connected else { return nil }
      return answers == .wrong ? .mumble : .detachDevices
    case .reconfigured: return own == .reconfiguring ? .rescan : nil
    case .closing, .closed:
      if backEnd == .closed, object?.cachedState == .closed { return nil }
      // "backend going away!": a guest that is in a round or already closed ignores it.
      guard let own, own.rawValue < XenbusState.closing.rawValue else { return nil }
      return .disconnect
    case .unknown, .initialising, .initWait, .initialised, nil: return nil
    }
  }

  /// Does the second half.
  package func perform(_ action: Action) throws(StoreError) {
    switch action {
    case .publish: try publish()
    case .scanAndConnect, .rescan:
      rescan()
      try switchState(to: .connected)
      object?.wasConnected = true
    case .detachDevices: try detachDevices()
    case .disconnect:
      object?.devices = [:]
      try switchState(to: .closed)
    case .drop: try drop()
    case .mumble: try store.write(domain.frontEnd + "/state", "99")
    }
  }

  /// Publishes the guest's end and waits for pciback (`pcifront_publish_info`).
  private func publish() throws(StoreError) {
    object = FrontEndObject()
    let directory = domain.frontEnd
    try store.transaction { (inside: any SimulatorStore) throws(StoreError) in
      guard try inside.exists(directory) else { return false }
      try inside.write(directory + "/pci-op-ref", "8")
      try inside.write(directory + "/event-channel", "8")
      try inside.write(directory + "/magic", "7")
      return true
    }
    try switchState(to: .initialised)
  }

  /// Releases the devices that the back end's entries mark as leaving (`pcifront_detach_devices`).
  private func detachDevices() throws(StoreError) {
    guard let count = try store.readNumber(domain.backEnd + "/num_devs") else {
      return try fail(2, "Error reading number of PCI devices")
    }
    for index in 0..<max(0, count)
    where try store.readNumber(domain.backEnd + "/state-\(index)") == XenbusState.closing.rawValue {
      guard let place = (try store.read(domain.backEnd + "/vdev-\(index)")).flatMap({ PCIAddress($0) }) else {
        return try fail(22, "Error reading PCI device \(index)")
      }
      object?.devices[place] = nil
    }
    try switchState(to: .reconfiguring)
  }

  /// Finds new devices on the bus; known ones stay as they are (`pcifront_rescan_root`).
  private func rescan() {
    for (place, device) in bus(domain).devices where object?.devices[place] == nil {
      object?.devices[place] = device
    }
  }

  /// Handles the removal of the front end's directory (`pcifront_xenbus_remove`). Closing its event channel then fails
  /// and leaves an error text.
  private func drop() throws(StoreError) {
    if object?.wasConnected == true {
      try store.write(domain.home + "/error/device/pci/0/error", "22 freeing event channel 8")
    }
    object = nil
    // A front end that was recreated since is a new device.
    if try store.exists(domain.frontEnd), try store.driverState(domain.frontEnd) == .initialising { try publish() }
  }

  private func fail(_ error: Int, _ text: String) throws(StoreError) {
    try store.write(domain.home + "/error/device/pci/0/error", "\(error) \(text)")
    try switchState(to: .closing)
  }

  /// Writes the front end's state, unless the guest remembers this state already.
  private func switchState(to state: XenbusState) throws(StoreError) {
    guard let object, object.cachedState != state else { return }
    try store.switchState(of: domain.frontEnd, to: state)
    self.object?.cachedState = state
  }
}
