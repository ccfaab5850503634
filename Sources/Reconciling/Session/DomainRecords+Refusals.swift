import Model
import Planning
import Ports

/// Why attaches failed, on record for the next plan, which would offer them again without a word.
extension DomainRecords {
  /// Records why attaches of `outcome` failed, if the cause does not go away by itself. Earlier causes of other devices
  /// stay, unless they are of an earlier life of the domain.
  func noteRefusals(_ outcome: DomainOutcome) throws(EngineError) {
    let domain = session.key.id
    let refusals = outcome.steps.compactMap { step -> RefusalRecord? in
      guard step.action != .detach, let detail = step.detail, detail.sentences.contains(where: \.isLasting) else {
        return nil
      }
      return RefusalRecord(device: step.device, domain: domain, words: detail.words)
    }
    guard !refusals.isEmpty else { return }
    let (uuid, name) = (session.key.uuid, session.name)
    let devices = Set(refusals.map(\.device))
    do throws(HostError) {
      try change { record in
        var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
        changed.refusals.removeAll { devices.contains($0.device) || $0.domain != domain }
        changed.refusals += refusals
        changed.refusals.sort { $0.device < $1.device }
        record = changed
      }
    } catch { throw .host(error) }
  }
}

extension OutcomeDetail {
  /// The words without failures of ports, for which only Rendering has words.
  fileprivate var words: String {
    parts.map { if case .text(let text) = $0 { text } else { "…" } }.joined()
  }
}
