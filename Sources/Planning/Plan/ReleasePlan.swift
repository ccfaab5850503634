package import Model

/// Returns a plan that returns these devices to their drivers, and does nothing else.
///
/// The recorded driver gets a device. If Berth has no record of the device, libxl's note of its driver decides.
package func makeReleasePlan(of devices: [PCIAddress], index: ObservationIndex) -> Plan {
  var plan = Plan(
    host: index.observation.host, domainCount: index.observation.domains.count,
    deviceCount: index.observation.devices.count, policy: Policy())
  plan.driverSteps = Set(devices).sorted().map { device in
    // The record of another card says nothing.
    let record = index.preparations[device].flatMap { record in
      index.devices[device]?.facts.map(record.identity.fits) == false ? nil : record
    }
    return DriverStep(
      .release, device: device, deviceID: index.devices[device]?.facts?.id, driver: record?.driver,
      isResumed: record.map { $0.phase != .prepared } ?? false, isRecorded: record != nil)
  }
  return plan
}
