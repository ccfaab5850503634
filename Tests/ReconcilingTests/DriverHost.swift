import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// Returns a host with the PV domain `net`, and with these devices, which a driver of dom0 has.
func makeDriverHost(_ devices: [PCIAddress]) -> (model: ModelHost, key: DomainKey, run: Run) {
  let model = ModelHost()
  let key = model.addDomain(5, "net")
  for device in devices { model.drivers.addHostDevice(device) }
  return (model, key, Run(model: model, options: .hasty))
}

/// Returns a declaration whose devices may be taken from drivers.
func preparing(
  _ domains: [Name: [PCIAddress]], _ after: Policy.AfterDetach, set: String = DesiredState.defaultSet
) -> DesiredState {
  var desired = Sample.desired(domains)
  desired.set = set
  desired.policy.hostDrivers = .prepare
  desired.policy.afterDetach = after
  return desired
}

extension HostUsage {
  /// Returns what a host shows that has mounted the disk of a device.
  static func mounted(_ device: PCIAddress, at point: String) -> HostUsage {
    var usage = HostUsage()
    var disk = BlockDevice(name: "sda")
    disk.number = "8:0"
    disk.functions = [FunctionName(device)]
    usage.blocks = [disk]
    usage.mounts = [Mount(number: "8:0", type: "ext4", source: "sda", point: point, layers: [])]
    return usage
  }
}

extension ModelHost {
  /// Returns the steps of `berth release` for a device.
  func releaseSteps(of device: PCIAddress) throws -> [DriverStep] {
    let observation = try Observer(host: host).observeEverything(desired: nil)
    return makeReleasePlan(of: [device], index: ObservationIndex(observation)).driverSteps
  }

  /// Returns a device to its driver, as `berth release` does.
  @discardableResult
  func releaseByHand(_ device: PCIAddress) throws -> [DriverOutcome] {
    DriverRun(host: host, options: .hasty).apply(try releaseSteps(of: device))
  }

  /// Returns what is wrong with the driver of a device, whoever has the device.
  func driverFlaws(of device: PCIAddress) -> [String] {
    guard let driver = drivers.driver(of: device) else { return ["it has no driver"] }
    var flaws: [String] = []
    if driver != "pciback", let owner = owner(of: device) { flaws.append("domain \(owner) and \(driver) have it") }
    if driver != "pciback", drivers.isQuarantined(device) { flaws.append("\(driver) has it in quarantine") }
    return flaws
  }

  /// Returns this host, with `action` called once, when the record of a device is written.
  func host(whenRecorded action: Hook<Void, Void>) -> Host {
    var host = host
    host.preparations = WatchedPreparations(inner: host.preparations, action: action)
    return host
  }
}

/// Wraps preparations: runs an action once when a record is written.
private struct WatchedPreparations: PreparationPort {
  let inner: any PreparationPort
  let action: Hook<Void, Void>
  func readPreparations() throws(HostError) -> OwnFiles<PreparationRecord> { try inner.readPreparations() }
  func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord? { try inner.preparation(of: device) }
  func hold(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> any HeldPreparation {
    Held(inner: try inner.hold(device, until: deadline), action: action)
  }

  struct Held: HeldPreparation {
    let inner: any HeldPreparation
    let action: Hook<Void, Void>
    func read() throws(HostError) -> PreparationRecord? { try inner.read() }
    func write(_ record: PreparationRecord) throws(HostError) {
      try inner.write(record)
      action.take()?(())
    }
    func remove() throws(HostError) { try inner.remove() }
    func release() { inner.release() }
  }
}
