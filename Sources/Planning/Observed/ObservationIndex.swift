import Model
import Ports
import XenProtocol

/// An observation with its parts by address, by domain and by name. It is built once per observation: a plan and a drift
/// matrix of the same observation share it.
package struct ObservationIndex {
  package let observation: Observation
  let devices: DeviceTable
  let domains: [Guest]
  /// Living guests by name; stub domains are no guests. A guest without a name is not among them.
  let guests: [Name: [Guest]]
  let living: [DomainID: Guest]
  /// Who lists each device in a back end.
  let listings: [PCIAddress: [DomainID]]
  /// Who lists each device in a back end that outlived its domain, and that the kernel still serves.
  let leftoverListings: [PCIAddress: DomainID]
  /// The living domains in which a set owns each device.
  let setHolders: [PCIAddress: [(guest: Guest, set: String)]]
  /// Why the last attach to a living domain failed, if the cause does not go away by itself.
  let refusals: [DomainID: [PCIAddress: String]]
  /// The living domains that were granted something of each device, in order.
  let grantees: [PCIAddress: [DomainID]]
  let intended: [DomainKey: Set<PCIAddress>]
  /// The part of `intended` that runs still at work have announced.
  let announced: [DomainKey: Set<PCIAddress>]
  /// The part of `intended` that dead runs have left.
  let abandoned: [DomainKey: Set<PCIAddress>]
  /// The devices that a run has pciback release and take again, or a dead run had, and may not have bound again.
  let rebinding: Set<PCIAddress>
  /// The domains that have each device in `abandoned`, in order.
  let abandoners: [PCIAddress: [DomainID]]
  /// What guests still have of devices that their buses do not list.
  let remnants: [DomainID: [PCIAddress: Remnant]]
  /// The guests with a remnant of each device, in order.
  let remnantHolders: [PCIAddress: [DomainID]]
  /// How many seconds an ended run's attach is old, in running guests that have never connected to their buses.
  let unconnected: [DomainID: Int64]
  /// The guests that have a device only by their saved line, because their QEMU could not be asked.
  let unasked: [PCIAddress: [DomainID]]

  /// The devices that Berth took from their drivers.
  let preparations: [PCIAddress: PreparationRecord]

  /// Returns the damage that keeps the record of a device's driver from being read; nil if there is none.
  func damage(ofPreparation device: PCIAddress) -> DamagedFile? {
    observation.damaged.first { $0.kind == .preparation && $0.concern == .device(device) }
  }

  /// Whether Berth attached or adopted the device in this domain, or said it was about to.
  func isOwned(_ device: PCIAddress, in domain: Guest) -> Bool {
    domain.recorded.owned.contains(device) || intended[domain.key]?.contains(device) == true
  }

  package init(_ observation: Observation) {
    self.observation = observation
    let devices = DeviceTable(observation.devices)
    self.devices = devices
    preparations = Dictionary(
      observation.preparations.map { ($0.device, $0) }, uniquingKeysWith: { first, _ in first })
    let stubs = observation.stubDomains
    let records = RecordedDevices.byDomain(observation.records)
    let histories = Self.histories(observation, records)
    // A damaged lock is reported by the run that wants to take it.
    let damaged = observation.damaged.filter { $0.kind != .runLock && $0.kind != .preparation }
    domains = observation.domains.map { domain in
      Guest(
        domain, stub: stubs[domain.id], recorded: records[domain.uuid] ?? .none,
        history: histories[domain.id] ?? .unknown, damage: damaged.first { $0.concerns(domain.key) }
      ) { devices[$0]?.claim }
    }
    guests = Dictionary(grouping: domains.filter { $0.stubDomainOf == nil && !$0.name.isEmpty }, by: \.name)
    living = Dictionary(domains.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    // Built in a loop, with room for all from the start, because it grows with the host.
    var listings = [PCIAddress: [DomainID]](minimumCapacity: observation.devices.count)
    for domain in domains {
      for device in domain.listed { listings[device, default: []].append(domain.id) }
    }
    self.listings = listings
    leftoverListings = Dictionary(
      observation.leftoverBackEnds.filter { $0.hasKernelObject != false }.flatMap { backEnd in
        backEnd.entries.compactMap { entry in entry.device.map { ($0, backEnd.domain) } }
      }, uniquingKeysWith: { first, _ in first })
    var setHolders: [PCIAddress: [(guest: Guest, set: String)]] = [:]
    for guest in domains where guest.stubDomainOf == nil {
      for (device, set) in guest.recorded.sets where guest.recorded.owned.contains(device) {
        setHolders[device, default: []].append((guest, set))
      }
    }
    self.setHolders = setHolders
    var refusals: [DomainID: [PCIAddress: String]] = [:]
    for record in observation.records where !record.refusals.isEmpty {
      for refusal in record.refusals where living[refusal.domain]?.uuid == record.uuid {
        refusals[refusal.domain, default: [:]][refusal.device] = refusal.words
      }
    }
    self.refusals = refusals
    func byDomain(_ intents: [Intent]) -> [DomainKey: Set<PCIAddress>] {
      Dictionary(intents.map { ($0.domain, Set($0.devices)) }, uniquingKeysWith: { $0.union($1) })
    }
    let changes = observation.intents.filter { $0.operation != .rebind }
    intended = byDomain(changes)
    announced = byDomain(changes.filter(\.isLive))
    abandoned = byDomain(changes.filter { !$0.isLive })
    rebinding = Set(observation.intents.filter { $0.operation == .rebind }.flatMap(\.devices))
    var abandoners: [PCIAddress: [DomainID]] = [:]
    for (key, devices) in abandoned.sorted(by: { $0.key.id < $1.key.id }) {
      for device in devices { abandoners[device, default: []].append(key.id) }
    }
    self.abandoners = abandoners
    unconnected = Self.unconnected(domains, observation)
    let remnants = Self.remnants(in: domains, among: devices, besides: intended)
    self.remnants = remnants
    var remnantHolders: [PCIAddress: [DomainID]] = [:]
    var unasked: [PCIAddress: [DomainID]] = [:]
    var grantees: [PCIAddress: [DomainID]] = [:]
    for domain in domains {
      for device in (remnants[domain.id] ?? [:]).keys { remnantHolders[device, default: []].append(domain.id) }
      let granted = domain.recorded.grants.filter { $0.domain == domain.id }.map(\.device)
      for device in Set(granted) { grantees[device, default: []].append(domain.id) }
      for device in domain.savedUnasked { unasked[device, default: []].append(domain.id) }
    }
    self.remnantHolders = remnantHolders
    self.unasked = unasked
    self.grantees = grantees
  }
}

extension ObservationIndex {
  /// Returns what is known of exports to the buses of HVM guests, besides the buses' entries.
  private static func histories(
    _ observation: Observation, _ records: [DomainUUID: RecordedDevices]
  ) -> [DomainID: ExportHistory] {
    guard observation.leavesHoldsOpen else { return [:] }
    let released = observation.released
    var histories: [DomainID: ExportHistory] = [:]
    for domain in observation.domains where domain.kind == .hvm {
      histories[domain.id] = ExportHistory(
        recorded: ExportHistory.places(of: records[domain.uuid]?.exports ?? [], on: domain.id),
        logged: observation.exported,
        released: released)
    }
    return histories
  }
}

/// How long a bus must have waited for its guest before that is a state of its own, in seconds: much longer than any
/// toolstack waits (10 s, `LIBXL_INIT_TIMEOUT`, tools/libs/light/libxl_internal.h, Xen 4.17), and than a kernel takes to
/// find its buses.
private let longestConnecting: Int64 = 120

extension ObservationIndex {
  /// Returns the guests that have not connected for long. A front end that is still at 1 shows that no driver in the
  /// guest has ever looked at the bus.
  fileprivate static func unconnected(_ domains: [Guest], _ observation: Observation) -> [DomainID: Int64] {
    let attaches = observation.intents.filter { !$0.isLive && $0.operation == .attach }
    guard !attaches.isEmpty else { return [:] }
    var found: [DomainID: Int64] = [:]
    for guest in domains {
      guard guest.lifecycle == .running, guest.condition == .connecting,
        guest.backEnd?.frontEndState.state == .initialising
      else { continue }
      let ages = attaches.filter { $0.domain == guest.key && $0.devices.contains(where: guest.lists) }
        .compactMap(\.since).map { seconds(from: $0, to: observation.takenAt) }
      if let age = ages.max(), age > longestConnecting { found[guest.id] = age }
    }
    return found
  }
}

extension Guest {
  /// Returns what shows that the guest has not connected for `seconds`.
  func unconnectedText(_ seconds: Int64) -> String {
    let who = route?.stubDomain.map { "stub domain \($0.id)" } ?? "the guest"
    return "\(who) has not connected to its PCI bus for \(seconds) s (back end \(busText))"
  }
}
