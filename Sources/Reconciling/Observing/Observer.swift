package import Model
package import Planning
package import Ports
import XenProtocol

/// Reads one host through its ports.
package struct Observer: Sendable {
  let host: Host
  /// The number of connections that read at the same time. The daemon serves one request at a time, so a few keep it
  /// busy.
  private let readers: Int

  package init(host: Host, readers: Int = 4) {
    self.host = host
    self.readers = readers
  }

  /// Reads what a plan for `desired` depends on, and everything that a status shows.
  ///
  /// Changes nothing. Takes no locks, except briefly those of the device models that it asks. A bus is confirmed in a
  /// transaction only if a first look finds it out of order. That look may have seen the middle of a change.
  package func observe(desired: DesiredState?) throws(HostError) -> Observation {
    // The marks are read first: comparing them shows what a run does after this point.
    let (runs, damagedLocks) = try host.runLocks.readMarks()
    let preparations = try host.preparations.readPreparations()
    let needed = desired?.neededFacts ?? []
    let inventory = needed.isEmpty ? nil : try host.inventory(of: needed, recalling: preparations.contents)
    let desired = desired?.resolved(in: inventory)
    let facts = try host.hypervisor.hostFacts()
    let hasPCIBack = try host.tree.hasPCIBack()
    let pciback = try host.tree.pcibackDevices()
    let listed = try host.hypervisor.domains()
    var observation = Observation(
      host: HostFacts(
        name: host.name, xenVersion: facts.version, hasIOMMU: facts.hasIOMMU, hasPCIBack: hasPCIBack),
      takenAt: host.wallClock())
    observation.runs = runs
    observation.inventory = inventory
    let intents = try host.intents.readIntents()
    observation.intents = intents.contents
    observation.damaged = intents.damaged + damagedLocks + preparations.damaged
    observation.preparations = preparations.contents

    let store = try host.stores.connect()
    let claimed = (try store.list(.claims) ?? []).compactMap { PCIAddress(storeKey: $0) }
    var addresses = pciback.union(claimed)
    addresses.formUnion((desired?.domains ?? []).flatMap(\.devices).map(\.address))
    addresses.formUnion((desired?.domains ?? []).flatMap(\.unresolved).flatMap(\.candidates))
    addresses.formUnion(observation.intents.flatMap(\.devices))
    // A device that an ended run left without a driver is on no list.
    addresses.formUnion(preparations.contents.filter { $0.phase != .prepared }.map(\.device))
    var look = ObservationScope(
      host: host, release: XenVersion(facts.version)?.release, pciback: pciback,
      permissive: try host.tree.permissiveDevices(), claims: Set(claimed))
    try observe([.records], listed, addresses, look, store, into: &observation)
    try askDeviceModels(of: &observation.domains, declared: Set((desired?.domains ?? []).map(\.name)))
    observation.leftoverBackEnds = try leftoverBackEnds(besides: Set(listed.map(\.id)), store)
    // A device that is listed and was not claimed may have been attached since. It is read again, together with its
    // claim.
    let attached = observation.domains.flatMap { $0.backEnd?.entries ?? [] }.compactMap(\.device)
    let unclaimed = Set(attached).subtracting(claimed)
    if !unclaimed.isEmpty {
      look.claims = unclaimed
      observation.devices.removeAll { unclaimed.contains($0.address) }
      try observe([], [], unclaimed, look, store, into: &observation)
      observation.devices.sort { $0.address < $1.address }
    }
    try lookForRecordedCards(&observation)
    try readExports(into: &observation)
    try readDrivers(into: &observation, desired: desired)
    try askForAssignments(&observation.devices, hasIOMMU: facts.hasIOMMU)
    try askForPassthrough(&observation, desired: desired, hasIOMMU: facts.hasIOMMU)
    return observation
  }

  /// Observes as `observe` does. Also reads what sysfs and Xen report about devices that only a saved configuration, a
  /// record, an intent or a leftover back end names. A plan does not need them, and each costs an additional look.
  package func observeEverything(desired: DesiredState?) throws(HostError) -> Observation {
    var observation = try observe(desired: desired)
    var named = Set(observation.records.flatMap(\.devices))
    for domain in observation.domains {
      named.formUnion(domain.savedAddresses)
      named.formUnion((domain.backEnd?.orphans ?? []).compactMap(\.device))
    }
    for backEnd in observation.leftoverBackEnds {
      named.formUnion((backEnd.entries + backEnd.orphans).compactMap(\.device))
    }
    named.subtract(observation.devices.map(\.address))
    var devices: [ObservedDevice] = []
    for address in named.sorted() {
      let facts = try host.tree.facts(of: address)
      devices.append(ObservedDevice(address: address, facts: facts))
    }
    try askForAssignments(&devices, hasIOMMU: observation.host.hasIOMMU == true)
    observation.devices = (observation.devices + devices).sorted { $0.address < $1.address }
    return observation
  }

  /// Reads domains and devices in parallel: while the store answers about one, sysfs and Xen can answer about another.
  private func observe(
    _ others: [ObservationScope.Item], _ domains: [HypervisorDomain], _ devices: Set<PCIAddress>,
    _ look: ObservationScope,
    _ store: any StorePort, into observation: inout Observation
  ) throws(HostError) {
    let addresses = devices.sorted()
    var items = others
    var next = 0
    for (number, domain) in domains.enumerated() {
      items.append(.domain(domain))
      let end = addresses.count * (number + 1) / domains.count
      items += addresses[next..<end].map { .device($0) }
      next = end
    }
    items += addresses[next...].map { .device($0) }
    for seen in try inChunks(items, store, { (item, store) throws(HostError) in try look.see(item, store) }) {
      switch seen {
      case .domain(let domain): observation.domains.append(domain)
      case .device(let device): observation.devices.append(device)
      case .records(let records):
        observation.records = records.contents
        observation.damaged = records.damaged + observation.damaged
      }
    }
  }

  /// Adds the devices that Berth granted, if they are neither on pciback nor at their address any more.
  private func lookForRecordedCards(_ observation: inout Observation) throws(HostError) {
    let living = Dictionary(observation.domains.map { ($0.uuid, $0.id) }, uniquingKeysWith: { first, _ in first })
    let granted = observation.records.flatMap { record in record.grants.filter { $0.domain == living[record.uuid] } }
    guard !granted.isEmpty else { return }
    let seen = Set(observation.devices.map(\.address))
    var missing: [ObservedDevice] = []
    for device in Set(granted.map(\.device)).subtracting(seen).sorted() {
      let facts = try host.tree.facts(of: device)
      let identity = granted.last { $0.device == device && $0.grants != nil }?.identity
      if let facts, identity.map({ $0.fits(facts) }) != false { continue }
      missing.append(ObservedDevice(address: device, facts: facts))
    }
    guard !missing.isEmpty else { return }
    observation.devices = (observation.devices + missing).sorted { $0.address < $1.address }
  }

  /// Reads pciback's exports from the kernel log, if some bus leaves open what pciback holds.
  private func readExports(into observation: inout Observation) throws(HostError) {
    guard observation.leavesHoldsOpen, let log = try host.tree.listenForExports(sinceBoot: true)?.exports() else {
      return
    }
    observation.exported = ExportHistory.last(of: log)
    for domain in Set(log.map(\.domain)) where try !host.tree.hasBackEndObject(for: domain) {
      observation.endedBuses.insert(domain)
    }
  }

  /// Asks for each existing device whether a domain has it, in one question for all.
  private func askForAssignments(_ devices: inout [ObservedDevice], hasIOMMU: Bool) throws(HostError) {
    let there = devices.indices.filter { devices[$0].facts != nil }
    guard hasIOMMU else {
      for index in there { devices[index].assignment = .impossible }
      return
    }
    let addresses = there.map { devices[$0].address }
    let answers = try host.hypervisor.probe(addresses)
    for (index, answer) in zip(there, answers) {
      devices[index].assignment =
        switch answer {
        case .free: .free
        case .takenOrUnknown: .assigned
        case .noIOMMU: .impossible
        }
    }
  }

  /// Asks for each declared domain that lacks a device whether it can have any: one question per domain.
  private func askForPassthrough(
    _ observation: inout Observation, desired: DesiredState?, hasIOMMU: Bool
  ) throws(HostError) {
    guard hasIOMMU, let desired else { return }
    let indices = Dictionary(grouping: observation.domains.indices) { observation.domains[$0].name }
    for wanted in desired.domains {
      for index in indices[wanted.name] ?? [] {
        let domain = observation.domains[index]
        guard domain.kind == .pv || domain.kind == .hvm else { continue }
        // The entries of a stub domain's guest are on the stub domain's bus. Any device will do for the question,
        // because Xen examines the domain first.
        let missing = wanted.devices.first {
          domain.stubDomain != nil || domain.backEnd?.entry(for: $0.address) == nil
        }
        guard let missing else {
          observation.domains[index].hasIOMMU = true
          continue
        }
        let probe = try host.hypervisor.probe(missing.address, for: domain.id)
        observation.domains[index].hasIOMMU = probe != .noIOMMU
      }
    }
  }

  /// Returns the back ends of domain numbers that the hypervisor does not list.
  private func leftoverBackEnds(
    besides living: Set<DomainID>, _ store: any StorePort
  ) throws(HostError) -> [BackEnd] {
    let names = try store.list(.backEnds) ?? []
    var leftovers: [BackEnd] = []
    for domain in names.compactMap({ decimal($0) }).map({ DomainID(UInt32($0)) }).sorted()
    where !living.contains(domain) {
      let object = try host.tree.hasBackEndObject(for: domain)
      let listing = try store.list(.backEnd(domain)) ?? []
      leftovers.append(
        try BusReader(domain: domain).read(listing: listing, kernelObject: object) { (path) throws(HostError) in
          try store.read(path)
        })
    }
    return leftovers
  }

  /// Calls `body` for each item, on a few connections at a time, `store` among them. Throws the first failure in the
  /// items' order.
  private func inChunks<Item: Sendable, Value: Sendable>(
    _ items: [Item], _ store: any StorePort,
    _ body: @escaping @Sendable (Item, any StorePort) throws(HostError) -> Value
  ) throws(HostError) -> [Value] {
    // A connection costs as much as a few reads, so small hosts use one.
    let number = max(1, min(readers, items.count / 32))
    let size = max(1, (items.count + number - 1) / number)
    let chunks = stride(from: 0, to: items.count, by: size).map { $0..<min($0 + size, items.count) }
    let results = concurrently(chunks, workers: number) { chunk -> Result<[Value], HostError> in
      do throws(HostError) {
        let store =
          chunk.lowerBound == 0 ? store : try host.stores.connect()
        var values: [Value] = []
        for index in chunk { values.append(try body(items[index], store)) }
        return .success(values)
      } catch {
        return .failure(error)
      }
    }
    var values: [Value] = []
    for result in results { values += try result.get() }
    return values
  }
}

