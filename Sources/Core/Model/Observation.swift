/// Everything read from one host at one moment, as far as it could be read.
package struct Observation: Hashable, Sendable {
  package var host: HostFacts
  /// When it was taken, in seconds since 1970.
  package var takenAt: Int64
  /// In order of their numbers; dom0 is not among them.
  package var domains: [ObservedDomain]
  /// Every device on pciback, in a back end, claimed, or asked for; in order of address.
  package var devices: [ObservedDevice]
  /// Back ends whose domain the hypervisor does not know.
  package var leftoverBackEnds: [BackEnd]
  /// What Berth recorded as its own.
  package var records: [OwnershipRecord]
  /// What an interrupted or a running Berth said it was about to do.
  package var intents: [Intent]
  /// The run locks as they were before anything else was read.
  package var runs: [DomainUUID: RunMark] = [:]

  package init(
    host: HostFacts, takenAt: Int64 = 0, domains: [ObservedDomain] = [], devices: [ObservedDevice] = [],
    leftoverBackEnds: [BackEnd] = [], records: [OwnershipRecord] = [], intents: [Intent] = []
  ) {
    self.host = host
    self.takenAt = takenAt
    self.domains = domains
    self.devices = devices
    self.leftoverBackEnds = leftoverBackEnds
    self.records = records
    self.intents = intents
  }
}

extension Observation {
  /// The stub domain of each guest that has one. Both must name the other: a number alone may be another domain's by now.
  package var stubDomains: [DomainID: ObservedDomain] {
    let named = Dictionary(domains.map { ($0.id, $0.stubDomain) }, uniquingKeysWith: { first, _ in first })
    var stubs: [DomainID: ObservedDomain] = [:]
    for domain in domains {
      if let guest = domain.stubDomainOf, named[guest] == domain.id { stubs[guest] = domain }
    }
    return stubs
  }
}

/// What is true of the host as a whole.
package struct HostFacts: Hashable, Sendable, Codable {
  /// The host's name, as `uname -n` gives it.
  package var name: String
  /// `4.17.7`; nil where the hypervisor could not be asked.
  package var xenVersion: String?
  /// Whether Xen uses an IOMMU (`XEN_SYSCTL_PHYSCAP_directio`); nil where unknown.
  package var hasIOMMU: Bool?
  /// Whether the pciback driver is loaded.
  package var hasPCIBack: Bool

  package init(name: String, xenVersion: String? = nil, hasIOMMU: Bool? = nil, hasPCIBack: Bool = true) {
    self.name = name
    self.xenVersion = xenVersion
    self.hasIOMMU = hasIOMMU
    self.hasPCIBack = hasPCIBack
  }
}

/// A domain as found.
package struct ObservedDomain: Hashable, Sendable, Codable {
  package var id: DomainID
  package var uuid: DomainUUID
  package var name: String
  package var kind: DomainKind
  package var lifecycle: DomainLifecycle
  /// Whether the domain was created so that devices can be assigned at all; nil where that was not asked.
  package var hasIOMMU: Bool?
  /// The guest this one is the stub domain of.
  package var stubDomainOf: DomainID?
  /// The stub domain that runs this guest's device model.
  package var stubDomain: DomainID?
  /// What emulates an HVM guest's machine; nil for other kinds.
  package var deviceModel: DeviceModelVersion?
  /// What that shows the guest; nil where it was not asked, or could not be.
  package var emulated: [EmulatedDevice]?
  package var backEnd: BackEnd?
  package var saved: SavedDevices

  package init(
    id: DomainID, uuid: DomainUUID, name: String, kind: DomainKind, lifecycle: DomainLifecycle,
    hasIOMMU: Bool? = nil, stubDomainOf: DomainID? = nil, stubDomain: DomainID? = nil,
    backEnd: BackEnd? = nil, saved: SavedDevices = .absent
  ) {
    self.id = id
    self.uuid = uuid
    self.name = name
    self.kind = kind
    self.lifecycle = lifecycle
    self.hasIOMMU = hasIOMMU
    self.stubDomainOf = stubDomainOf
    self.stubDomain = stubDomain
    self.backEnd = backEnd
    self.saved = saved
  }

  package var key: DomainKey { DomainKey(id: id, uuid: uuid) }

  /// The back end its devices are in: its own, or that of its stub domain, nil where that is not there. A stub domain has
  /// none of its own: what it has is its guest's.
  package func bus(through stub: ObservedDomain?) -> BackEnd? {
    if stubDomainOf != nil { return nil }
    return stubDomain == nil ? backEnd : stub?.backEnd
  }
}

