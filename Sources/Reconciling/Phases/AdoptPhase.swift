import Model
import Planning
import Ports
import XenProtocol

/// Takes devices that the domain has already into Berth's record.
struct AdoptPhase {
  let parts: DomainParts

  /// Records devices that are there already as Berth's own.
  func adopt(_ steps: [Adoption]) throws(EngineError) {
    guard !steps.isEmpty else { return }
    let bus = try parts.session.look().backEnd
    // Before the devices: a device on record is not adopted again.
    try recordGrants(steps, bus)
    try parts.records.add(steps.map(\.device))
    try parts.records.recordExports(steps.compactMap { bus.entry(for: $0.device) }.filter(\.isExported))
    parts.report.conclude(steps, .done, evidence: ["recorded; nothing else changed"])
  }

  /// Records what another toolstack has granted the domain with the devices, as sysfs shows it now.
  private func recordGrants(_ steps: [Adoption], _ bus: BackEnd) throws(EngineError) {
    let session = parts.session
    do throws(HostError) {
      var grants: [GrantRecord] = []
      for device in steps.map(\.device) {
        guard let card = try Card(at: device, on: session.host), card.facts.isOnPCIBack,
          let shown = try parts.claims.hardware.grants(of: device)
        else { continue }
        grants.append(
          GrantRecord(
            device: device, domain: session.key.id, identity: card.identity, grants: shown,
            options: bus.entry(for: device)?.options ?? DeviceOptions()))
      }
      try parts.records.addGrants(grants)
    } catch { throw .host(error) }
  }
}
