import FoundationEssentials
package import Model
package import Planning

/// A plan that was saved: what a person agreed to, and what was declared. It is consent, and no program: an apply plans
/// again, and does what it planned if that is what the file has.
package struct SavedPlan: Hashable, Sendable {
  /// A manifest as it was read.
  package struct Manifest: Hashable, Sendable {
    package var name: String
    package var text: String
    package init(name: String, text: String) { (self.name, self.text) = (name, text) }
  }
  /// How the run that planned deviated from the manifest's policy.
  package struct Options: Hashable, Sendable {
    package var prune: Policy.Prune?
    package var allowsRemovals: Bool
    package var requiresRunning: Bool
    package var loadsModules: Bool
    package var overrides: [PCIAddress: InterlockOverride]

    package init(
      prune: Policy.Prune?, allowsRemovals: Bool, requiresRunning: Bool, loadsModules: Bool,
      overrides: [PCIAddress: InterlockOverride]
    ) {
      self.prune = prune
      self.allowsRemovals = allowsRemovals
      self.requiresRunning = requiresRunning
      self.loadsModules = loadsModules
      self.overrides = overrides
    }
  }

  package var consent: PlanConsent
  package var options: Options
  package var manifests: [Manifest]
  /// The version of Berth that planned.
  package var version: String
  /// In seconds since 1970.
  package var madeAt: Int64

  package init(consent: PlanConsent, options: Options, manifests: [Manifest], version: String, madeAt: Int64) {
    self.consent = consent
    self.options = options
    self.manifests = manifests
    self.version = version
    self.madeAt = madeAt
  }

  /// The most bytes that a file with a plan may have.
  package static let mostBytes = 64 << 20
}

/// Why a file is no saved plan.
package struct SavedPlanFault: Error, Hashable, Sendable {
  package let words: String
}

extension SavedPlan {
  /// Returns the bytes of the file. Throws the encoder's errors, which no plan causes.
  package func encoded() throws -> [UInt8] {
    Array(try json(SavedPlanDocument(self), isIndented: true).description.utf8)
  }

  /// Whether the bytes are those of a saved plan of some version. A manifest can be JSON, too.
  package static func isOne(_ bytes: [UInt8]) -> Bool {
    guard bytes.first(where: { !" \t\r\n".utf8.contains($0) }) == UInt8(ascii: "{") else { return false }
    do { return try JSONDecoder().decode(Head.self, from: Data(bytes)).kind == SavedPlanDocument.head.kind } catch {
      return false
    }
  }

  /// Whether the bytes begin as those of a saved plan, and are no whole document: such a file was cut.
  package static func isPartOfOne(_ bytes: [UInt8]) -> Bool {
    let start = String(decoding: bytes.prefix(200), as: UTF8.self)
    return start.hasPrefix("{\n") && start.contains("\"changes\" : [") && !isOne(bytes)
  }

  /// Reads the bytes of a file.
  package init(decoding bytes: [UInt8]) throws(SavedPlanFault) {
    let document: SavedPlanDocument
    do {
      let data = Data(bytes)
      let head = try JSONDecoder().decode(Head.self, from: data)
      guard head.kind == SavedPlanDocument.head.kind else { throw SavedPlanFault(words: "it is no saved plan") }
      guard head.formatVersion == SavedPlanDocument.head.formatVersion else {
        throw SavedPlanFault(
          words:
            "its format has version \(head.formatVersion), and this berth reads version \(SavedPlanDocument.head.formatVersion)"
        )
      }
      document = try JSONDecoder().decode(SavedPlanDocument.self, from: data)
    } catch let fault as SavedPlanFault {
      throw fault
    } catch {
      throw SavedPlanFault(words: "it is incomplete, or not written by berth")
    }
    self = try document.plan()
    guard consent.fingerprint == document.fingerprint else {
      throw SavedPlanFault(words: "its changes are not those of its fingerprint: somebody has edited it")
    }
  }

  private struct Head: Decodable {
    let kind: String
    let formatVersion: Int
  }
}

/// A saved plan as a file has it.
struct SavedPlanDocument: VersionedDocument, Codable {
  static let head = DocumentHead(kind: "SavedPlan", formatVersion: 1)
  let madeBy: String
  let madeAt: Int64
  let fingerprint: String
  let host: String
  let bootId: String?
  let set: String
  /// Each change with its facts, as one line.
  let changes: [String]
  let options: Options
  let manifests: [ManifestText]

  struct Options: Codable {
    let prune: String?
    let allowRemovals: Bool
    let requireRunning: Bool
    let loadModules: Bool
    let overrides: [Override]
  }
  struct Override: Codable {
    let device: String
    let reason: String
    let user: String
  }
  struct ManifestText: Codable {
    let name: String
    let text: String
  }

  init(_ plan: SavedPlan) {
    madeBy = plan.version
    madeAt = plan.madeAt
    fingerprint = plan.consent.fingerprint
    host = plan.consent.host
    bootId = plan.consent.bootID
    set = plan.consent.set
    changes = plan.consent.changes.map(\.text)
    options = Options(
      prune: plan.options.prune?.rawValue, allowRemovals: plan.options.allowsRemovals,
      requireRunning: plan.options.requiresRunning, loadModules: plan.options.loadsModules,
      overrides: plan.options.overrides.sorted { $0.key < $1.key }.map {
        Override(device: $0.key.description, reason: $0.value.reason, user: $0.value.user)
      })
    manifests = plan.manifests.map { ManifestText(name: $0.name, text: $0.text) }
  }

  func plan() throws(SavedPlanFault) -> SavedPlan {
    var consented: [ConsentedChange] = []
    for text in changes {
      guard let change = ConsentedChange(text: text), consented.last.map({ $0 < change }) ?? true else {
        throw SavedPlanFault(words: "one of its changes cannot be read")
      }
      consented.append(change)
    }
    var overrides: [PCIAddress: InterlockOverride] = [:]
    for override in options.overrides {
      guard override.reason.contains(where: { !$0.isWhitespace }) else {
        throw SavedPlanFault(words: "one of its overrides has no reason")
      }
      guard let device = PCIAddress(override.device) else {
        throw SavedPlanFault(words: "one of its overrides names no device")
      }
      overrides[device] = InterlockOverride(reason: override.reason, user: override.user)
    }
    let prune = options.prune.flatMap(Policy.Prune.init)
    guard (prune == nil) == (options.prune == nil) else { throw SavedPlanFault(words: "its option prune is unknown") }
    guard !manifests.isEmpty else { throw SavedPlanFault(words: "it has no manifest") }
    return SavedPlan(
      consent: PlanConsent(host: host, bootID: bootId, set: set, changes: consented),
      options: SavedPlan.Options(
        prune: prune, allowsRemovals: options.allowRemovals, requiresRunning: options.requireRunning,
        loadsModules: options.loadModules, overrides: overrides),
      manifests: manifests.map { SavedPlan.Manifest(name: $0.name, text: $0.text) }, version: madeBy, madeAt: madeAt)
  }
}
