import Model
import Ports

struct FaultyDrivers: DriverPort {
  let inner: any DriverPort
  let line: FaultLine

  private func ask<Value>(
    _ request: PortRequest, _ subject: String = "", lost: Value? = nil, _ body: () throws(HostError) -> Value
  ) throws(HostError) -> Value {
    try line.pass(request, subject, lost: lost, body)
  }

  func binding(of device: PCIAddress) throws(HostError) -> DriverBinding? {
    try ask(.binding, "\(device)") { () throws(HostError) in try inner.binding(of: device) }
  }
  func isLoaded(_ driver: String) throws(HostError) -> Bool {
    try ask(.driverLoaded, driver) { () throws(HostError) in try inner.isLoaded(driver) }
  }
  func setOverride(of device: PCIAddress, to driver: String?) throws(HostError) {
    try ask(.override, "\(device)", lost: ()) { () throws(HostError) in
      try inner.setOverride(of: device, to: driver)
    }
  }
  func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try ask(.unbindDriver, "\(device)", lost: .answered(errno: nil)) { () throws(HostError) in
      try inner.unbind(device, from: driver, until: deadline)
    }
  }
  func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer {
    try ask(.bindDriver, "\(device)", lost: .answered(errno: nil)) { () throws(HostError) in
      try inner.bind(device, to: driver, until: deadline)
    }
  }
  func offer(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> DriverAnswer {
    try ask(.offer, "\(device)", lost: .answered(errno: nil)) { () throws(HostError) in
      try inner.offer(device, until: deadline)
    }
  }
  func slots() throws(HostError) -> Set<PCIAddress> {
    try ask(.slots) { () throws(HostError) in try inner.slots() }
  }
  func removeSlot(_ device: PCIAddress) throws(HostError) {
    try ask(.removeSlot, "\(device)", lost: ()) { () throws(HostError) in try inner.removeSlot(device) }
  }
  func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    try ask(.loadModule, name, lost: ()) { () throws(HostError) in try inner.loadModule(name, until: deadline) }
  }
  func listen(about device: PCIAddress) -> (any DeviceLog)? { inner.listen(about: device) }
}

struct FaultyPreparations: PreparationPort {
  let inner: any PreparationPort
  let line: FaultLine

  func readPreparations() throws(HostError) -> OwnFiles<PreparationRecord> {
    try line.pass(.preparations, lost: nil) { () throws(HostError) in try inner.readPreparations() }
  }
  func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord? {
    try line.pass(.preparation, "\(device)", lost: nil) { () throws(HostError) in try inner.preparation(of: device) }
  }
  func hold(
    _ device: PCIAddress, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> any HeldPreparation {
    let held = try line.pass(.holdPreparation, "\(device)", lost: nil) { () throws(HostError) in
      try inner.hold(device, until: deadline)
    }
    return Held(inner: held, line: line)
  }

  private struct Held: HeldPreparation {
    let inner: any HeldPreparation
    let line: FaultLine
    func read() throws(HostError) -> PreparationRecord? {
      try line.pass(.preparation, lost: nil) { () throws(HostError) in try inner.read() }
    }
    func write(_ record: PreparationRecord) throws(HostError) {
      try line.pass(.writePreparation, lost: ()) { () throws(HostError) in try inner.write(record) }
    }
    func remove() throws(HostError) {
      try line.pass(.removePreparation, lost: ()) { () throws(HostError) in try inner.remove() }
    }
    func release() { inner.release() }
  }
}
