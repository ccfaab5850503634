/// How long a domain may be gone before Berth forgets what it owned there: 30 days, in seconds.
package let recordLifetime: Int64 = 30 * 24 * 3600

/// What would turn what was observed into what is desired.
///
/// Pure and total: the same arguments give the same plan, and there is a plan for every observation.
package func makePlan(desired: DesiredState, observation: Observation) -> Plan {
  let planner = Planner(desired: desired, observation: observation)
  var plan = Plan(
    host: observation.host, domainCount: observation.domains.count, deviceCount: observation.devices.count,
    policy: desired.policy)
  let declared = desired.domains.sorted { $0.name < $1.name }
  for domain in declared { plan.domains.append(planner.plan(for: domain)) }
  let names = Set(declared.map(\.name))
  let others = planner.domains.filter { !names.contains($0.name) && $0.stubDomainOf == nil }
  for domain in others.sorted(by: { ($0.name, $0.id) < ($1.name, $1.id) }) {
    let steps = planner.undeclaredSteps(in: domain, declaring: [])
    if !steps.isEmpty { plan.domains.append(DomainPlan(domain, steps: steps)) }
  }
  if !observation.runs.isEmpty {
    for index in plan.domains.indices {
      plan.domains[index].run = plan.domains[index].uuid.flatMap { observation.runs[$0]?.holder }
    }
  }
  plan.hostDrift = planner.hostDrift()
  plan.bookkeeping = planner.bookkeeping() + planner.settledIntents(besides: plan)
  plan.refuseExcessiveRemovals()
  return plan
}

extension Plan {
  /// Blocks every removal where there are more of them than the policy allows.
  fileprivate mutating func refuseExcessiveRemovals() {
    guard let limit = policy.maxRemovals else { return }
    let removals = count(.detach) + count(.move)
    guard removals > limit else { return }
    for domain in domains.indices {
      for step in domains[domain].steps.indices {
        let action = domains[domain].steps[step].action
        guard action == .detach || action == .move else { continue }
        domains[domain].steps[step].action = .blocked
        domains[domain].steps[step].reason = .removalLimit
        domains[domain].steps[step].evidence =
          "\(action.rawValue): the plan removes \(removals) devices, policy.maxRemovals is \(limit)"
        domains[domain].steps[step].remedy = "check the manifest; --allow-removals applies it all the same"
      }
    }
  }
}

extension DomainPlan {
  init(_ domain: Guest, steps: [PlannedStep]) {
    self.init(
      name: domain.name, uuid: domain.uuid, id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle,
      stubDomain: domain.observed.stubDomain, route: domain.route, steps: steps)
  }
}

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
      return DomainPlan(
        name: wanted.name, uuid: wanted.uuid,
        steps: wanted.devices.map { step($0, .pending, .domainAbsent) }.sorted { $0.device < $1.device })
    }
    let refusal: (Reason, String, String)? =
      if candidates.count > 1 {
        (
          .domainAmbiguous, "domains \(candidates.map(\.id.description).joined(separator: " and ")) have this name",
          "rename one of them, or give the domain's uuid"
        )
      } else if let uuid = wanted.uuid, uuid != domain.uuid {
        (
          .domainMismatch, "the domain's uuid is \(domain.uuid), the manifest says \(uuid)",
          "correct the uuid in the manifest, or remove it"
        )
      } else {
        nil
      }
    if let (reason, evidence, remedy) = refusal {
      return DomainPlan(
        domain, steps: wanted.devices.map { step($0, .blocked, reason, evidence: evidence, remedy: remedy) })
    }
    let declared = wanted.devices.map { declaredStep($0, in: domain) }
    let mending = wanted.devices.flatMap { mendingSteps($0, in: domain) }
    let undeclared = undeclaredSteps(in: domain, declaring: Set(wanted.devices.map(\.address)))
    let steps = (declared + undeclared).sorted { $0.device < $1.device } + mending.sorted { $0.device < $1.device }
    return DomainPlan(domain, steps: steps)
  }

  func step(
    _ wanted: DesiredDevice, _ action: StepAction, _ reason: Reason, evidence: String? = nil, remedy: String? = nil
  ) -> PlannedStep {
    PlannedStep(
      device: wanted.address, id: devices[wanted.address]?.facts?.id ?? wanted.id, label: wanted.label,
      action: action, reason: reason, after: wanted.options, evidence: evidence, remedy: remedy,
      isRequired: wanted.isRequired)
  }
}
