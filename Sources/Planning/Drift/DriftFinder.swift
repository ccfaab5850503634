import Model
import XenProtocol

/// The stores' views of each device, indexed, beside the plan that was made of them.
struct DriftFinder {
  struct Listing {
    let guest: Guest
    let entry: BackEndEntry
    let isOrphan: Bool
  }

  let planner: Planner
  let plan: Plan
  let hasManifest: Bool
  /// Living guests, stub domains not among them, in order of their numbers.
  let guests: [Guest]
  let listings: [PCIAddress: [Listing]]
  let savers: [PCIAddress: [Guest]]
  let leftovers: [PCIAddress: [(BackEnd, BackEndEntry)]]
  let recorders: [PCIAddress: [OwnershipRecord]]
  /// What Berth saw exported, by the domain it was exported for.
  let exports: [DomainUUID: [ExportRecord]]
  /// Living domains' names and numbers.
  let names: [DomainUUID: Name]
  let numbers: [DomainUUID: DomainID]
  let declared: [PCIAddress: DesiredDevice]
  let steps: PlanIndex

  init(planner: Planner, plan: Plan, hasManifest: Bool) {
    self.planner = planner
    self.plan = plan
    self.hasManifest = hasManifest
    guests = planner.index.domains.filter { $0.stubDomainOf == nil }
    var listings: [PCIAddress: [Listing]] = [:]
    var savers: [PCIAddress: [Guest]] = [:]
    for guest in guests {
      for entry in guest.entries {
        if let device = entry.device {
          listings[device, default: []].append(Listing(guest: guest, entry: entry, isOrphan: false))
        }
      }
      for entry in guest.backEnd?.orphans ?? [] {
        if let device = entry.device {
          listings[device, default: []].append(Listing(guest: guest, entry: entry, isOrphan: true))
        }
      }
      if case .devices(let saved) = guest.saved {
        for device in Set(saved.map(\.address)) { savers[device, default: []].append(guest) }
      }
    }
    self.listings = listings
    self.savers = savers
    var leftovers: [PCIAddress: [(BackEnd, BackEndEntry)]] = [:]
    for backEnd in planner.observation.leftoverBackEnds {
      for entry in backEnd.entries + backEnd.orphans {
        if let device = entry.device { leftovers[device, default: []].append((backEnd, entry)) }
      }
    }
    self.leftovers = leftovers
    var recorders: [PCIAddress: [OwnershipRecord]] = [:]
    for record in planner.observation.records {
      for device in Set(record.devices) { recorders[device, default: []].append(record) }
    }
    self.recorders = recorders
    exports = Dictionary(
      planner.observation.records.map { ($0.uuid, $0.exports) }, uniquingKeysWith: { $0 + $1 })
    names = Dictionary(planner.index.domains.map { ($0.uuid, $0.name) }, uniquingKeysWith: { first, _ in first })
    numbers = Dictionary(planner.index.domains.map { ($0.uuid, $0.id) }, uniquingKeysWith: { first, _ in first })
    declared = Dictionary(
      planner.desired.domains.flatMap(\.devices).map { ($0.address, $0) }, uniquingKeysWith: { first, _ in first })
    steps = PlanIndex(plan)
  }

  func matrix() -> DriftMatrix {
    var addresses = Set(planner.index.devices.all.map(\.address)).union(planner.declarations.keys)
    addresses.formUnion(listings.keys)
    addresses.formUnion(savers.keys)
    addresses.formUnion(leftovers.keys)
    addresses.formUnion(recorders.keys)
    addresses.formUnion(planner.index.grantees.keys)
    addresses.formUnion(planner.observation.intents.flatMap(\.devices))
    return DriftMatrix(
      host: planner.observation.host, domainCount: planner.observation.domains.count, hasManifest: hasManifest,
      rows: addresses.sorted().map { row($0) }, domains: domainDrifts())
  }

