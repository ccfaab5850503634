package import Model
package import Planning
import XenProtocol

/// What each store says of each device, for people and for programs.
package struct DriftView: View {
  package var matrix: DriftMatrix
  package var warnings: [String]
  private let naming: DeviceNaming

  package init(matrix: DriftMatrix, warnings: [String] = [], naming: @escaping DeviceNaming = { _ in nil }) {
    self.matrix = matrix
    self.warnings = warnings
    self.naming = naming
  }

  package var document: DriftDocument { DriftDocument(matrix, warnings: warnings, naming: naming) }

  /// The matrix, then what is wrong, one line each, then the cause of each kind once.
  package func text(_ style: TextStyle) -> TerminalText {
    let header = Words.host(matrix.host, domains: matrix.domainCount, devices: matrix.rows.count)
    var result: TerminalText = "\(style.printable(header))\n\n"
    if !matrix.rows.isEmpty { result += "\(table(style))\n" }
    let drifts = matrix.rows.flatMap(\.drifts) + matrix.domains
    if !drifts.isEmpty {
      var columns = Columns(style: style)
      columns.heading("Drift")
      for drift in drifts {
        columns.row(
          drift.outcome == .atWork ? .wait : .differ, drift.device?.description ?? "the bus",
          drift.domain.map(Words.holder) ?? "",
          "\(drift.name.rawValue): \(drift.evidence)", notes: drift.notes)
      }
      result += "\(columns.rendered())\n\(causes(of: drifts, style))\n"
    }
    return "\(result)\(style.printable(summary))\n"
  }

  private static let titles = [
    "device", "manifest", "record", "saved", "back end", "claim", "Xen", "pciback", "driver", "QEMU",
  ]

  private func table(_ style: TextStyle) -> TerminalText {
    let rows = ([Self.titles] + matrix.rows.map(cells)).map { row in row.map(style.printable) }
    let widths = Self.titles.indices.map { column in rows.map { $0[column].columns }.max() ?? 0 }
    var text: TerminalText = ""
    for (number, row) in rows.enumerated() {
      let line = zip(row, widths).map { cell, width in cell.padded(to: width) }.joined("  ").trimmed
      guard number > 0 else {
        text += "    \(style.paint(line, .heading))\n"
        continue
      }
      let mark = Self.mark(matrix.rows[number - 1])
      text += "  \(style.paint(style.printable(mark.rawValue), mark.tone)) \(line)\n"
    }
    return text
  }

  private static func mark(_ row: DriftRow) -> Mark {
    if row.drifts.isEmpty { return row.entries.isEmpty ? .none : .same }
    return row.drifts.allSatisfy { $0.outcome == .atWork } ? .wait : .differ
  }

  private func cells(_ row: DriftRow) -> [String] {
    var cells = [
      row.device.description, row.manifest.map(Self.short) ?? "-", joined(row.records.map(Self.short)),
      joined(row.saved.map(Self.short)),
    ]
    cells.append(joined(row.entries.map(Self.words)))
    cells.append(row.claim.map(Self.short) ?? "-")
    cells.append(row.assignment.rawValue)
    cells.append(row.isOnPCIBack.map { Words.yesNo($0) } ?? "-")
    cells.append(row.isOnPCIBack == nil ? "no device" : row.driver ?? "-")
    cells.append(joined(row.emulations.map(Self.words)))
    return cells
  }

  /// The number of columns that a name in a cell uses at most, so that what is said of it stays on the line.
  private static let widestName = 24

  private static func short(_ name: String) -> String { cut(visible(name), to: widestName) }
  private static func short(_ holder: Holder) -> String { short(Words.holder(holder)) }

  private func joined(_ parts: [String]) -> String { parts.isEmpty ? "-" : parts.joined(separator: ", ") }

  private static func words(_ entry: DriftRow.Entry) -> String {
    var text = "\(short(entry.holder)) \(entry.state)"
    if let address = entry.virtualAddress { text += " at \(address)" }
    return entry.isOrphan ? text + " (beyond the count)" : text
  }

  private static func words(_ emulation: DriftRow.Emulation) -> String {
    guard emulation.isKnown else { return "\(short(emulation.holder)) not asked" }
    return "\(short(emulation.holder)) " + (emulation.guestAddress.map { "at \($0)" } ?? "no")
  }

  private func causes(of drifts: [Drift], _ style: TextStyle) -> TerminalText {
    var names: [DriftName] = []
    for drift in drifts where !names.contains(drift.name) { names.append(drift.name) }
    let texts = names.map { name -> TerminalText in
      let cause = style.printable(name.explanation.cause).description
      let lines = Words.lines(cause, indent: 4, first: name.rawValue.count + 4).map { TerminalText($0) }
      return "  \(name.rawValue): \(lines.joined("\n    "))\n"
    }
    return "\(style.paint("Causes", .heading))\n\(texts.joined())"
  }

  private var summary: String {
    let findings = matrix.findings
    let repaired = findings.count { $0.outcome.isRepaired }
    guard !findings.isEmpty else { return "\(Words.count(matrix.rows.count, "device")), no drift." }
    return "\(Words.count(findings.count, "drift")): "
      + Words.counts([
        (repaired, "to be repaired by the next apply"),
        (findings.count - repaired, "left as found"),
      ]) + "."
  }
}

extension Drift {
  /// What becomes of it, and what a person can do.
  var notes: [String] {
    [outcomeText] + (nextStep.map { ["next: \($0)"] } ?? [])
  }

  var outcomeText: String {
    switch outcome {
    case .planned(.repair), .removed: "next apply: \(name.explanation.action ?? "repairs it")"
    case .planned(.detach): "next apply: detaches it from the domain"
    case .planned(.reattach): "next apply: detaches it and attaches it again"
    case .planned(.move): "next apply: moves it to the domain for which it is declared"
    case .planned:
      device == nil ? "next apply: repairs it before it attaches the next device" : "next apply: attaches it"
    case .atWork: "a run of Berth is at work on it"
    case .left(.drift(name)): name.explanation.whyLeft.map { "left: \($0)" } ?? "left as found"
    case .left(.change(.notOwned)): "left: neither declared for the domain nor attached by Berth"
    case .left(let reason): "left: \(reason.explanation.meaning)"
    }
  }

  /// What a person can do if it is left; otherwise nil.
  var nextStep: String? {
    guard case .left(let reason) = outcome else { return nil }
    return remedy ?? reason.explanation.remedy?.text(device: device, in: domain)
  }
}
