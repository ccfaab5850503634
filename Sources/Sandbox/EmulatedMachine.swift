import Model
import XenProtocol

/// QEMU's refusal of a command: its class and its text.
struct QMPFailure: Error {
  var errorClass = "GenericError"
  let text: String
}

/// The machine that QEMU shows an HVM guest, limited to devices that come and go.
///
/// It follows QEMU 7.2: `qmp_device_add` and `qmp_device_del` (softmmu/qdev-monitor.c), `do_pci_register_device`
/// (hw/pci/pci.c) and `xen_host_pci_device_get` (hw/xen/xen-host-pci-device.c), with each check in their order. It has
/// no clock: the caller passes the time.
struct EmulatedMachine {
  typealias Instant = ContinuousClock.Instant

  /// The device that the host has at an address, if QEMU's kernel has it: what `xen-pci-passthrough` reads.
  struct HostDevice {
    var id: DeviceID
    var resources: [DeviceResource]
    var interrupt: UInt32
  }

  struct Device {
    var id: String
    var driver: String
    /// The name of the bridge in front of the device; nil on the first bus.
    var bridge: String?
    var slot: UInt8
    var function: UInt8
    var host: PCIAddress?
    var real: HostDevice?
    var isPermissive = false
    /// The time of the last request to release the device; nil if there was none.
    var askedAt: Instant?
    var isLeaving: Bool { askedAt != nil }
    /// The time at which the guest releases the device; nil if it does not, or was not asked yet.
    var leavesAt: Instant?
  }

  /// On Xen the machine has a host bridge, a PIIX3 and the platform device in its first slots.
  static let firstFreeSlot: UInt8 = 3
  /// How long a request for a release excludes another one. After that the guest is asked again
  /// (`acpi_pcihp_device_unplug_request_cb`, hw/acpi/pcihp.c).
  private static let patience: Duration = .milliseconds(5)
  static let passthrough = "xen-pci-passthrough"
  static let bridge = "pci-bridge"

  private(set) var devices: [Device] = []
  /// How the guest answers requests for a release, if it does.
  private(set) var answers: GuestAnswers
  private(set) var delay: Duration
  private(set) var isGuestRunning: Bool

  init(answers: GuestAnswers, delay: Duration, isGuestRunning: Bool) {
    (self.answers, self.delay, self.isGuestRunning) = (answers, delay, isGuestRunning)
  }

  // MARK: The guest

  mutating func setGuestRunning(_ isRunning: Bool, at now: Instant) {
    guard isGuestRunning != isRunning else { return }
    isGuestRunning = isRunning
    askGuest(at: now)
  }

  mutating func setAnswers(_ answers: GuestAnswers, delay: Duration?, at now: Instant) {
    self.answers = answers
    if let delay { self.delay = delay }
    askGuest(at: now)
  }

  /// Whether the guest releases devices when it is asked to.
  private var guestReleases: Bool { isGuestRunning && (answers == .normal || answers == .slow) }

  /// Lets the guest process all pending requests. When the guest continues, it finds what it missed while it was paused.
  private mutating func askGuest(at now: Instant) {
    for index in devices.indices where devices[index].isLeaving {
      devices[index].leavesAt = guestReleases ? now + delay : nil
    }
  }

  var nextDue: Instant? { devices.compactMap(\.leavesAt).min() }

  /// Removes what the guest has released, with all devices behind it. Returns the names in order.
  mutating func step(at now: Instant) -> [String] {
    let leaving = devices.filter { device in device.leavesAt.map { $0 <= now } ?? false }.map(\.id)
    let gone = devices.filter { leaving.contains($0.id) || leaving.contains($0.bridge ?? "") }.map(\.id)
    devices.removeAll { gone.contains($0.id) }
    return gone
  }

  // MARK: Commands

  /// Executes `device_add`; `find` returns what QEMU's kernel has at a host address.
  mutating func add(
    _ arguments: [(name: String, value: JSONText)], find: (PCIAddress) -> HostDevice?
  ) throws(QMPFailure) {
    var texts: [String: String] = [:]
    for (name, value) in arguments { texts[name] = try Self.propertyText(value, name) }
    guard let driver = texts["driver"] else { throw QMPFailure(text: "Parameter 'driver' is missing") }
    guard driver == Self.passthrough || driver == Self.bridge else {
      throw QMPFailure(text: "'\(driver)' is not a valid device model name")
    }
    let bus = texts["bus"].flatMap { $0 == "pci.0" ? nil : $0 }
    if let bus, !devices.contains(where: { $0.id == bus && $0.driver == Self.bridge }) {
      throw QMPFailure(text: "Bus '\(bus)' not found")
    }
    let id = texts["id"] ?? ""
    guard id.isEmpty || Self.isIdentifier(id) else {
      throw QMPFailure(text: "Parameter 'id' expects an identifier")
    }
    guard id.isEmpty || !devices.contains(where: { $0.id == id }) else {
      throw QMPFailure(text: "Duplicate device ID '\(id)'")
    }
    var device = Device(id: id, driver: driver, bridge: bus, slot: 0, function: 0)
    var place: (slot: UInt8, function: UInt8)?
    for (name, value) in arguments {
      let text = texts[name] ?? ""
      func wrong() -> QMPFailure { QMPFailure(text: "Property '\(driver).\(name)' doesn't take value '\(text)'") }
      switch name {
      case "driver", "bus", "id", "chassis_nr", "shpc": continue
      case "addr":
        guard let found = Self.place(value) else { throw wrong() }
        place = found
      case "hostaddr" where driver == Self.passthrough:
        guard let address = PCIAddress(text) else { throw wrong() }
        device.host = address
      case "permissive" where driver == Self.passthrough:
        guard ["true", "false", "on", "off"].contains(text) else {
          throw QMPFailure(text: "Invalid parameter type for 'permissive', expected: boolean")
        }
        device.isPermissive = text == "true" || text == "on"
      default: throw QMPFailure(text: "Property '\(driver).\(name)' not found")
      }
    }
    (device.slot, device.function) = try choose(place, for: device)
    if driver == Self.passthrough {
      let address = device.host ?? PCIAddress(sbdf: 0)
      guard let real = find(address) else {
        throw QMPFailure(text: "Could not open '/sys/bus/pci/devices/\(address)/config': No such file or directory")
      }
      device.real = real
    }
    devices.append(device)
  }

