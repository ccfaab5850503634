import Model
import XenProtocol

/// An observation with its parts by address, by domain and by name. It is built once per observation: a plan and a drift
/// matrix of the same observation share it.
package struct ObservationIndex {
  package let observation: Observation
  let devices: [PCIAddress: ObservedDevice]
  let domains: [Guest]
  /// Living guests by name; stub domains are no guests.
  let guests: [String: [Guest]]
  let living: [DomainID: Guest]
  /// Who lists each device in a back end.
  let listings: [PCIAddress: [DomainID]]
  /// Who lists each device in a back end that outlived its domain, and that the kernel still serves.
  let leftoverListings: [PCIAddress: DomainID]
  let owned: [DomainUUID: Set<PCIAddress>]
  let intended: [DomainKey: Set<PCIAddress>]
  /// The part of `intended` that runs still at work have announced.
  let announced: [DomainKey: Set<PCIAddress>]
  /// The part of `intended` that dead runs have left.
  let abandoned: [DomainKey: Set<PCIAddress>]
  /// The domains that have each device in `abandoned`, in order.
  let abandoners: [PCIAddress: [DomainID]]
  /// What guests still have of devices that their buses do not list.
  let remnants: [DomainID: [PCIAddress: Remnant]]
  /// The guests with a remnant of each device, in order.
  let remnantHolders: [PCIAddress: [DomainID]]
  /// The guests that have a device only by their saved line, because their QEMU could not be asked.
  let unasked: [PCIAddress: [DomainID]]

  package init(_ observation: Observation) {
    self.observation = observation
    // Built in loops, with room for all from the start: these grow with the host.
    var devices = [PCIAddress: ObservedDevice](minimumCapacity: observation.devices.count)
    for device in observation.devices where devices[device.address] == nil { devices[device.address] = device }
    self.devices = devices
    let stubs = observation.stubDomains
    let histories = Self.histories(observation)
    domains = observation.domains.map { domain in
      Guest(domain, stub: stubs[domain.id], history: histories[domain.id] ?? .unknown) { devices[$0]?.claim }
    }
    guests = Dictionary(grouping: domains.filter { $0.stubDomainOf == nil }, by: \.name)
    living = Dictionary(domains.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var listings = [PCIAddress: [DomainID]](minimumCapacity: observation.devices.count)
    for domain in domains {
      for entry in domain.entries {
        if let device = entry.device { listings[device, default: []].append(domain.id) }
      }
    }
    self.listings = listings
    leftoverListings = Dictionary(
      observation.leftoverBackEnds.filter { $0.hasKernelObject != false }.flatMap { backEnd in
        backEnd.entries.compactMap { entry in entry.device.map { ($0, backEnd.domain) } }
      }, uniquingKeysWith: { first, _ in first })
    owned = Dictionary(
      observation.records.map { ($0.uuid, Set($0.devices)) }, uniquingKeysWith: { $0.union($1) })
    func byDomain(_ intents: [Intent]) -> [DomainKey: Set<PCIAddress>] {
      Dictionary(intents.map { ($0.domain, Set($0.devices)) }, uniquingKeysWith: { $0.union($1) })
    }
    intended = byDomain(observation.intents)
    announced = byDomain(observation.intents.filter(\.isLive))
    abandoned = byDomain(observation.intents.filter { !$0.isLive })
    var abandoners: [PCIAddress: [DomainID]] = [:]
    for (key, devices) in abandoned.sorted(by: { $0.key.id < $1.key.id }) {
      for device in devices { abandoners[device, default: []].append(key.id) }
    }
    self.abandoners = abandoners
    let remnants = Self.remnants(in: domains, among: observation.devices, observation.records, besides: intended)
    self.remnants = remnants
    var remnantHolders: [PCIAddress: [DomainID]] = [:]
    var unasked: [PCIAddress: [DomainID]] = [:]
    for domain in domains {
      for device in (remnants[domain.id] ?? [:]).keys { remnantHolders[device, default: []].append(domain.id) }
      for device in domain.savedUnasked { unasked[device, default: []].append(domain.id) }
    }
    self.remnantHolders = remnantHolders
    self.unasked = unasked
  }

  /// Returns what is known of exports to the buses of HVM guests, besides the buses' entries.
  private static func histories(_ observation: Observation) -> [DomainID: ExportHistory] {
    guard observation.leavesHoldsOpen else { return [:] }
    let released = observation.released
    let records = Dictionary(
      observation.records.map { ($0.uuid, $0.exports) }, uniquingKeysWith: { $0 + $1 })
    var histories: [DomainID: ExportHistory] = [:]
    for domain in observation.domains where domain.kind == .hvm {
      histories[domain.id] = ExportHistory(
        recorded: ExportHistory.places(of: records[domain.uuid] ?? [], on: domain.id), logged: observation.exported,
        released: released)
    }
    return histories
  }
}
