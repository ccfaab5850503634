import Model
import Planning
import Ports
import XenProtocol

/// How a step about a driver ended before it was done.
struct DriverStop: Error {
  let result: StepResult
  let detail: OutcomeDetail
  var obstacle: Obstacle?
  var isUndone = false
  /// Whether another run of Berth is at work on the device.
  var isLockBusy = false

  /// Somebody else reserved the device.
  static func reserved(_ binding: DriverBinding) -> DriverStop {
    .blocked(.driverReserved, "its driver_override is \(binding.driverOverride ?? "absent")")
  }

  /// The step is refused, and nothing was changed.
  static func blocked(_ obstacle: Obstacle, _ words: String) -> DriverStop {
    DriverStop(result: .blocked, detail: OutcomeDetail(.refused, obstacle.rawValue, words), obstacle: obstacle)
  }

  static func blocked(_ detail: OutcomeDetail) -> DriverStop { DriverStop(result: .blocked, detail: detail) }
  static func failed(_ detail: OutcomeDetail) -> DriverStop { DriverStop(result: .failed, detail: detail) }
  static func failed(_ error: HostError) -> DriverStop {
    DriverStop(result: error.isWithoutAnswer ? .unknown : .failed, detail: OutcomeDetail(error))
  }
}

/// One device on its way between a driver of dom0 and pciback: what both directions need.
///
/// The run that holds the lock of the device's record is the only run of Berth at work on the device. What the device is
/// now decides, whatever the plan saw.
struct DriverWork {
  /// How long a driver may take to release a device or to take it. A network card may flush its queues first.
  static let patience = Duration.seconds(60)

  let host: Host
  let device: PCIAddress
  let held: any HeldPreparation
  /// The kernel's log; nil if it is not readable.
  let log: (any DeviceLog)?

  /// Takes the lock of the device's record, and listens to what the kernel says of the device. The caller releases
  /// `held`.
  init(holding device: PCIAddress, on host: Host, within timeout: Duration) throws(DriverStop) {
    (self.host, self.device) = (host, device)
    do throws(HostError) {
      held = try host.preparations.hold(device, until: .now + timeout)
    } catch {
      guard case .record(let record) = error, record.code == .busy else { throw .failed(error) }
      let holder = record.holder.map { "\($0)" } ?? "the kernel does not show which"
      var stop = DriverStop.failed(OutcomeDetail(.otherRunOnDevice, holder))
      stop.isLockBusy = true
      throw stop
    }
    log = host.drivers.listen(about: device)
  }

  var drivers: any DriverPort { host.drivers }

  /// Calls `body`, with its port's failure as the end of the step.
  func ask<Value>(_ body: () throws(HostError) -> Value) throws(DriverStop) -> Value {
    do throws(HostError) { return try body() } catch { throw .failed(error) }
  }

  /// Returns the driver and the override that the device has now. The override may be unknown.
  func look() throws(DriverStop) -> DriverBinding {
    guard let binding = try ask({ () throws(HostError) in try drivers.binding(of: device) }) else {
      throw .blocked(OutcomeDetail(.deviceMissing, "\(device)"))
    }
    return binding
  }

  /// Returns the driver and the override that the device has now. Throws if the kernel does not answer: then it is not
  /// known what became of the device.
  func binding() throws(DriverStop) -> DriverBinding {
    let binding = try look()
    guard binding.isOverrideUnknown else { return binding }
    throw .failed(
      .tree(
        DeviceTreeError(
          .timedOut, operation: "read", place: "\(device)/driver_override", detail: DriverBinding.unknownOverride)))
  }

  /// Returns what the device is now.
  func identity() throws(DriverStop) -> DeviceIdentity {
    guard let card = try ask({ () throws(HostError) in try Card(at: device, on: host) }) else {
      throw .blocked(.deviceMissing, "sysfs has no device at \(device)")
    }
    guard let identity = card.identity else {
      throw .blocked(.identityUnknown, "sysfs gives no vendor and device")
    }
    return identity
  }

  /// Writes the override, and reads it back.
  func setOverride(_ driver: String?) throws(DriverStop) {
    try ask { () throws(HostError) in try drivers.setOverride(of: device, to: driver) }
    let found = try binding().driverOverride
    guard found == driver else { throw .failed(OutcomeDetail(.overrideStays, found ?? "absent")) }
  }

  /// Removes the reservation for pciback, if it is still there, and reads that back.
  func removeReservation() throws(DriverStop) {
    if try binding().driverOverride == DriverBinding.pciback { try setOverride(nil) }
  }

