import Model
import Planning
import XenProtocol

/// The state of a host for programs: `{"formatVersion": 1, "kind": "Status", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct StatusDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "Status", formatVersion: 1)
  let host: HostDocument
  let domains: [DomainStatusDocument]
  let freeDevices: [FreeDeviceDocument]
  let anomalies: [AnomalyDocument]
  let hostDrift: [HostDriftDocument]
  let intents: [IntentDocument]
  let warnings: [String]

  init(_ status: HostStatus, warnings: [String], naming: DeviceNaming) {
    host = HostDocument(status.host, domains: status.domainCount, devices: status.deviceCount)
    domains = status.domains.map { DomainStatusDocument($0, naming: naming) }
    freeDevices = status.free.map { FreeDeviceDocument($0, naming: naming) }
    anomalies = status.drifts.map(AnomalyDocument.init)
    hostDrift = status.hostSteps.map(HostDriftDocument.init)
    intents = status.intents.map(IntentDocument.init)
    self.warnings = warnings
  }
}

struct DomainStatusDocument: Encodable, Sendable {
  let name: String
  let uuid: String?
  let domid: UInt32?
  let kind: String?
  let lifecycle: String?
  let stubDomain: UInt32?
  let stubDomainOf: UInt32?
  let backEndState: String?
  let frontEndState: String?
  /// `absent`, `read` or `corrupt`; nil if the domain does not exist.
  let savedConfiguration: String?
  /// The lines of the saved configuration that Berth leaves alone; nil if there are none.
  let otherSavedLines: [String]?
  let run: RunDocument?
  let devices: [DeviceStatusDocument]
  /// Nil if every declared device was found.
  let unresolved: [UnresolvedDocument]?

  init(_ domain: DomainStatus, naming: DeviceNaming) {
    name = domain.name.text
    uuid = domain.uuid?.description
    domid = domain.observed?.id.rawValue
    kind = domain.observed?.kind.rawValue
    lifecycle = domain.observed?.lifecycle.rawValue
    stubDomain = domain.observed?.stubDomain?.rawValue
    stubDomainOf = domain.observed?.stubDomainOf?.rawValue
    backEndState = domain.bus?.state.text
    frontEndState = domain.bus?.frontEndState.text
    savedConfiguration = domain.observed.map { observed in
      switch observed.saved {
      case .absent: "absent"
      case .devices: "read"
      case .corrupt: "corrupt"
      }
    }
    let lines = domain.observed?.otherSavedLines.map(\.text) ?? []
    otherSavedLines = lines.isEmpty ? nil : lines
    run = domain.run.map(RunDocument.init)
    devices = domain.devices.map { DeviceStatusDocument($0, naming: naming) }
    unresolved = domain.unresolved.isEmpty ? nil : domain.unresolved.map(UnresolvedDocument.init)
  }
}

struct DeviceStatusDocument: Encodable, Sendable {
  let device: DeviceDocument
  let attachment: Attachment
  let virtualAddress: String?
  let options: OptionsDocument?
  let isDeclared: Bool
  /// The declared device that it may be; nil if that is settled.
  let perhaps: String?
  let isOwned: Bool
  let set: String?
  let isSaved: Bool
  /// The domain number in the claim.
  let claim: UInt32?

  init(_ status: DeviceStatus, naming: DeviceNaming) {
    device = DeviceDocument(status.address, id: status.id, label: status.label, naming: naming)
    attachment = status.attachment
    virtualAddress = status.virtualAddress?.description
    options = status.options.map(OptionsDocument.init)
    isDeclared = status.isDeclared
    perhaps = status.perhaps
    isOwned = status.isOwned
    set = status.set
    isSaved = status.isSaved
    claim = status.claim?.rawValue
  }
}

struct FreeDeviceDocument: Encodable, Sendable {
  let device: DeviceDocument
  let driver: String?
  let isAssignable: Bool
  let claim: UInt32?
  let assignment: String

  init(_ device: ObservedDevice, naming: DeviceNaming) {
    self.device = DeviceDocument(device.address, id: device.facts?.id, label: nil, naming: naming)
    driver = device.facts?.driver
    isAssignable = device.facts?.isOnPCIBack ?? false
    claim = device.claim?.rawValue
    assignment = device.assignment.rawValue
  }
}

struct AnomalyDocument: Encodable, Sendable {
  let domain: String?
  let device: String?
  let reason: String
  let meaning: String
  let evidence: String
  let isRepaired: Bool

  init(_ drift: Drift) {
    domain = drift.domain.map(Words.holder)
    device = drift.device?.description
    reason = drift.name.rawValue
    meaning = drift.name.explanation.meaning
    evidence = drift.evidence
    isRepaired = drift.outcome.isRepaired
  }
}

struct IntentDocument: Encodable, Sendable {
  let domid: UInt32
  let uuid: String
  let operation: String
  let devices: [String]
  let isLive: Bool

  init(_ intent: Intent) {
    domid = intent.domain.id.rawValue
    uuid = intent.domain.uuid.description
    operation = intent.operation.rawValue
    devices = intent.devices.map(\.description)
    isLive = intent.isLive
  }
}
