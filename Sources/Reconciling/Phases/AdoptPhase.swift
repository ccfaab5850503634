import Planning
import XenProtocol

/// Takes devices that the domain has already into Berth's record.
struct AdoptPhase {
  let parts: DomainParts

  /// Records devices that are there already as Berth's own.
  func adopt(_ steps: [Adoption]) throws(EngineError) {
    guard !steps.isEmpty else { return }
    try parts.records.add(steps.map(\.device))
    let bus = try parts.session.look().backEnd
    try parts.records.recordExports(steps.compactMap { bus.entry(for: $0.device) }.filter(\.isExported))
    parts.report.conclude(steps, .done, evidence: ["recorded; nothing else changed"])
  }
}
