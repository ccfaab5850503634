import Model
import Planning
import XenProtocol

/// The drift matrix for programs: `{"formatVersion": 1, "kind": "DriftMatrix", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct DriftDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "DriftMatrix", formatVersion: 1)
  let host: HostDocument
  /// Whether a manifest was compared too.
  let hasManifest: Bool
  /// Whether anything is wrong, a run's own work in progress aside.
  let hasDrift: Bool
  let devices: [DriftRowDocument]
  /// What is wrong with a domain's stores as a whole.
  let domains: [DriftEntryDocument]
  let warnings: [String]

  init(_ matrix: DriftMatrix, warnings: [String], naming: DeviceNaming) {
    host = HostDocument(matrix.host, domains: matrix.domainCount, devices: matrix.rows.count)
    hasManifest = matrix.hasManifest
    hasDrift = !matrix.findings.isEmpty
    devices = matrix.rows.map { DriftRowDocument($0, naming: naming) }
    domains = matrix.domains.map(DriftEntryDocument.init)
    self.warnings = warnings
  }
}

struct HolderDocument: Encodable, Sendable {
  let name: String?
  let domid: UInt32?
  init(_ holder: Holder) {
    (name, domid) = (holder.name.flatMap { $0.isEmpty ? nil : $0.text }, holder.id?.rawValue)
  }
}

struct DriftRowDocument: Encodable, Sendable {
  struct Entry: Encodable, Sendable {
    let domain: HolderDocument
    let state: String?
    let virtualAddress: String?
    let isOrphan: Bool
  }
  struct Emulation: Encodable, Sendable {
    let domain: HolderDocument
    /// Nil if QEMU was not asked.
    let isShown: Bool?
    let guestAddress: String?
  }
  let device: DeviceDocument
  let manifest: String?
  let records: [String]
  let saved: [HolderDocument]
  let backEnd: [Entry]
  let claim: HolderDocument?
  let assignment: String
  let isOnPCIBack: Bool?
  let driver: String?
  let emulated: [Emulation]
  let drift: [DriftEntryDocument]

  init(_ row: DriftRow, naming: DeviceNaming) {
    device = DeviceDocument(row.device, id: row.id, label: row.label, naming: naming)
    manifest = row.manifest
    records = row.records
    saved = row.saved.map(HolderDocument.init)
    backEnd = row.entries.map { entry in
      Entry(
        domain: HolderDocument(entry.holder), state: entry.state.text,
        virtualAddress: entry.virtualAddress?.description, isOrphan: entry.isOrphan)
    }
    claim = row.claim.map(HolderDocument.init)
    assignment = row.assignment.rawValue
    isOnPCIBack = row.isOnPCIBack
    driver = row.driver
    emulated = row.emulations.map { emulation in
      Emulation(
        domain: HolderDocument(emulation.holder),
        isShown: emulation.isKnown ? emulation.guestAddress != nil : nil,
        guestAddress: emulation.guestAddress?.description)
    }
    drift = row.drifts.map(DriftEntryDocument.init)
  }
}

struct DriftEntryDocument: Encodable, Sendable {
  let name: String
  let domain: HolderDocument?
  let device: String?
  let meaning: String
  let cause: String
  let evidence: String
  /// `mended`, `at-work` or `left`.
  let outcome: String
  /// What the next apply does about it.
  let action: String?
  /// Why it is left: a name that `berth explain` knows.
  let reason: String?
  /// The same in words.
  let explanation: String?
  let remedy: String?

  init(_ drift: Drift) {
    name = drift.name.rawValue
    domain = drift.domain.map(HolderDocument.init)
    device = drift.device?.description
    meaning = drift.name.explanation.meaning
    cause = drift.name.explanation.cause
    evidence = drift.evidence
    remedy = drift.nextStep
    explanation = drift.outcomeText
    switch drift.outcome {
    case .planned(let action): (outcome, self.action, reason) = ("mended", action.rawValue, nil)
    case .removed: (outcome, action, reason) = ("mended", "remove", nil)
    case .atWork: (outcome, action, reason) = ("at-work", nil, nil)
    case .left(let why): (outcome, action, reason) = ("left", nil, why.name)
    }
  }
}
