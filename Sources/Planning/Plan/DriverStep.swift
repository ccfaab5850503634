package import Model

/// What an apply does with the driver of one device, before or after the work on the domains.
package struct DriverStep: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// Takes the device from its driver, and gives the device to pciback.
    case prepare
    /// Takes the device from pciback, and returns the device to its driver.
    case release
  }

  package let kind: Kind
  package let device: PCIAddress
  package let deviceID: DeviceID?
  /// The serial number that the device must have; nil if nothing was said of it.
  package let serial: String?
  /// Its name in the manifest.
  package let label: String?
  /// The driver that loses the device or gets it; nil if there is none, or if Berth has no record of it.
  package let driver: String?
  /// The declared domain that is to get the device; nil for a release.
  package let domain: Name?
  /// Whether an ended run began the step.
  package let isResumed: Bool
  /// Whether pciback has to be loaded first.
  package let loadsPCIBack: Bool
  /// Whether Berth has a record of the device that is released. If not, xl's note of its driver decides.
  package let isRecorded: Bool
  /// What was found that leads to this step, for people.
  package let evidence: String?
  /// Why the device is taken although something stands on it; nil if nobody said so.
  package let override: InterlockOverride?
  /// The card that is taken as a whole, the device among its functions; nil if the device is taken alone.
  package var card: PCIAddress?

  package init(
    _ kind: Kind, device: PCIAddress, deviceID: DeviceID? = nil, serial: String? = nil, label: String? = nil,
    driver: String?, domain: Name? = nil, isResumed: Bool = false, loadsPCIBack: Bool = false,
    isRecorded: Bool = true, evidence: String? = nil, override: InterlockOverride? = nil
  ) {
    self.kind = kind
    self.device = device
    self.deviceID = deviceID
    self.serial = serial
    self.label = label
    self.driver = driver
    self.domain = domain
    self.isResumed = isResumed
    self.loadsPCIBack = loadsPCIBack
    self.isRecorded = isRecorded
    self.evidence = evidence
    self.override = override
  }
}

extension DriverStep {
  /// What a person agrees to who sees the step.
  package struct Consent: Hashable, Sendable {
    package let kind: Kind
    package let device: PCIAddress
    package let deviceID: DeviceID?
    package let serial: String?
    package let driver: String?
    package let loadsPCIBack: Bool
    /// Why the device may be taken although something stands on it, and what that is.
    package let overrideReason: String?
    package let standing: String?
  }

  package var consent: Consent {
    Consent(
      kind: kind, device: device, deviceID: deviceID, serial: serial, driver: driver, loadsPCIBack: loadsPCIBack,
      overrideReason: override?.reason, standing: standing)
  }

  /// What stands on a device that is taken all the same; nil if nobody overrides it, or if nothing does.
  package var standing: String? { override == nil ? nil : evidence }
}

extension Plan {
  /// Returns the devices that a person lets the run take, and that this plan neither takes from a driver on which something
  /// stands nor blocks for what stands on them; in the order of their addresses.
  package func unusedOverrides(of policy: Policy) -> [PCIAddress] {
    guard !policy.overrides.isEmpty else { return [] }
    let used =
      driverSteps.filter { $0.override != nil && $0.evidence != nil }.map(\.device)
      + domains.flatMap(\.steps).filter { !$0.interlocks.isEmpty }.map(\.device)
    return policy.overrides.keys.filter { !used.contains($0) }.sorted()
  }
}
