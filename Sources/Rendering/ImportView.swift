package import Model
package import Planning

/// A manifest that was put together from a host or from the files of another tool.
///
/// The answer for people is the manifest itself, to be kept in a file.
package struct ImportView: View {
  private let manifest: ImportedManifest
  /// What the manifest was made from: `the host host17`, `/etc/xen/net.cfg`.
  private let sources: [String]
  private let warnings: [String]
  private let naming: DeviceNaming

  package init(
    manifest: ImportedManifest, sources: [String], warnings: [String] = [],
    naming: @escaping DeviceNaming = { _ in nil }
  ) {
    self.manifest = manifest
    self.sources = sources
    self.warnings = warnings
    self.naming = naming
  }

  package var document: ImportDocument {
    ImportDocument(
      host: manifest.hostName, sources: sources, manifest: text(TextStyle()).description,
      remarks: manifest.allRemarks.map(ImportRemarkDocument.init), warnings: warnings)
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var lines = ManifestText(style: style)
    lines.comment(0, "Made by `berth import` from \(Self.list(sources)).")
    for warning in warnings { lines.comment(0, "Warning: \(warning).") }
    for remark in manifest.remarks { lines.comment(0, remark.words) }
    lines.line(0, "apiVersion: berth/v1alpha1")
    lines.line(0, "kind: HostAssignments")
    if let name = manifest.hostName { lines.line(0, "metadata: {name: \(lines.quoted(name))}") }
    lines.line(0, "spec:")
    if let prune = manifest.prune { lines.line(2, "policy: {prune: \(prune.rawValue)}") }
    writeDefinitions(to: &lines)
    writeDomains(to: &lines)
    return lines.text
  }

  /// The first few sources, and how many more there are.
  private static func list(_ sources: [String]) -> String {
    let shown = sources.prefix(4).joined(separator: ", ")
    return sources.count > 4 ? "\(shown) and \(sources.count - 4) more" : shown
  }

  private func writeDefinitions(to lines: inout ManifestText) {
    let devices = manifest.domains.filter(\.isDeclared).flatMap { $0.devices.filter { !$0.isLeftOut } }
      .sorted { $0.address < $1.address }
    guard !devices.isEmpty else { return }
    lines.line(2, "devices:")
    for device in devices {
      if let about = about(device) { lines.comment(4, about) }
      lines.line(4, "\(device.label): \(lines.mapping(of: device.selector))")
    }
  }

  /// What the device is, for people; nil if nothing more than its id is known.
  private func about(_ device: ImportedDevice) -> String? {
    var parts = [device.selector.id.flatMap(naming).map(Words.shortened)].compactMap(\.self)
    parts += device.function?.slots.prefix(1).map { "slot \($0)" } ?? []
    parts +=
      device.function?.interfaces.prefix(4).compactMap { interface in
        interface.address.map { "\(interface.name) has MAC \($0)" }
      } ?? []
    parts +=
      device.function?.nvme.prefix(4).compactMap { controller in
        controller.serial.map { "\(controller.name) has serial \($0)" }
      } ?? []
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  private func writeDomains(to lines: inout ManifestText) {
    guard manifest.domains.contains(where: \.isDeclared) else {
      lines.line(2, "domains: {}")
      for domain in manifest.domains { write(domain, to: &lines) }
      return
    }
    lines.line(2, "domains:")
    for domain in manifest.domains { write(domain, to: &lines) }
  }

  private func write(_ domain: ImportedDomain, to lines: inout ManifestText) {
    let sign = domain.isDeclared ? nil : 4
    lines.comment(4, Self.title(of: domain))
    for remark in domain.remarks { lines.comment(4, remark.words) }
    guard !domain.devices.isEmpty else { return }
    lines.line(4, "\(lines.quoted(domain.name.text)):", sign: sign)
    if let uuid = domain.uuid { lines.line(6, "uuid: \(lines.quoted("\(uuid)"))", sign: sign) }
    lines.line(6, "devices:", sign: sign)
    for device in domain.devices.sorted(by: { $0.address < $1.address }) {
      let place = device.line.map { "Line \($0). " } ?? ""
      for remark in device.remarks { lines.comment(8, place + remark.words, sign: sign) }
      if sign != nil || device.isLeftOut {
        let plain = DeviceSelector(address: device.address, id: device.selector.id)
        lines.line(8, "- \(lines.mapping(of: plain, device.options))", sign: sign ?? 8)
      } else {
        lines.line(8, "- \(lines.entry(device.label, device.options))")
      }
    }
  }

  /// `sys-net: domid 1, PV, running`.
  private static func title(of domain: ImportedDomain) -> String {
    let what = Words.domain(
      id: domain.id, kind: domain.kind, lifecycle: domain.lifecycle, stubDomain: domain.stubDomain)
    let name = domain.name.isEmpty ? "without a name" : domain.name.text
    guard let file = domain.file else { return "\(name): \(what)" }
    return "\(name): from \(file)" + (domain.id == nil ? "" : ", \(what)")
  }
}

/// A manifest that was put together, for programs: `{"formatVersion": 1, "kind": "ImportedManifest", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct ImportDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "ImportedManifest", formatVersion: 1)
  /// Nil if the manifest is for every host.
  let host: String?
  let sources: [String]
  /// The text of the manifest.
  let manifest: String
  let remarks: [ImportRemarkDocument]
  let warnings: [String]
}

/// What could not be carried over, or what is to be known.
struct ImportRemarkDocument: Encodable, Sendable {
  let reason: String
  let file: String?
  let line: Int?
  let domain: String?
  let device: String?
  let text: String

  init(_ entry: (domain: ImportedDomain?, device: ImportedDevice?, remark: ImportRemark)) {
    reason = entry.remark.name
    file = entry.domain?.file
    line = entry.device?.line
    domain = entry.domain?.name.text
    device = entry.device?.address.description
    text = entry.remark.words
  }
}