/// The devices in libxl's saved configuration of a domain.
package enum SavedDevices: Hashable, Sendable, Codable {
  /// There is no `libxl-json` file.
  case absent
  case devices([SavedDevice])
  /// The file is there and cannot be read as libxl would; the text says why.
  case corrupt(String)
}

/// One element of `pcidevs` in libxl's saved configuration.
package struct SavedDevice: Hashable, Sendable, Codable {
  package var address: PCIAddress
  package var options: DeviceOptions
  package init(address: PCIAddress, options: DeviceOptions) { (self.address, self.options) = (address, options) }
}

/// A device as found.
package struct ObservedDevice: Hashable, Sendable, Codable {
  package var address: PCIAddress
  /// What sysfs says; nil where there is no such device.
  package var facts: DeviceFacts?
  /// The domain number in `/libxl/pci/<address>/domid`.
  package var claim: DomainID?
  package var assignment: HypervisorAssignment
  package init(
    address: PCIAddress, facts: DeviceFacts?, claim: DomainID? = nil, assignment: HypervisorAssignment = .unknown
  ) {
    self.address = address
    self.facts = facts
    self.claim = claim
    self.assignment = assignment
  }
}

/// What sysfs tells of a device.
package struct DeviceFacts: Hashable, Sendable, Codable {
  package var id: DeviceID?
  /// Class, subclass and programming interface, 24 bits.
  package var deviceClass: UInt32?
  /// The bound driver's name; nil where none is bound.
  package var driver: String?
  /// On pciback's list of devices.
  package var isOnPCIBack: Bool

  package init(id: DeviceID? = nil, deviceClass: UInt32? = nil, driver: String? = nil, isOnPCIBack: Bool = false) {
    self.id = id
    self.deviceClass = deviceClass
    self.driver = driver
    self.isOnPCIBack = isOnPCIBack
  }

  /// A bridge (class 06) cannot be passed through.
  package var isBridge: Bool { (deviceClass ?? 0) >> 16 == 0x06 }
}

/// What the hypervisor says of a device's owner. No call names the owner (xen/drivers/passthrough/pci.c, 4.17).
package enum HypervisorAssignment: String, Sendable, Codable, CaseIterable {
  /// Owned by dom0 or quarantined.
  case free
  /// Owned by some guest.
  case assigned
  /// The host has no IOMMU.
  case impossible
  /// Not asked, or it could not be told.
  case unknown
}

/// What Berth recorded as its own in one domain, under its state directory.
package struct OwnershipRecord: Hashable, Sendable, Codable {
  package var uuid: DomainUUID
  /// The name the domain had; for people.
  package var name: String
  package var devices: [PCIAddress]
  /// What pciback was seen to export to the domain: the only way to put an entry back that was overwritten.
  package var exports: [ExportRecord]
  /// What qemu-traditional, which cannot be asked what it has, said of devices.
  package var emulations: [EmulationRecord]
  /// Seconds since 1970 when the domain was first found gone; nil while it lives.
  package var goneSince: Int64?

  package init(
    uuid: DomainUUID, name: String, devices: [PCIAddress], exports: [ExportRecord] = [],
    emulations: [EmulationRecord] = [], goneSince: Int64? = nil
  ) {
    self.exports = exports
    self.emulations = emulations
    self.uuid = uuid
    self.name = name
    self.devices = devices
    self.goneSince = goneSince
  }
}

/// What became of a device that qemu-traditional was asked for, or not yet.
package struct EmulationRecord: Hashable, Sendable, Codable {
  package enum Fate: String, Sendable, Codable {
    /// Not asked for yet, refused, or let go.
    case gone
    /// Asked for, and not answered.
    case asked
    case shown
  }
  package var device: PCIAddress
  /// The domain whose bus the device is on: with another stub domain there is another QEMU.
  package var domain: DomainID
  package var fate: Fate
  /// Slot and function that the guest sees it at, as one number; 0 where it is not known.
  package var place: UInt8
  package init(device: PCIAddress, domain: DomainID, fate: Fate, place: UInt8 = 0) {
    self.device = device
    self.domain = domain
    self.fate = fate
    self.place = place
  }
}

/// What a Berth process is about to do to one domain, written down before it does it.
package struct Intent: Hashable, Sendable, Codable {
  package enum Operation: String, Sendable, Codable { case attach, detach }
  /// Names the file; unique on the host.
  package var identifier: String
  package var domain: DomainKey
  package var operation: Operation
  package var devices: [PCIAddress]
  /// Whether the process that wrote it is still at work (it holds the file's lock).
  package var isLive: Bool

  package init(
    identifier: String, domain: DomainKey, operation: Operation, devices: [PCIAddress], isLive: Bool = false
  ) {
    self.identifier = identifier
    self.domain = domain
    self.operation = operation
    self.devices = devices
    self.isLive = isLive
  }
}
