package import Model
package import Planning

/// The lines of a configuration of xl that agree with a manifest.
package struct XlView: View {
  private let domain: DesiredDomain

  /// The devices of the domain must all have addresses.
  package init(domain: DesiredDomain) { self.domain = domain }

  package var document: XlDocument { XlDocument(domain, text: text(TextStyle()).description) }

  package func text(_ style: TextStyle) -> TerminalText {
    var lines = ManifestText(style: style)
    lines.comment(
      0, "The devices of \(domain.name), by `berth render xl`. Replace the file's own `pci = [ … ]` by this.")
    guard !domain.devices.isEmpty else {
      lines.comment(
        0, "None is declared. These settings let the domain get devices later; xl reads the second for PV only.")
      lines.line(0, "passthrough = \"enabled\"")
      lines.line(0, "e820_host = 1")
      return lines.text
    }
    lines.line(0, "pci = [")
    for device in domain.devices.sorted(by: { $0.address < $1.address }) {
      let about = [device.label, device.id?.description].compactMap(\.self).joined(separator: ": ")
      if !about.isEmpty { lines.comment(2, about) }
      lines.line(2, "\"\(Self.entry(device))\",")
    }
    lines.line(0, "]")
    return lines.text
  }

  /// `0000:03:00.0,permissive=1,vslot=1f`. The keys are those of `xlu_pci_parse_spec_string` (tools/libs/util/libxlu_pci.c,
  /// Xen 4.17), which reads slots as hexadecimal numbers.
  static func entry(_ device: DesiredDevice) -> String {
    let options = device.options
    var parts = ["\(device.address)"]
    if options.permissive { parts.append("permissive=1") }
    if options.msiTranslate { parts.append("msitranslate=1") }
    if options.powerManagement { parts.append("power_mgmt=1") }
    if options.rdmPolicy != .strict { parts.append("rdm_policy=\(options.rdmPolicy.rawValue)") }
    if let slot = options.virtualSlot { parts.append("vslot=\(hex(UInt64(slot), 1))") }
    return parts.joined(separator: ",")
  }
}

/// In what a configuration of xl differs from a manifest.
package struct XlCheckView: View {
  private let domain: DesiredDomain
  private let file: String
  private let differences: [ConfigurationDifference]

  package init(domain: DesiredDomain, file: String, differences: [ConfigurationDifference]) {
    (self.domain, self.file, self.differences) = (domain, file, differences)
  }

  package var document: XlDocument {
    XlDocument(
      domain, text: XlView(domain: domain).text(TextStyle()).description,
      check: XlCheckDocument(
        file: file, isSame: differences.isEmpty, differences: differences.map(XlDifferenceDocument.init)))
  }

  package func text(_ style: TextStyle) -> TerminalText {
    guard !differences.isEmpty else {
      return "\(style.printable("\(file) agrees with the manifest of \(domain.name)."))\n"
    }
    var columns = Columns(style: style)
    columns.heading(domain.name.text, file)
    for difference in differences {
      let place = difference.line.map { "line \($0)" } ?? ""
      columns.row(difference.mark, difference.device?.description ?? "", place, difference.words)
    }
    let summary = "\(Words.count(differences.count, "difference")). `berth render xl` prints the lines that agree."
    return "\(columns.rendered())\n\(style.printable(summary))\n"
  }
}

extension ConfigurationDifference {
  /// The difference's word in documents.
  var name: String {
    switch self {
    case .name: "name"
    case .uuid: "uuid"
    case .missing: "missing"
    case .extra: "extra"
    case .repeated: "repeated"
    case .options: "options"
    case .remark(_, _, let remark): remark.name
    }
  }

  var device: PCIAddress? {
    switch self {
    case .name, .uuid: nil
    case .missing(let device), .extra(let device, _), .repeated(let device, _), .options(let device, _, _, _): device
    case .remark(let device, _, _): device
    }
  }

  var line: Int? {
    switch self {
    case .name, .uuid, .missing: nil
    case .extra(_, let line), .repeated(_, let line), .options(_, let line, _, _): line
    case .remark(_, let line, _): line
    }
  }

  fileprivate var mark: Mark {
    switch self {
    case .missing: .add
    case .extra, .repeated: .remove
    case .name, .uuid, .options, .remark: .change
    }
  }

  /// What differs, for people. What the file has is first, and then what is declared.
  var words: String {
    switch self {
    case .name(let name): "the file is for the domain '\(name)'"
    case .uuid(let uuid): "the file gives the domain the UUID \(uuid)"
    case .missing: "is declared, and the file lacks it"
    case .extra: "is in the file, and not declared"
    case .repeated: "is in the file twice; libxl refuses the second"
    case .options(_, _, let file, let wanted): Words.optionChanges(from: file, to: wanted)
    case .remark(_, _, let remark): remark.words
    }
  }
}

/// The lines of a configuration of xl for programs: `{"formatVersion": 1, "kind": "XlConfiguration", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct XlDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "XlConfiguration", formatVersion: 1)
  let domain: String
  /// The entries of `pci`, as xl reads them.
  let entries: [String]
  let text: String
  /// Nil if no file was compared.
  let check: XlCheckDocument?

  init(_ domain: DesiredDomain, text: String, check: XlCheckDocument? = nil) {
    self.domain = domain.name.text
    entries = domain.devices.sorted { $0.address < $1.address }.map(XlView.entry)
    self.text = text
    self.check = check
  }
}

struct XlCheckDocument: Encodable, Sendable {
  let file: String
  let isSame: Bool
  let differences: [XlDifferenceDocument]
}

struct XlDifferenceDocument: Encodable, Sendable {
  let kind: String
  let device: String?
  let line: Int?
  let meaning: String

  init(_ difference: ConfigurationDifference) {
    kind = difference.name
    device = difference.device?.description
    line = difference.line
    meaning = difference.words
  }
}
