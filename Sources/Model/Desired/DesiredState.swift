/// What the manifests declare, after all checks: the state that one host should have.
package struct DesiredState: Hashable, Sendable {
  /// The set of manifests that this is the whole of. Berth does not remove what another set owns.
  package var set: String
  package var policy: Policy
  /// The declared domains, in order of name.
  package var domains: [DesiredDomain]
  package var completeness: Completeness

  /// The facts that an inventory needs to find all devices; empty if every address is known.
  ///
  /// Facts that no selector names are among them: they tell two devices apart that one selector fits.
  package var neededFacts: Set<FunctionFact> {
    if domains.allSatisfy(\.selections.isEmpty) { return [] }
    return Set(DeviceSelector.Key.allCases.compactMap(\.fact))
  }

  /// The set of manifests that name none.
  package static let defaultSet = "default"

  package init(
    set: String = defaultSet, policy: Policy = Policy(), domains: [DesiredDomain] = [],
    completeness: Completeness = .stated
  ) {
    self.set = set
    self.policy = policy
    self.domains = domains
    self.completeness = completeness
  }
}

/// How sure it is that the manifests that were read are all that is declared for a host.
package enum Completeness: Hashable, Sendable {
  /// A person said so: by `--allow-removals`, or by an empty `domains` in a document that names the host.
  case stated
  /// Nothing speaks against it. A file may have been left out all the same.
  case assumed
  /// Documents name other hosts, and none names this one: perhaps the host was renamed.
  case doubtful
}

/// What may be removed, and what may be taken from the host's drivers.
package struct Policy: Hashable, Sendable {
  /// What happens to attached devices that nobody declares.
  package enum Prune: String, Sendable, CaseIterable {
    /// Berth never detaches a device because it is undeclared.
    case never
    /// Berth detaches undeclared devices that it attached or adopted.
    case owned
    /// Berth detaches all undeclared devices, in every domain.
    case all
  }
  /// Whether declared devices may be taken from the drivers of dom0.
  package enum HostDrivers: String, Sendable, CaseIterable {
    /// Berth takes a declared device from its driver, if neither the host nor another guest stands on the device.
    case prepare
    /// A declared device that has another driver than pciback is blocked.
    case never
  }
  /// What happens to a device that Berth took from its driver, once no manifest declares it and no domain has it.
  package enum AfterDetach: String, Sendable, CaseIterable {
    /// It stays on pciback.
    case keep
    /// It is returned to its driver.
    case restore
  }
  package var prune: Prune
  package var hostDrivers = HostDrivers.prepare
  package var afterDetach = AfterDetach.keep
  /// The devices that this run takes from drivers although something stands on them. No manifest can say so.
  package var overrides: [PCIAddress: InterlockOverride] = [:]
  /// Whether a run may load modules of the kernel: pciback, and those of drivers that get a device back.
  package var loadsModules = true
  /// The largest number of devices that a plan may detach; a plan with more is refused. Nil sets no limit.
  package var maxRemovals: Int?

  package init(prune: Prune = .owned, maxRemovals: Int? = nil) {
    self.prune = prune
    self.maxRemovals = maxRemovals
  }
}

/// Why a person lets a run take a device on which something stands.
package struct InterlockOverride: Hashable, Sendable, Codable {
  package var reason: String
  /// Who gave the reason: the user that started the run, as far as its environment shows.
  package var user: String
  package init(reason: String, user: String) { (self.reason, self.user) = (reason, user) }
}

/// A domain and the devices it should have.
package struct DesiredDomain: Hashable, Sendable {
  package var name: Name
  /// The UUID of the domain that is meant; nil if the name decides.
  package var uuid: DomainUUID?
  /// The devices with known addresses.
  package var devices: [DesiredDevice]
  /// The devices that an inventory still has to find.
  package var selections: [DeviceSelection]
  /// The devices that an inventory did not find.
  package var unresolved: [UnresolvedDevice] = []

  package init(
    name: Name, uuid: DomainUUID? = nil, devices: [DesiredDevice], selections: [DeviceSelection] = []
  ) {
    self.name = name
    self.uuid = uuid
    self.devices = devices
    self.selections = selections
  }
}

/// A device a domain should have.
package struct DesiredDevice: Hashable, Sendable {
  package var address: PCIAddress
  /// The identity that the device must have; a mismatch blocks the assignment.
  package var id: DeviceID?
  /// The serial number of the device that the manifest means, as the inventory has it; nil if it has none, or if the
  /// manifest says only where the device is.
  package var serial: String?
  /// The device's name in the manifest's `devices`.
  package var label: String?
  package var options: DeviceOptions
  /// Whether a missing device makes the run fail. Otherwise a missing device is only shown.
  package var isRequired: Bool
  /// Whether pciback is to take the device when the host starts.
  package var hidesAtBoot = false
  /// The card of which the manifest takes all functions, the device among them; nil if the manifest means the device
  /// alone. A card has the address of its function 0, whether or not there is one.
  package var card: PCIAddress?

  package init(
    address: PCIAddress, id: DeviceID? = nil, serial: String? = nil, label: String? = nil,
    options: DeviceOptions = DeviceOptions(),
    isRequired: Bool = true
  ) {
    self.address = address
    self.id = id
    self.serial = serial
    self.label = label
    self.options = options
    self.isRequired = isRequired
  }
}
