package import Model
package import Planning
import XenProtocol

/// Random hosts in any state that a planner may find, and their state after a successful apply.
package enum RandomHost {
  /// Returns a desired state and an observation, both made only from the generator's numbers.
  package static func make(_ random: inout some RandomNumberGenerator) -> (DesiredState, Observation) {
    let addresses = (0..<8).map(Sample.address)
    var holders: [PCIAddress: UInt32] = [:]
    var domains: [ObservedDomain] = []
    var records: [OwnershipRecord] = []
    for number in UInt32(1)...3 {
      let devices = addresses.filter { holders[$0] == nil && Int.random(in: 0..<4, using: &random) == 0 }
      for device in devices { holders[device] = number }
      let lifecycles: [DomainLifecycle] = [.running, .running, .cold, .paused, .building, .shutdown]
      var domain = Sample.domain(
        number, "d\(number)", devices, lifecycle: lifecycles.randomElement(using: &random) ?? .running,
        kind: Int.random(in: 0..<6, using: &random) == 0 ? .pvh : .pv)
      if domain.lifecycle == .building { domain.saved = .absent }
      if case .devices(var saved) = domain.saved, Bool.random(using: &random) {
        saved.append(SavedDevice(address: Sample.address(9), options: DeviceOptions()))
        domain.saved = .devices(saved)
      }
      domains.append(domain)
      let owned = devices.filter { _ in Bool.random(using: &random) }
      if !owned.isEmpty { records.append(OwnershipRecord(uuid: domain.uuid, name: domain.name, devices: owned)) }
    }
    let devices = (addresses + [Sample.address(9)]).map { address in
      var device = Sample.device(address, heldBy: holders[address])
      if Int.random(in: 0..<8, using: &random) == 0 { device.claim = nil }
      if holders[address] == nil, Int.random(in: 0..<8, using: &random) == 0 { device.facts?.isOnPCIBack = false }
      return device
    }
    var free = addresses
    var wanted: [DesiredDomain] = []
    for number in UInt32(1)...4 {
      let chosen = free.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
      free.removeAll { chosen.contains($0) }
      wanted.append(
        DesiredDomain(
          name: "d\(number)",
          devices: chosen.map {
            DesiredDevice(
              address: $0, options: DeviceOptions(permissive: Int.random(in: 0..<3, using: &random) == 0))
          }))
    }
    let prune = Policy.Prune.allCases.randomElement(using: &random) ?? .owned
    return (
      DesiredState(policy: Policy(prune: prune), domains: wanted),
      Observation(
        host: HostFacts(name: "host", hasIOMMU: true), takenAt: 1, domains: domains, devices: devices,
        records: records)
    )
  }

  /// Returns the host after every step of a plan succeeded.
  package static func carryOut(_ plan: Plan, on observation: Observation) -> Observation {
    var host = observation
    for domain in plan.domains {
      guard let index = host.domains.firstIndex(where: { $0.uuid == domain.uuid }) else { continue }
      for step in domain.steps {
        switch step.change {
        case .detach, .reattach: remove(step.device, from: index, &host)
        case .move(let source, _):
          if let index = host.domains.firstIndex(where: { $0.key == source.key }) {
            remove(step.device, from: index, &host)
          }
        case .attach, .repair, .adopt, nil: continue
        }
      }
    }
    for domain in plan.domains {
      guard let index = host.domains.firstIndex(where: { $0.uuid == domain.uuid }) else { continue }
      for step in domain.steps {
        switch step.change {
        case .attach(let options, _), .move(_, let options), .reattach(_, let options, _):
          add(step.device, options, to: index, &host)
        case .adopt: record(step.device, in: index, &host)
        case .repair(let repair): carryOut(repair, of: step, in: index, &host)
        case .detach, nil: continue
        }
      }
    }
    return host
  }

  private static func carryOut(_ repair: Repair, of step: DeviceStep, in index: Int, _ host: inout Observation) {
    switch repair {
    case .dropSavedEntry: setSaved(index, &host) { $0.removeAll { $0.address == step.device } }
    case .saveEntry:
      setSaved(index, &host) { $0.append(SavedDevice(address: step.device, options: step.after ?? DeviceOptions())) }
    case .writeClaim:
      let domain = host.domains[index].id
      setDevice(step.device, &host) { $0.claim = domain }
    case .settleBus: host.domains[index].backEnd?.state = StateNode(.initialised)
    }
  }

  private static func remove(_ device: PCIAddress, from index: Int, _ host: inout Observation) {
    let left = (host.domains[index].backEnd?.entries ?? []).filter { $0.device != device }
    setEntries(left, index, &host)
    setSaved(index, &host) { $0.removeAll { $0.address == device } }
    setDevice(device, &host) { device in
      device.claim = nil
      device.assignment = .free
    }
    let uuid = host.domains[index].uuid
    for record in host.records.indices where host.records[record].uuid == uuid {
      host.records[record].devices.removeAll { $0 == device }
    }
  }

  private static func add(
    _ device: PCIAddress, _ options: DeviceOptions, to index: Int, _ host: inout Observation
  ) {
    let entries = host.domains[index].backEnd?.entries ?? []
    setEntries(entries + [Sample.entry(device, entries.count, slot: 31, options: options)], index, &host)
    setSaved(index, &host) { saved in
      saved.removeAll { $0.address == device }
      saved.append(SavedDevice(address: device, options: options))
    }
    let domain = host.domains[index].id
    setDevice(device, &host) { found in
      found.claim = domain
      found.assignment = .assigned
    }
    record(device, in: index, &host)
  }

  private static func record(_ device: PCIAddress, in index: Int, _ host: inout Observation) {
    let domain = host.domains[index]
    if let record = host.records.firstIndex(where: { $0.uuid == domain.uuid }) {
      host.records[record].devices.append(device)
    } else {
      host.records.append(OwnershipRecord(uuid: domain.uuid, name: domain.name, devices: [device]))
    }
  }

  private static func setEntries(_ entries: [BackEndEntry], _ index: Int, _ host: inout Observation) {
    var bus = Sample.bus(host.domains[index].id, [])
    bus.entries = entries.enumerated().map { position, entry in
      var entry = entry
      entry.index = position
      return entry
    }
    bus.count = .number(entries.count)
    host.domains[index].backEnd = entries.isEmpty ? nil : bus
  }

  private static func setSaved(_ index: Int, _ host: inout Observation, _ change: (inout [SavedDevice]) -> Void) {
    guard case .devices(var saved) = host.domains[index].saved else { return }
    change(&saved)
    host.domains[index].saved = .devices(saved)
  }

  private static func setDevice(
    _ address: PCIAddress, _ host: inout Observation, _ change: (inout ObservedDevice) -> Void
  ) {
    guard let index = host.devices.firstIndex(where: { $0.address == address }) else { return }
    change(&host.devices[index])
  }
}
