/// The observation, indexed for planning.
struct Planner {
  let desired: DesiredState
  let observation: Observation
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
  /// The guests whose saved line of a device is all that tells of it, since their QEMU could not be asked.
  let unasked: [PCIAddress: [DomainID]]
  /// Where each device is declared.
  let declarations: [PCIAddress: String]
  /// What is declared for each domain.
  let declaredDevices: [String: [PCIAddress]]

  init(desired: DesiredState, observation: Observation) {
    self.desired = desired
    self.observation = observation
    // Built in loops, with room for all from the start: these grow with the host.
    var devices = [PCIAddress: ObservedDevice](minimumCapacity: observation.devices.count)
    for device in observation.devices where devices[device.address] == nil { devices[device.address] = device }
    self.devices = devices
    let stubs = observation.stubDomains
    domains = observation.domains.map { domain in Guest(domain, stub: stubs[domain.id]) { devices[$0]?.claim } }
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
    let remnants = Self.remnants(in: domains, among: observation.devices, observation.records)
    self.remnants = remnants
    var remnantHolders: [PCIAddress: [DomainID]] = [:]
    var unasked: [PCIAddress: [DomainID]] = [:]
    for domain in domains {
      for device in (remnants[domain.id] ?? [:]).keys { remnantHolders[device, default: []].append(domain.id) }
      for device in domain.savedUnasked { unasked[device, default: []].append(domain.id) }
    }
    self.remnantHolders = remnantHolders
    self.unasked = unasked
    var declarations = [PCIAddress: String](minimumCapacity: observation.devices.count)
    for domain in desired.domains {
      for device in domain.devices where declarations[device.address] == nil {
        declarations[device.address] = domain.name
      }
    }
    self.declarations = declarations
    declaredDevices = Dictionary(
      desired.domains.map { ($0.name, $0.devices.map(\.address)) }, uniquingKeysWith: { $0 + $1 })
  }

  /// Whether Berth attached or adopted the device in this domain, or said it was about to.
  func isOwned(_ device: PCIAddress, in domain: Guest) -> Bool {
    owned[domain.uuid]?.contains(device) == true || intended[domain.key]?.contains(device) == true
  }

  /// Whether the policy lets the device be taken out of this domain.
  func mayRemove(_ device: PCIAddress, from domain: Guest) -> Bool {
    switch desired.policy.prune {
    case .never: false
    case .owned: isOwned(device, in: domain)
    case .all: true
    }
  }

  func plan(for wanted: DesiredDomain) -> DomainPlan {
    let candidates = guests[wanted.name] ?? []
    guard let domain = candidates.first else {
      let id = wanted.uuid.map(StepID.Domain.uuid) ?? .name(wanted.name)
      return DomainPlan(
        name: wanted.name, uuid: wanted.uuid,
        steps: wanted.devices.map { step($0, .pending(.domainAbsent), in: id) }.sorted { $0.device < $1.device })
    }
    if let doubt = doubt(about: wanted, candidates, domain) {
      return DomainPlan(
        domain,
        steps: wanted.devices.map {
          step(
            $0, .blocked(doubt.obstacle), in: .uuid(domain.uuid), evidence: doubt.evidence, remedy: doubt.remedy)
        })
    }
    let declared = wanted.devices.map { declaredStep($0, in: domain) }
    let repairs = wanted.devices.flatMap { repairSteps($0, in: domain) }
    let undeclared = undeclaredSteps(in: domain, declaring: Set(wanted.devices.map(\.address)))
    let steps = (declared + undeclared).sorted { $0.device < $1.device } + repairs.sorted { $0.device < $1.device }
    return DomainPlan(domain, steps: steps)
  }

  /// Returns why the domain found may not be the one that is meant; nil if it is.
  private func doubt(about wanted: DesiredDomain, _ candidates: [Guest], _ found: Guest) -> Guest.Obstruction? {
    if candidates.count > 1 {
      return Guest.Obstruction(
        obstacle: .domainAmbiguous,
        evidence: "domains \(candidates.map(\.id.description).joined(separator: " and ")) have this name",
        remedy: "rename one of them, or give the domain's uuid")
    }
    guard let uuid = wanted.uuid, uuid != found.uuid else { return nil }
    return Guest.Obstruction(
      obstacle: .domainMismatch, evidence: "the domain's uuid is \(found.uuid), the manifest says \(uuid)",
      remedy: "correct the uuid in the manifest, or remove it")
  }

  /// Returns a step for a device that is declared for the domain.
  func step(
    _ wanted: DesiredDevice, _ kind: DeviceStep.Kind, in domain: StepID.Domain, before: DeviceOptions? = nil,
    holder: DomainTarget? = nil, evidence: String? = nil, remedy: String? = nil, effects: [String] = []
  ) -> DeviceStep {
    DeviceStep(
      domain: domain, device: wanted.address, deviceID: devices[wanted.address]?.facts?.id ?? wanted.id,
      label: wanted.label, kind: kind, before: before, after: wanted.options, holder: holder,
      isRequired: wanted.isRequired, evidence: evidence, remedy: remedy, effects: effects)
  }
}
