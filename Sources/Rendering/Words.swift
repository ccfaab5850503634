import Core

/// The words that plans, results and status share.
enum Words {
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
    case .shutdown: "shutting down"
    case .destroying: "being destroyed"
    }
  }

  /// `domid 2, PV, running`.
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

  /// `Intel I210 [8086:1533]`; the id alone where it has no name, the manifest's name before either.
  static func device(_ id: DeviceID?, label: String?, naming: DeviceNaming) -> String {
    let name = id.map { id in naming(id).map { "\(shortened($0)) [\(id)]" } ?? "\(id)" }
    switch (label, name) {
    case (let label?, let name?): return "\(label): \(name)"
    case (let label?, nil): return label
    case (nil, let name?): return name
    case (nil, nil): return ""
    }
  }

  /// A vendor's name as people say it: without its legal form.
  static func shortened(_ name: String) -> String {
    var words: [Substring] = []
    for word in name.split(separator: " ") {
      let bare = word.hasSuffix(",") ? word.dropLast() : word
      if legalForms.contains(String(bare)) { continue }
      words.append(word)
    }
    // "Samsung Electronics Co Ltd" leaves a comma behind where the form was set off by one.
    return words.enumerated().map { position, word in
      let next = position + 1 < words.count
      return word.hasSuffix(",") && !next ? String(word.dropLast()) : String(word)
    }.joined(separator: " ")
  }

  private static let legalForms: Set<String> = [
    "Corporation", "Corp.", "Corp", "Inc.", "Inc", "Co.", "Co", "Ltd.", "Ltd", "Limited", "LLC", "GmbH", "S.A.", "AG",
    "Electronics",
  ]

  /// `permissive no → yes, rdmPolicy strict → relaxed`.
  static func optionChanges(from before: DeviceOptions, to after: DeviceOptions) -> String {
    var changes: [String] = []
    func compare(_ name: String, _ old: String, _ new: String) {
      if old != new { changes.append("\(name) \(old) → \(new)") }
    }
    compare("permissive", yesNo(before.permissive), yesNo(after.permissive))
    compare("msiTranslate", yesNo(before.msiTranslate), yesNo(after.msiTranslate))
    compare("powerManagement", yesNo(before.powerManagement), yesNo(after.powerManagement))
    compare("rdmPolicy", before.rdmPolicy.rawValue, after.rdmPolicy.rawValue)
    compare("virtualSlot", slot(before.virtualSlot), slot(after.virtualSlot))
    return changes.joined(separator: ", ")
  }

  /// The options that are not libxl's defaults, for an attach.
  static func unusualOptions(_ options: DeviceOptions?) -> String {
    guard let options else { return "" }
    var parts: [String] = []
    if options.permissive { parts.append("permissive") }
    if options.msiTranslate { parts.append("msiTranslate") }
    if options.powerManagement { parts.append("powerManagement") }
    if options.rdmPolicy != .strict { parts.append("rdmPolicy \(options.rdmPolicy.rawValue)") }
    if let slot = options.virtualSlot { parts.append("virtualSlot \(slot)") }
    return parts.joined(separator: ", ")
  }

  static func yesNo(_ value: Bool) -> String { value ? "yes" : "no" }
  private static func slot(_ value: UInt8?) -> String { value.map { String($0) } ?? "any" }

  /// `1 device`, `2 devices`.
  static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(number) \(number == 1 ? one : many ?? one + "s")"
  }

  /// The non-zero ones of `1 to attach, 2 to detach`.
  static func counts(_ pairs: [(Int, String)]) -> String {
    pairs.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
  }
}
