package import Model
package import Planning

/// A lock: what the devices of manifests mean on a host. The answer for people is the lock itself, to be kept in a file.
package struct LockView: View {
  private let lock: DeviceLock
  /// Declared devices that may be missing, and are.
  private let open: [UnresolvedStep]

  package init(lock: DeviceLock, open: [UnresolvedStep] = []) { (self.lock, self.open) = (lock, open) }

  package var document: LockDocument {
    LockDocument(
      host: lock.host, devices: lock.devices.map(LockedDeviceDocument.init),
      unresolved: open.map(UnresolvedDocument.init))
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var lines = ManifestText(style: style)
    lines.comment(0, "Written by `berth lock`. `berth plan` compares it with the host, and says what differs.")
    for step in open { lines.comment(0, "Left out: \(step.label), \(step.obstacle.rawValue), \(step.evidence).") }
    lines.line(0, "apiVersion: berth/v1alpha1")
    lines.line(0, "kind: HostLock")
    lines.line(0, "metadata: {name: \(lines.quoted(lock.host))}")
    lines.line(0, "spec:")
    lines.line(2, lock.devices.isEmpty ? "devices: {}" : "devices:")
    for device in lock.devices {
      lines.line(4, "\(lines.quoted(device.label)):")
      lines.line(6, "selector: \(lines.quoted(device.selector))")
      lines.line(6, "found:")
      for function in device.functions {
        let facts = [
          ("address", "\(function.address)"), ("id", function.id?.description),
          ("subsystem", function.subsystem?.description), ("serial", function.serial),
        ]
        let keys = facts.compactMap { key, value in
          value.map { value -> TerminalText in "\(key): \(lines.quoted(value))" }
        }
        lines.line(8, "- {\(keys.joined(", "))}")
      }
    }
    return lines.text
  }
}

/// In what the host differs from a lock.
package struct LockReport: Sendable {
  package let path: String
  package let differences: [LockDifference]
  package init(path: String, differences: [LockDifference]) { (self.path, self.differences) = (path, differences) }

  /// The differences as warnings, each a line.
  package var warnings: [String] { differences.map { "\($0.label) \($0.words)" } }
}

extension LockDifference {
  /// What differs, for people: `moved since the lock: 0000:03:00.0 → 0000:04:00.0`.
  var words: String {
    func list(_ functions: [LockedFunction]) -> String {
      functions.map(\.address.description).joined(separator: ", ")
    }
    switch kind {
    case .moved: return "moved since the lock: \(list(locked)) → \(list(found))"
    case .replaced: return "replaced since the lock: \(Self.change(locked, found) ?? list(found))"
    case .otherDevice: return "means another device than at the lock: \(list(locked)) → \(list(found))"
    case .notFound: return "was \(list(locked)) at the lock, and is not found now"
    case .selectorChanged: return "is declared in another way than at the lock, when it was \(list(locked))"
    case .notLocked: return "is not in the lock"
    case .notDeclared: return "is in the lock, and no domain has it any more"
    }
  }

  /// Returns the first fact that differs of one function.
  private static func change(_ locked: [LockedFunction], _ found: [LockedFunction]) -> String? {
    guard locked.count == found.count else {
      return "\(Words.count(locked.count, "function")) → \(Words.count(found.count, "function"))"
    }
    for (before, now) in zip(locked, found) {
      let facts = [
        ("id", before.id?.description, now.id?.description), ("serial", before.serial, now.serial),
        ("subsystem", before.subsystem?.description, now.subsystem?.description),
      ]
      for (name, old, new) in facts {
        if let old, old != new { return "\(now.address) had \(name) \(old), and has \(new ?? "none")" }
      }
    }
    return nil
  }
}

extension Columns {
  /// Writes in what the host differs from a lock.
  mutating func rows(forLock report: LockReport?) {
    guard let report, !report.differences.isEmpty else { return }
    heading("Lock", report.path)
    for difference in report.differences { row(.differ, difference.label, "", difference.words) }
  }
}

/// A lock for programs: `{"formatVersion": 1, "kind": "DeviceLock", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct LockDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "DeviceLock", formatVersion: 1)
  let host: String
  let devices: [LockedDeviceDocument]
  let unresolved: [UnresolvedDocument]
}

struct LockedDeviceDocument: Encodable, Sendable {
  let label: String
  let selector: String
  let found: [LockedFunctionDocument]

  init(_ device: LockedDevice) {
    (label, selector, found) = (device.label, device.selector, device.functions.map(LockedFunctionDocument.init))
  }
}

struct LockedFunctionDocument: Encodable, Sendable {
  let address: String
  let id: String?
  let subsystem: String?
  let serial: String?

  init(_ function: LockedFunction) {
    address = function.address.description
    id = function.id?.description
    subsystem = function.subsystem?.description
    serial = function.serial
  }
}

/// A plan's lock, and in what the host differs from it.
struct LockReportDocument: Encodable, Sendable {
  let file: String
  let differences: [LockDifferenceDocument]

  init(_ report: LockReport) {
    file = report.path
    differences = report.differences.map(LockDifferenceDocument.init)
  }
}

struct LockDifferenceDocument: Encodable, Sendable {
  let label: String
  let kind: String
  let meaning: String
  let locked: [LockedFunctionDocument]
  let found: [LockedFunctionDocument]

  init(_ difference: LockDifference) {
    label = difference.label
    kind = difference.kind.rawValue
    meaning = difference.words
    locked = difference.locked.map(LockedFunctionDocument.init)
    found = difference.found.map(LockedFunctionDocument.init)
  }
}
