package import Model
package import Ports
package import XenProtocol

/// Everything that was read from one host at one moment, as far as it was readable.
package struct Observation: Hashable, Sendable {
  package var host: HostFacts
  /// When the observation was made, in seconds since 1970.
  package var takenAt: Int64
  /// The domains in order of their numbers, without dom0.
  package var domains: [ObservedDomain]
  /// Every device on pciback, in a back end, claimed, or declared; in order of address.
  package var devices: [ObservedDevice]
  /// Back ends whose domain the hypervisor does not know.
  package var leftoverBackEnds: [BackEnd]
  /// What Berth recorded as owned.
  package var records: [OwnershipRecord]
  /// What a Berth process, ended or still at work, announced that it was about to do.
  package var intents: [Intent]
  /// Berth's own files that could not be used.
  package var damaged: [DamagedFile] = []
  /// The last export of each device since the host started, by the kernel log; nil if that was not read, or if the log
  /// does not show all of them.
  package var exported: [PCIAddress: ExportRecord]?
  /// The domains in `exported` whose bus dom0's kernel no longer has.
  package var endedBuses: Set<DomainID> = []
  /// The host's PCI functions; nil if no declared device has to be found by what it is.
  package var inventory: Inventory?
  /// What Berth recorded of devices that it took from their drivers.
  package var preparations: [PreparationRecord] = []
  /// What the host stands on; nil if no declared device would be taken from a driver.
  package var hostUse: HostUse?
  /// The marks of the run locks, read before anything else.
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
  /// The devices in `exported` that the domain of their last export does not keep from another one: it has released
  /// the device, or shows it, and then releases it first.
  package var released: Set<PCIAddress> {
    guard let exported else { return [] }
    let living = Dictionary(domains.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    return Set(
      exported.values.filter { export in
        if endedBuses.contains(export.domain) { return true }
        guard let domain = living[export.domain] else { return false }
        return domain.kind == .pv || domain.backEnd?.entry(for: export.device)?.isExported == true
      }.map(\.device))
  }

  /// Whether some HVM guest's bus leaves open what pciback holds, so that the kernel log is to be read.
  package var leavesHoldsOpen: Bool {
    domains.contains { $0.leavesHoldsOpen }
  }

  /// Returns the stub domain of each guest that has one. Each of the two must name the other: a number alone may
  /// belong to another domain by now.
  package var stubDomains: [DomainID: ObservedDomain] {
    guard domains.contains(where: { $0.stubDomainOf != nil }) else { return [:] }
    let named = Dictionary(domains.map { ($0.id, $0.stubDomain) }, uniquingKeysWith: { first, _ in first })
    var stubs: [DomainID: ObservedDomain] = [:]
    for domain in domains {
      if let guest = domain.stubDomainOf, named[guest] == domain.id { stubs[guest] = domain }
    }
    return stubs
  }
}

extension ObservedDomain {
  fileprivate var leavesHoldsOpen: Bool {
    guard kind == .hvm, stubDomain == nil, let bus = backEnd, !bus.isGoing else { return false }
    return bus.isUnsettled || savedAddresses.contains { bus.entry(for: $0) == nil }
  }
}

/// Facts about the host as a whole.
package struct HostFacts: Hashable, Sendable {
  /// The host's name, as `uname -n` gives it.
  package var name: String
  /// `4.17.7`; nil if the hypervisor did not answer.
  package var xenVersion: String?
  /// Whether Xen uses an IOMMU (`XEN_SYSCTL_PHYSCAP_directio`); nil if unknown.
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
package struct ObservedDomain: Hashable, Sendable {
  package var id: DomainID
  package var uuid: DomainUUID
  /// `Name.missing` if xenstore has none.
  package var name: Name
  package var kind: DomainKind
  package var lifecycle: DomainLifecycle
  /// Whether the domain was created with support for assigned devices; nil if that was not asked.
  package var hasIOMMU: Bool?
  /// The guest whose stub domain this is.
  package var stubDomainOf: DomainID?
  /// The stub domain that runs this guest's device model.
  package var stubDomain: DomainID?
  /// The version of the device model that emulates an HVM guest's machine; nil for other kinds.
  package var deviceModel: DeviceModelVersion?
  /// The devices that the device model shows to the guest; nil if it was not asked or did not answer.
  package var emulated: [EmulatedDevice]?
  /// The slots of the guest's first bus that the device model uses, for devices of its own too; nil if that is not known.
  package var usedSlots: Set<UInt8>?
  package var backEnd: BackEnd?
  package var saved: SavedDevices
  /// The lines of the saved configuration that Berth does not understand, and leaves alone.
  package var otherSavedLines: [OtherSavedLine] = []
  /// Why it stays after it has shut down; nil if it has not, or if its toolstack is to end it.
  package var kept: KeptDomain?

  package init(
    id: DomainID, uuid: DomainUUID, name: Name, kind: DomainKind, lifecycle: DomainLifecycle,
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

  /// The devices that some line of the saved configuration means, also one that Berth leaves alone: each may show a
  /// device that the domain had.
  package var savedAddresses: Set<PCIAddress> {
    guard case .devices(let devices) = saved else { return [] }
    return Set(devices.map(\.address)).union(otherSavedLines.compactMap(\.meaning))
  }

  /// Returns whether libxl's saved configuration makes libxl attach the device; nil if the configuration is not there or
  /// cannot be read.
  func isSaved(_ device: PCIAddress) -> Bool? {
    guard case .devices(let devices) = saved else { return nil }
    return devices.contains { $0.address == device } || otherSavedLines.contains { $0.covers(device) }
  }

  /// Returns the back end that lists the domain's devices: its own, or that of its stub domain; nil if that one does
  /// not exist. A stub domain has no devices of its own: its back end lists its guest's devices.
  package func bus(through stub: ObservedDomain?) -> BackEnd? {
    if stubDomainOf != nil { return nil }
    return stubDomain == nil ? backEnd : stub?.backEnd
  }
}

/// A domain that has shut down, and that its configuration keeps.
package struct KeptDomain: Hashable, Sendable {
  /// The key of xl's configuration that says so: `on_crash`, for example.
  package var event: String
  package init(event: String) { self.event = event }
}

/// A device as found.
package struct ObservedDevice: Hashable, Sendable {
  package var address: PCIAddress
  /// What sysfs reports; nil if there is no such device.
  package var facts: DeviceFacts?
  /// The domain number in `/libxl/pci/<address>/domid`.
  package var claim: DomainID?
  package var assignment: HypervisorAssignment
  /// Whether pciback lets its guest write the whole configuration space; nil if nobody looked.
  package var isPermissive: Bool?
  /// Whether it has virtual functions; read only of permissive devices.
  package var hasVirtualFunctions = false
  /// Its driver and its override; read only of declared devices that pciback does not have.
  package var binding: DriverBinding?
  /// Its virtual functions; read with `binding`.
  package var virtualFunctions: [FunctionName] = []

  package init(
    address: PCIAddress, facts: DeviceFacts?, claim: DomainID? = nil, assignment: HypervisorAssignment = .unknown
  ) {
    self.address = address
    self.facts = facts
    self.claim = claim
    self.assignment = assignment
  }
}

/// What the hypervisor reports about a device's owner. No call names the owner (xen/drivers/passthrough/pci.c, 4.17).
package enum HypervisorAssignment: String, Sendable, CaseIterable {
  /// Owned by dom0 or quarantined.
  case free
  /// Owned by some guest.
  case assigned
  /// The host has no IOMMU.
  case impossible
  /// The hypervisor was not asked, or its answer left it open.
  case unknown
}
