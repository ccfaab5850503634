package import Model
package import XenProtocol

/// One device of a domain, seen from every side.
package struct DeviceStatus: Sendable {
  package var address: PCIAddress
  package var id: DeviceID?
  package var label: String?
  package var attachment: Attachment
  package var virtualAddress: PCIAddress?
  package var options: DeviceOptions?
  package var isDeclared: Bool
  package var isOwned: Bool
  /// The set that owns it; nil if it is not owned, or recorded without a set.
  package var set: String?
  package var isSaved: Bool
  package var claim: DomainID?
  /// The declared device that it may be, by its name in the manifest, if that is not settled.
  package var perhaps: String?
}

/// One domain and its devices.
package struct DomainStatus: Sendable {
  package var name: Name
  package var uuid: DomainUUID?
  /// Nil if the domain does not exist now.
  package var observed: ObservedDomain?
  /// The bus of its devices: the domain's own, or its stub domain's.
  package var bus: BackEnd?
  /// The run of Berth that was at work on the domain.
  package var run: RunHolder?
  package var devices: [DeviceStatus]
  /// Declared devices that were not found, or not as exactly one.
  package var unresolved: [UnresolvedStep] = []
}

/// What a host has, put together from an observation and what is declared for it.
package struct HostStatus: Sendable {
  package var host: HostFacts
  package var domainCount: Int
  package var deviceCount: Int
  package var domains: [DomainStatus]
  /// Devices that are in no domain.
  package var free: [ObservedDevice]
  /// What belongs to no living domain, as the planner sees it.
  package var hostSteps: [HostStep]
  /// Where the stores disagree, devices first.
  package var drifts: [Drift]
  package var intents: [Intent]

  /// Puts together what the observation and `desired` say; `plan` must be made from the same two.
  package init(index: ObservationIndex, desired: DesiredState?, plan: Plan) {
    let observation = index.observation
    let desired = desired?.resolved(in: observation.inventory)
    hostSteps = plan.hostSteps
    drifts = makeDriftMatrix(desired: desired, index: index, plan: plan).findings
    host = observation.host
    domainCount = observation.domains.count
    deviceCount = observation.devices.count
    intents = observation.intents

    let devices = Dictionary(observation.devices.map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    var declared = Dictionary(
      (desired?.domains ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let byUUID = Dictionary(
      (desired?.domains ?? []).compactMap { domain in domain.uuid.map { ($0, domain.name) } },
      uniquingKeysWith: { first, _ in first })
    var records = Dictionary(observation.records.map { ($0.uuid, $0) }, uniquingKeysWith: { first, _ in first })
    var used: Set<PCIAddress> = []

    let stubs = observation.stubDomains
    domains = observation.domains.map { domain in
      let bus = domain.bus(through: stubs[domain.id])
      // A declaration with a UUID does not mean another domain of its name.
      let name = byUUID[domain.uuid] ?? (declared[domain.name]?.uuid == nil ? domain.name : nil)
      let wanted = name.flatMap { declared.removeValue(forKey: $0) }
      let record = records.removeValue(forKey: domain.uuid)
      let status = DomainStatus(
        name: domain.name, uuid: domain.uuid, observed: domain, bus: bus, run: observation.runs[domain.uuid]?.holder,
        devices: Self.devices(of: domain, on: bus, wanted: wanted, record: record, among: devices))
      used.formUnion(status.devices.filter { $0.attachment != .absent }.map(\.address))
      return status
    }
    // Declared or remembered domains that do not exist now, in order of name.
    let wantedIDs = Set(declared.values.compactMap(\.uuid))
    var absent: [DomainStatus] = []
    for wanted in desired?.domains ?? [] {
      guard let wanted = declared.removeValue(forKey: wanted.name) else { continue }
      let record = wanted.uuid.flatMap { records[$0] } ?? Self.record(named: wanted.name, in: records, not: wantedIDs)
      if let record { records.removeValue(forKey: record.uuid) }
      absent.append(Self.absentDomain(wanted.name, wanted: wanted, record: record, among: devices))
    }
    absent += records.values.map { Self.absentDomain($0.name, wanted: nil, record: $0, among: devices) }
    domains += absent.sorted { ($0.name, $0.uuid?.description ?? "") < ($1.name, $1.uuid?.description ?? "") }
    free = observation.devices.filter { !used.contains($0.address) && $0.facts != nil }
    domains.note(plan.domains.filter { !$0.unresolved.isEmpty })
  }

  /// Returns the record of a name. Of several, it is the one whose domain was last there; of equals, the first by UUID.
  private static func record(
    named name: Name, in records: [DomainUUID: OwnershipRecord], not others: Set<DomainUUID>
  ) -> OwnershipRecord? {
    records.values.filter { $0.name == name && !others.contains($0.uuid) }.max {
      let (lhs, rhs) = ($0.goneSince ?? .max, $1.goneSince ?? .max)
      return lhs == rhs ? $0.uuid.description > $1.uuid.description : lhs < rhs
    }
  }

  private static func absentDomain(
    _ name: Name, wanted: DesiredDomain?, record: OwnershipRecord?, among devices: [PCIAddress: ObservedDevice]
  ) -> DomainStatus {
    let addresses = Set(wanted?.devices.map(\.address) ?? []).union(record?.devices ?? [])
    return DomainStatus(
      name: name, uuid: wanted?.uuid ?? record?.uuid, observed: nil,
      devices: addresses.sorted().map { address in
        let declared = wanted?.devices.first { $0.address == address }
        return DeviceStatus(
          address: address, id: devices[address]?.facts?.id, label: declared?.label, attachment: .absent,
          isDeclared: declared != nil, isOwned: record?.devices.contains(address) ?? false,
          set: record?.sets.first { $0.device == address }?.set, isSaved: false,
          claim: devices[address]?.claim)
      })
  }

  private static func devices(
    of domain: ObservedDomain, on bus: BackEnd?, wanted: DesiredDomain?, record: OwnershipRecord?,
    among devices: [PCIAddress: ObservedDevice]
  ) -> [DeviceStatus] {
    var saved: [PCIAddress: SavedDevice] = [:]
    if case .devices(let list) = domain.saved { for device in list { saved[device.address] = device } }
    let entries = Dictionary(
      (bus?.entries ?? []).compactMap { entry in entry.device.map { ($0, entry) } },
      uniquingKeysWith: { first, _ in first })
    let addresses = Set(entries.keys).union(saved.keys).union(wanted?.devices.map(\.address) ?? [])
      .union(record?.devices ?? [])
    return addresses.sorted().map { address in
      let entry = entries[address]
      let declared = wanted?.devices.first { $0.address == address }
      let place = domain.emulated?.first { $0.name == DeviceModelName(address) }
      let isSaved = domain.isSaved(address) == true
      var attachment = attachment(entry, of: bus, isSaved: isSaved)
      if domain.kind == .hvm, attachment == .attached || attachment == .exported {
        attachment = domain.emulated == nil ? .exported : place == nil ? .held : .attached
      }
      return DeviceStatus(
        address: address, id: devices[address]?.facts?.id, label: declared?.label, attachment: attachment,
        virtualAddress: domain.kind == .hvm ? place?.guestAddress : entry?.virtualAddress,
        options: entry?.options ?? saved[address]?.options,
        isDeclared: declared != nil, isOwned: record?.devices.contains(address) ?? false,
        set: record?.sets.first { $0.device == address }?.set, isSaved: isSaved,
        claim: devices[address]?.claim)
    }
  }

  private static func attachment(_ entry: BackEndEntry?, of backEnd: BackEnd?, isSaved: Bool) -> Attachment {
    guard let entry, let backEnd else { return isSaved ? .saved : .absent }
    switch entry.state.state {
    case .initialised:
      guard entry.isExported else { return .entered }
      return backEnd.state.state == .connected && backEnd.frontEndState.state == .connected ? .attached : .exported
    case .initialising, .initWait: return .entered
    case .closing, .closed: return .removing
    case .unknown, .connected, .reconfiguring, .reconfigured, nil: return .unclear
    }
  }
}

extension [DomainStatus] {
  /// Adds the declared devices that were not found, and marks those that may be meant.
  fileprivate mutating func note(_ open: [DomainPlan]) {
    guard !open.isEmpty else { return }
    var names: [PCIAddress: String] = [:]
    for step in open.flatMap(\.unresolved) {
      for address in step.candidates { names[address] = names[address] ?? step.label }
    }
    for index in indices {
      let domain = self[index]
      let plan = open.first { $0.uuid == nil || domain.uuid == nil ? $0.name == domain.name : $0.uuid == domain.uuid }
      self[index].unresolved = plan?.unresolved ?? []
      for position in domain.devices.indices where !domain.devices[position].isDeclared {
        self[index].devices[position].perhaps = names[domain.devices[position].address]
      }
    }
  }
}
