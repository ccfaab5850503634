import Model

/// What a person agrees to with a plan: each change, with the facts on which the change rests.
///
/// A plan is made from nothing but facts. So two plans that have the same changes for the same facts may replace each
/// other. What does not change is no part of it: a guest that no change concerns may start, end or get devices.
package struct PlanConsent: Hashable, Sendable {
  package var host: String
  /// The kernel's number of the start of dom0; nil if it is not known. Numbers of domains say nothing after another start.
  package var bootID: String?
  package var set: String
  /// In the order of their texts, each once.
  package var changes: [ConsentedChange]

  package init(host: String, bootID: String?, set: String, changes: [ConsentedChange]) {
    self.host = host
    self.bootID = bootID
    self.set = set
    self.changes = changes
  }

  /// What a person agrees to who sees `plan`.
  package init(to plan: Plan, bootID: String?) {
    var changes: [ConsentedChange] = []
    for domain in plan.domains {
      for step in domain.steps {
        if case .change(let change, let target) = step.kind {
          changes.append(ConsentedChange(change, step, target))
        }
      }
    }
    changes += plan.driverSteps.map(ConsentedChange.init)
    changes += plan.hostSteps.compactMap(ConsentedChange.init)
    self.init(host: plan.host.name, bootID: bootID, set: plan.set, changes: Set(changes).sorted())
  }

  /// The text of which the fingerprint is made, one line each. Repairs of what belongs to no living domain are left out:
  /// any guest that ends can make one necessary.
  package var text: String {
    var text = "berth-plan 1\n"
    text += ConsentedChange.field(.host, host) + " "
    text += ConsentedChange.field(.boot, bootID ?? "") + " " + ConsentedChange.field(.set, set) + "\n"
    for change in changes where !change.isHostRepair {
      text += change.text
      text += "\n"
    }
    return text
  }
}

/// One change as text: `attach uuid=… device=0000:03:00.0 domid=5 …`, in the order of `Key`.
package struct ConsentedChange: Hashable, Comparable, Sendable {
  package enum Key: String, CaseIterable, Sendable {
    case host, boot, set
    /// The domain that is changed.
    case uuid
    case device
    case domid, domain
    /// Why, as documents name it.
    case because
    /// Whether the guest takes part.
    case mode
    /// What the device is.
    case id, serial
    /// The options that the device has, and those that it gets.
    case before, after
    /// The domain that loses the device, or its claim.
    case from, fromDomid, fromMode
    /// The driver that loses the device, or gets it.
    case driver
    /// Why the device is taken although something stands on it, and what that is.
    case override, standing
    /// Whether pciback has to be loaded first.
    case loads
  }

  package let text: String

  /// A change as a file has it. Nil if the text is not one that this version writes.
  package init?(text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard let verb = words.first, Self.verbs.contains(String(verb)) else { return nil }
    var last = -1
    for word in words.dropFirst() {
      guard let end = word.firstIndex(of: "="), let key = Key(rawValue: String(word[..<end])),
        let place = Self.places[key], place > last, word[word.index(after: end)...].utf8.allSatisfy(Self.isWritten)
      else { return nil }
      last = place
    }
    self.text = text
  }

  package static func < (one: Self, other: Self) -> Bool { one.text < other.text }
}

extension ConsentedChange {
  /// The first words of a change.
  private static let verbs: Set<String> = Set(
    [ChangeKind.attach, .detach, .reattach, .move, .repair, .adopt].map(\.rawValue)
      + DriverStep.Kind.allCases.map(\.rawValue) + [removesClaim, removesBackEnd])
  private static let removesClaim = "remove-claim"
  private static let removesBackEnd = "remove-back-end"
  private static let places = Dictionary(
    uniqueKeysWithValues: Key.allCases.enumerated().map { ($0.element, $0.offset) })