  /// Makes a driver release the device. Throws if it has not, and names the driver and the kernel's own words.
  func unbind(from driver: String) throws(DriverStop) {
    let answer = try ask { () throws(HostError) in
      try drivers.unbind(device, from: driver, until: .now + Self.patience)
    }
    try wait(for: answer, of: driver)
    if try binding().driver == driver { throw .failed(OutcomeDetail(.driverKeeps, driver, words(answer))) }
  }

  /// Gives the device to a driver. Throws if the driver does not have it then.
  func bind(to driver: String) throws(DriverStop) {
    let answer = try ask { () throws(HostError) in
      try drivers.bind(device, to: driver, until: .now + Self.patience)
    }
    try wait(for: answer, of: driver)
    guard let found = try binding().driver else {
      throw .failed(OutcomeDetail(.driverRefuses, driver, words(answer)))
    }
    // The driver may have had it already, or another run of somebody else's may have been faster.
    guard found == driver else { throw .failed(OutcomeDetail(.otherDriverTook, found, driver)) }
  }

  private func wait(for answer: DriverAnswer, of driver: String) throws(DriverStop) {
    guard case .silent(let process, let stack) = answer else { return }
    let place = stack.isEmpty ? "" : ": process \(process) waits in \(stack.joined(separator: ", "))"
    throw DriverStop(result: .unknown, detail: OutcomeDetail(.driverSilent, driver, place))
  }

  /// Returns what the kernel said: its answer, and the lines that it logged about the device.
  private func words(_ answer: DriverAnswer) -> String {
    var parts: [String] = []
    if case .answered(let errno?) = answer { parts.append(ErrorNumber.text(of: errno)) }
    parts += log?.lines() ?? []
    return parts.isEmpty ? "" : ": " + parts.joined(separator: "; ")
  }

  /// Takes the device out of the quarantine, if it is there. A driver of dom0 whose device is quarantined sends nothing.
  ///
  /// Returns whether the device was there. One that was hidden at boot never was, and without an IOMMU nothing is.
  @discardableResult
  func leaveQuarantine() throws(DriverStop) -> Bool {
    do throws(HostError) {
      try host.hypervisor.deassign(device, from: .quarantine)
      return true
    } catch {
      switch error.hypervisorCode {
      case .notOwner, .noIOMMU, .invalid: return false
      default: throw .failed(error)
      }
    }
  }

  /// Gives the device to a driver of dom0, outside the quarantine, whoever put it there meanwhile.
  func bindToHost(_ driver: String) throws(DriverStop) {
    try leaveQuarantine()
    try bind(to: driver)
    // An attach that met the release returned the device to Xen, which quarantined it: its driver begins once more.
    guard try leaveQuarantine() else { return }
    try unbind(from: driver)
    try bind(to: driver)
  }

  /// Throws if a domain has the device, or is about to get it.
  func checkUnused() throws(DriverStop) {
    let index = try ask { () throws(HostError) in
      ObservationIndex(try Observer(host: host).observeEverything(desired: nil))
    }
    if let user = index.user(of: device) { throw .blocked(OutcomeDetail(.inUse, user)) }
  }

  /// Returns what was read back, for the report.
  func evidence() throws(DriverStop) -> [String] {
    let found = try binding()
    return ["driver \(found.driver ?? "none")", "driver_override \(found.driverOverride ?? "none")"]
  }

  // MARK: libxl's note of the driver

  /// Writes where xl finds the driver, if nothing says so yet.
  func noteDriverPath(_ driver: String) throws(DriverStop) {
    try changeNote(to: DriverNote.text(for: driver)) { $0 == nil }
  }

  /// Removes where xl finds the driver.
  func removeDriverPath() throws(DriverStop) { try changeNote(to: nil) { $0 != nil } }

  /// Writes or removes the note if `mustChange` says so of the present one, and reads it back.
  private func changeNote(
    to path: String?, ifNeeded mustChange: @Sendable (String?) -> Bool
  ) throws(DriverStop) {
    let note = StorePath.driverPath(device)
    let (hasChanged, found) = try ask { () throws(HostError) -> (Bool, String?) in
      let store = try host.stores.connect()
      let hasChanged = try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Bool> in
        guard mustChange(try access.read(note)) else { return .abort(false) }
        if let path { try access.write(note, path) } else { try access.remove(note) }
        return .commit(true)
      }
      return (hasChanged, hasChanged ? try store.read(note) : nil)
    }
    if hasChanged, found != path { throw .failed(OutcomeDetail(.noteStays, note.text, found ?? "absent")) }
  }

  /// Returns the driver that xl would give the device to; nil if nothing says so.
  func notedDriver() throws(DriverStop) -> String? {
    let path = try ask { () throws(HostError) in try host.stores.connect().read(.driverPath(device)) }
    return path.flatMap { DriverNote.driver(in: $0) }
  }
}