  /// Inserts a device that was there when the guest was made; returns its slot.
  mutating func put(_ address: PCIAddress, real: HostDevice, options: DeviceOptions) throws(QMPFailure) -> UInt8 {
    var arguments: [(name: String, value: JSONText)] = [
      ("driver", .text(Self.passthrough)), ("id", .text(DeviceModelName(address).description)),
      ("hostaddr", .text("\(address)")),
    ]
    if let slot = options.virtualSlot { arguments.append(("addr", .text(String(slot, radix: 16) + ".0"))) }
    if options.permissive { arguments.append(("permissive", .bool(true))) }
    try add(arguments) { _ in real }
    return devices.last?.slot ?? 0
  }

  /// Executes `device_del`: asks the guest, and does not wait for it.
  mutating func remove(_ arguments: [(name: String, value: JSONText)], at now: Instant) throws(QMPFailure) {
    for (name, _) in arguments where name != "id" { throw QMPFailure(text: "Parameter '\(name)' is unexpected") }
    guard let value = arguments.first?.value else { throw QMPFailure(text: "Parameter 'id' is missing") }
    guard let id = value.string else {
      throw QMPFailure(text: "Invalid parameter type for 'id', expected: string")
    }
    guard let index = devices.firstIndex(where: { $0.id == id && !id.isEmpty }) else {
      throw QMPFailure(errorClass: "DeviceNotFound", text: "Device '\(id)' not found")
    }
    if let asked = devices[index].askedAt, now < asked + Self.patience {
      throw QMPFailure(text: "Device \(id) is already in the process of unplug")
    }
    devices[index].askedAt = now
    guard devices[index].leavesAt == nil else { return }
    if guestReleases { devices[index].leavesAt = now + delay }
  }

  // MARK: Parts

  private static func propertyText(_ value: JSONText, _ name: String) throws(QMPFailure) -> String {
    switch value {
    case .text(let text): return text
    case .number(let digits): return digits
    case .bool(let isTrue): return isTrue ? "true" : "false"
    case .null, .array, .object:
      throw QMPFailure(text: "Invalid parameter type for '\(name)', expected: string")
    }
  }

  /// Returns whether a text is an identifier (`id_wellformed`, util/id.c): a letter, then letters, digits and `-._`.
  private static func isIdentifier(_ text: String) -> Bool {
    let scalars = text.unicodeScalars
    guard let first = scalars.first, first.isASCII, first.properties.isAlphabetic else { return false }
    return scalars.allSatisfy {
      $0.isASCII
        && ($0.properties.isAlphabetic || $0.properties.numericType != nil || $0 == "-" || $0 == "." || $0 == "_")
    }
  }

  /// Reads `1c.0` or `1c`, hexadecimal; a number is slot and function in one (`set_pci_devfn`,
  /// hw/core/qdev-properties-system.c).
  private static func place(_ value: JSONText) -> (slot: UInt8, function: UInt8)? {
    if case .number(let digits) = value {
      return UInt8(digits).map { ($0 >> 3, $0 & 7) }
    }
    let parts = (value.string ?? "").split(separator: ".", omittingEmptySubsequences: false)
    guard (1...2).contains(parts.count), let slot = UInt8(parts[0], radix: 16), slot < 32 else { return nil }
    guard parts.count == 2 else { return (slot, 0) }
    return UInt8(parts[1], radix: 16).flatMap { $0 < 8 ? (slot, $0) : nil }
  }

  private func choose(
    _ place: (slot: UInt8, function: UInt8)?, for device: Device
  ) throws(QMPFailure) -> (slot: UInt8, function: UInt8) {
    let first: UInt8 = device.bridge == nil ? Self.firstFreeSlot : 1
    let taken = devices.filter { $0.bridge == device.bridge }
    guard let place else {
      guard let slot = (first..<32).first(where: { slot in !taken.contains { $0.slot == slot } }) else {
        throw QMPFailure(text: "PCI: no slot/function available for \(device.driver), all in use or reserved")
      }
      return (slot, 0)
    }
    let user: String?
    if place.slot < first, device.bridge == nil {
      user = ["i440FX", "PIIX3", "xen-platform"][Int(place.slot)]
    } else {
      user = taken.first { $0.slot == place.slot && $0.function == place.function }.map {
        $0.driver + ($0.id.isEmpty ? "" : ",id=" + $0.id)
      }
    }
    if let user {
      throw QMPFailure(
        text: "PCI: slot \(place.slot) function \(place.function) not available for \(device.driver), in use by \(user)"
      )
    }
    return place
  }
}