  init(_ change: Change, _ step: DeviceStep, _ target: DomainTarget) {
    var text = change.kind.rawValue
    func add(_ key: Key, _ value: String?) { Self.add(key, value, to: &text) }
    add(.uuid, target.key.uuid.description)
    add(.device, step.device.description)
    add(.domid, target.key.id.description)
    add(.domain, target.name.text)
    add(.because, change.reason.name)
    add(.mode, change.concernsGuest ? target.mode.rawValue : nil)
    add(.id, step.deviceID?.description)
    add(.serial, step.serial)
    let options = change.options
    add(.before, options.before.map(Self.words))
    add(.after, options.after.map(Self.words))
    if case .move(let source, _) = change {
      add(.from, source.key.uuid.description)
      add(.fromDomid, source.key.id.description)
      add(.fromMode, source.mode.rawValue)
    }
    if case .repair(.writeClaim(let owner?)) = change { add(.fromDomid, owner.description) }
    self.text = text
  }

  fileprivate init(_ step: DriverStep) {
    var text = step.kind.rawValue
    func add(_ key: Key, _ value: String?) { Self.add(key, value, to: &text) }
    add(.device, step.device.description)
    add(.domain, step.domain?.text)
    add(.id, step.deviceID?.description)
    add(.serial, step.serial)
    add(.driver, step.driver ?? "")
    add(.override, step.override?.reason)
    add(.standing, step.standing)
    add(.loads, step.loadsPCIBack ? "pciback" : nil)
    self.text = text
  }

  /// Nil if the step changes nothing.
  init?(_ step: HostStep) {
    switch step.kind {
    case .removeClaim(let device, let domain):
      text =
        "\(Self.removesClaim) \(Self.field(.device, device.description)) \(Self.field(.domid, domain.description))"
    case .removeBackEnd(let domain): text = "\(Self.removesBackEnd) \(Self.field(.domid, domain.description))"
    case .drift: return nil
    }
  }

  /// Adds a fact, if it has a value.
  private static func add(_ key: Key, _ value: String?, to text: inout String) {
    if let value { text += " " + field(key, value) }
  }

  /// `key=value`, with percent signs for whatever is neither a letter, a digit nor one of a few marks.
  static func field(_ key: Key, _ value: String) -> String {
    if value.utf8.allSatisfy({ isPlain($0) }) { return "\(key.rawValue)=\(value)" }
    var text = key.rawValue + "="
    for byte in value.utf8 {
      if isPlain(byte) { text.unicodeScalars.append(Unicode.Scalar(byte)) } else { text += "%" + hex(UInt64(byte), 2) }
    }
    return text
  }

  /// `permissive=false` and so on, joined by commas.
  private static func words(_ options: DeviceOptions) -> String {
    options.list.map { option in
      switch option.value {
      case .flag(let isOn): "\(option.name):\(isOn)"
      case .word(let word): "\(option.name):\(word)"
      case .slot(let slot): "\(option.name):\(slot.map { "\($0)" } ?? "any")"
      }
    }.joined(separator: ",")
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: ","), UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: false
    }
  }

  private static func isWritten(_ byte: UInt8) -> Bool { isPlain(byte) || byte == UInt8(ascii: "%") }

  // MARK: Reading

  package var verb: String { String(text.prefix { $0 != " " }) }

  /// Whether it repairs something that belongs to no living domain.
  var isHostRepair: Bool { verb == Self.removesClaim || verb == Self.removesBackEnd }

  /// The facts by their keys.
  package var facts: [Key: String] {
    var facts: [Key: String] = [:]
    for word in text.split(separator: " ").dropFirst() {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if let key = Key(rawValue: String(parts[0])) { facts[key] = Self.decoded(parts[1]) }
    }
    return facts
  }

  private static func decoded(_ value: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = value.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%"), let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
      else {
        bytes.append(byte)
        continue
      }
      bytes.append(code)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Change {
  /// The options that the device has, and those that it gets; nil if it has none, gets none, or the step leaves them alone.
  fileprivate var options: (before: DeviceOptions?, after: DeviceOptions?) {
    switch self {
    case .attach(let options, _), .move(_, let options): (nil, options)
    case .detach(let options, _): (options, nil)
    case .reattach(let before, let after, _): (before, after)
    case .repair, .adopt: (nil, nil)
    }
  }
}
