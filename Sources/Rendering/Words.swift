import Model
import Planning

/// The words that plans, results and status share.
package enum Words {
  static func kind(_ kind: DomainKind) -> String {
    switch kind {
    case .pv: "PV"
    case .hvm: "HVM"
    case .pvh: "PVH"
    case .unknown: "kind unknown"
    }
  }

  static func lifecycle(_ lifecycle: DomainLifecycle) -> String {
    switch lifecycle {
    case .building: "being built"
    case .cold: "built, not started"
    case .running: "running"
    case .paused: "paused"
    case .shutdown: "shut down"
    case .destroying: "being destroyed"
    }
  }

  /// Returns `domid 2, PV, running`.
  static func domain(
    id: DomainID?, kind: DomainKind?, lifecycle: DomainLifecycle?, stubDomain: DomainID?, stubDomainOf: DomainID? = nil
  ) -> String {
    guard let id else { return "not running" }
    var parts = ["domid \(id)"]
    if let kind { parts.append(Words.kind(kind)) }
    if let stubDomain { parts.append("stub domain \(stubDomain)") }
    if let stubDomainOf { parts.append("stub domain of \(stubDomainOf)") }
    if let lifecycle { parts.append(Words.lifecycle(lifecycle)) }
    return parts.joined(separator: ", ")
  }

  /// Returns the name of a domain that a store names, or its number if it has no name.
  static func holder(_ holder: Holder) -> String {
    holder.name.flatMap { $0.isEmpty ? nil : $0.text } ?? holder.id.map { "domid \($0)" } ?? ""
  }

  /// Returns `Intel I210 [8086:1533]`, or only the id if it has no name. The manifest's name comes first.
  ///
  /// A long name is cut before the id, so that the id is always whole.
  static func device(_ id: DeviceID?, label: String?, naming: DeviceNaming) -> String {
    guard let id else { return label ?? "" }
    guard let name = naming(id).map(shortened) else { return label.map { "\($0): \(id)" } ?? "\(id)" }
    let whole = label.map { "\($0): \(name)" } ?? name
    // A blank, two brackets, and the id's nine characters.
    return "\(cut(visible(whole), to: Columns.widestName - 12)) [\(id)]"
  }

  /// Returns the short form of a device's name. It is the product's name if the list has one in brackets, otherwise the
  /// name without its vendor's legal form.
  static func shortened(_ name: String) -> String {
    if name.hasSuffix("]"), let start = name.lastIndex(of: "["), start != name.startIndex {
      return String(name[name.index(after: start)..<name.index(before: name.endIndex)])
    }
    return name.split(separator: " ").filter { word in
      !legalForms.contains(word.hasSuffix(",") ? word.dropLast() : word)
    }.joined(separator: " ")
  }

  private static let legalForms: Set<Substring> = [
    "Corporation", "Corp.", "Corp", "Inc.", "Inc", "Co.", "Co", "Ltd.", "Ltd", "Limited", "LLC", "GmbH", "S.A.", "AG",
    "Electronics", "Semiconductor",
  ]

  /// Returns `permissive no → yes, rdmPolicy strict → relaxed`.
  static func optionChanges(from before: DeviceOptions, to after: DeviceOptions) -> String {
    zip(before.list, after.list).filter { $0 != $1 }.map { "\($0.name) \($0.value) → \($1.value)" }
      .joined(separator: ", ")
  }

  /// Returns the options that are not libxl's defaults.
  static func unusualOptions(_ options: DeviceOptions?) -> String {
    (options?.unusual ?? []).map(\.description).joined(separator: ", ")
  }

  static func yesNo(_ value: Bool) -> String { value ? "yes" : "no" }

  /// Returns `1 device`, `2 devices`.
  package static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(number) \(number == 1 ? one : many ?? one + "s")"
  }

  /// Returns the seconds from now to a deadline, rounded; 0 if it is over.
  package static func seconds(until deadline: ContinuousClock.Instant) -> Int64 {
    max(0, (deadline - .now + .milliseconds(500)).components.seconds)
  }

  /// Returns the numbers that are not 0 with their words: `1 to attach, 2 to detach`.
  static func counts(_ pairs: [(Int, String)]) -> String {
    pairs.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }

  /// Returns the text in lines of at most 80 columns, each ended by a newline. All lines after the first are indented.
  ///
  /// `first` is the number of columns that the first line uses already.
  static func wrapped(_ text: String, indent: Int = 0, first: Int = 0) -> String {
    lines(text, indent: indent, first: first).joined(separator: "\n" + String(repeating: " ", count: indent)) + "\n"
  }

  /// Returns the text in lines that leave room for an indent within 80 columns; none for an empty text.
  static func lines(_ text: String, indent: Int = 0, first: Int = 0) -> [String] {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      let room = 80 - (lines.isEmpty ? first : indent)
      if !line.isEmpty, columns(of: line) + columns(of: word) + 1 > room {
        lines.append(line)
        line = ""
      }
      line += (line.isEmpty ? "" : " ") + word
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }
}
