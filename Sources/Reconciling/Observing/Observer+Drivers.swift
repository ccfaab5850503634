package import Model
import Planning
package import Ports

extension Host {
  /// Returns the inventory with these facts, and with what Berth recorded of devices before it took them from their
  /// drivers. Xen is asked only if some of its own facts are among these.
  package func inventory(
    of facts: Set<FunctionFact>, recalling records: [PreparationRecord]
  ) throws(HostError) -> Inventory {
    let whole = records.isEmpty ? facts : facts.union([.ids, .driver, .serial])
    let found = try inventory.inventory(of: whole).recalling(records)
    guard !facts.isDisjoint(with: FunctionFact.ofXen) else { return found }
    var reader = XenFactReader(hypervisor: hypervisor, facts: facts)
    return reader.completed(found)
  }

  /// Returns what the host stands on now: the facts on which interlocks depend. The disks of `devices` are asked for their
  /// holders.
  func hostUse(for devices: [PCIAddress]) throws(HostError) -> HostUse {
    var use = HostUse(
      usage: usage.usage(), inventory: try inventory.inventory(of: HostUse.neededFacts),
      served: ServedDeviceReader(host: self).served())
    for name in devices.map({ FunctionName($0) }) {
      use.openings[name] = usage.openings(of: use.usage.disks(of: name))
    }
    return use
  }
}

extension Observer {
  /// Reads the drivers of declared devices that pciback does not have, and what the host stands on if there are any. The
  /// reservation of a device whose `permissive` may have to end is read, too.
  func readDrivers(into observation: inout Observation, desired: DesiredState?) throws(HostError) {
    guard let desired else { return }
    let begun = Set(observation.preparations.filter { $0.phase != .prepared }.map(\.device))
    let declared = Set(desired.domains.flatMap(\.devices).map(\.address))
    var unprepared: [Int] = []
    for index in observation.devices.indices {
      let device = observation.devices[index]
      guard declared.contains(device.address) else { continue }
      let isTaken = desired.policy.hostDrivers == .prepare || begun.contains(device.address)
      let awaitsPreparation = isTaken && device.awaitsPreparation
      guard awaitsPreparation || device.isPermissive == true else { continue }
      observation.devices[index].binding = try host.drivers.binding(of: device.address)
      if awaitsPreparation, observation.devices[index].binding != nil { unprepared.append(index) }
    }
    guard !unprepared.isEmpty else { return }
    let use = try host.hostUse(for: unprepared.map { observation.devices[$0].address })
    let children = Dictionary(
      use.inventory.functions.map { ($0.name, $0.virtualisation.children) }, uniquingKeysWith: { first, _ in first })
    for index in unprepared {
      observation.devices[index].virtualFunctions = children[FunctionName(observation.devices[index].address)] ?? []
    }
    observation.hostUse = use
  }
}