  private func row(_ address: PCIAddress) -> DriftRow {
    let device = planner.index.devices[address]
    return DriftRow(
      device: address, id: device?.facts?.id, label: declared[address]?.label,
      manifest: planner.declarations[address]?.text,
      records: (recorders[address] ?? []).map { (names[$0.uuid] ?? $0.name).text },
      saved: (savers[address] ?? []).map(\.holder),
      entries: (listings[address] ?? []).map {
        DriftRow.Entry(
          holder: $0.guest.holder, state: $0.entry.state, virtualAddress: $0.entry.virtualAddress,
          isOrphan: $0.isOrphan)
      }
        + (leftovers[address] ?? []).map { backEnd, entry in
          DriftRow.Entry(
            holder: Holder(id: backEnd.domain, name: nil), state: entry.state, virtualAddress: entry.virtualAddress,
            isOrphan: false)
        },
      claim: device?.claim.map { holder($0) }, assignment: device?.assignment ?? .unknown,
      isOnPCIBack: device?.facts?.isOnPCIBack, driver: device?.facts?.driver,
      emulations: emulations(of: address), drifts: drifts(of: address))
  }

  private func emulations(of address: PCIAddress) -> [DriftRow.Emulation] {
    let name = DeviceModelName(address)
    return suspects(of: address).compactMap { guest in
      guard guest.route?.hasDeviceModel == true else { return nil }
      let isListed = guest.lists(address)
      // Names lack the segment: a device that another address of that name explains is not this one.
      guard isListed || planner.index.remnants[guest.id]?[address] == .emulated else { return nil }
      let shown = guest.observed.emulated?.first { $0.name == name }
      return DriftRow.Emulation(
        holder: guest.holder, guestAddress: shown?.guestAddress, isKnown: guest.observed.emulated != nil)
    }
  }

  /// The living guests that some store connects with the device, in order of their numbers.
  func suspects(of address: PCIAddress) -> [Guest] {
    var ids = Set((listings[address] ?? []).map(\.guest.id))
    ids.formUnion((savers[address] ?? []).map(\.id))
    ids.formUnion(planner.index.remnantHolders[address] ?? [])
    ids.formUnion(planner.index.grantees[address] ?? [])
    ids.formUnion(planner.observation.intents.filter { $0.devices.contains(address) }.map(\.domain.id))
    if let claim = planner.index.devices[address]?.claim { ids.insert(claim) }
    for record in recorders[address] ?? [] {
      if let id = numbers[record.uuid] { ids.insert(id) }
    }
    return ids.sorted().compactMap { planner.index.living[$0] }.filter { $0.stubDomainOf == nil }
  }

  func holder(_ id: DomainID) -> Holder { Holder(id: id, name: planner.index.living[id]?.name) }
}

extension Guest {
  var holder: Holder { Holder(id: id, name: name) }

  /// The domain as an argument of a command.
  var argument: String { holder.argument ?? id.description }

  /// For evidence: `net (domain 5)`.
  var label: String { name.isEmpty ? title : "\(name) (domain \(id))" }

  /// Its name, or its number if it has none.
  var title: String { name.title(of: id) }
}

/// A plan's steps by domain and device.
struct PlanIndex {
  private struct Key: Hashable {
    let domain: DomainKey
    let device: PCIAddress
  }
  private var steps: [Key: [DeviceStep]] = [:]
  /// All steps of a domain.
  private(set) var domains: [DomainKey: [DeviceStep]] = [:]
  let bookkeeping: Set<RecordChange>

  init(_ plan: Plan) {
    bookkeeping = Set(plan.bookkeeping)
    for domain in plan.domains {
      guard let id = domain.id, let uuid = domain.uuid else { continue }
      let key = DomainKey(id: id, uuid: uuid)
      domains[key, default: []] += domain.steps
      for step in domain.steps {
        steps[Key(domain: key, device: step.device), default: []].append(step)
        // A moved device is a step of the domain that gets it, and leaves this one.
        if let source = step.holder?.key { steps[Key(domain: source, device: step.device), default: []].append(step) }
      }
    }
  }

  func steps(in domain: DomainKey, of device: PCIAddress) -> [DeviceStep] {
    steps[Key(domain: domain, device: device)] ?? []
  }
}