/// One look at a host: the questions about a domain or a device, and what is known about the host as a whole.
private struct ObservationScope: Sendable {
  enum Item: Sendable {
    case domain(HypervisorDomain)
    case device(PCIAddress)
    /// The records of all domains. They come from the disk, and are read while the store answers about others.
    case records
  }
  enum Seen: Sendable {
    case domain(ObservedDomain)
    case device(ObservedDevice)
    case records(OwnFiles<OwnershipRecord>)
  }

  let host: Host
  let release: XenRelease?
  let pciback: Set<PCIAddress>
  /// What pciback's `permissive` lists.
  let permissive: Set<PCIAddress>
  /// The devices that may have a claim.
  var claims: Set<PCIAddress>

  func see(_ item: Item, _ store: any StorePort) throws(HostError) -> Seen {
    switch item {
    case .domain(let domain):
      .domain(try DomainObserver(host: host, store: store, release: release).observe(domain))
    case .device(let address): .device(try device(address, store))
    case .records: .records(try host.ownership.readRecords())
    }
  }

  private func device(_ address: PCIAddress, _ store: any StorePort) throws(HostError) -> ObservedDevice {
    var facts = try host.tree.facts(of: address)
    facts?.isOnPCIBack = pciback.contains(address)
    var device = ObservedDevice(address: address, facts: facts)
    device.isPermissive = permissive.contains(address)
    if device.isPermissive == true { device.hasVirtualFunctions = try host.tree.hasVirtualFunctions(address) }
    if claims.contains(address) {
      device.claim = try store.read(.claim(address))
        .flatMap { decimal($0) }.map { DomainID(UInt32($0)) }
    }
    return device
  }
}
