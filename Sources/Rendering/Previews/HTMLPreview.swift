import Model
import Planning

/// One page of HTML that needs nothing else: no script, and no file beside it.
struct HTMLPage {
  var title: MarkupText
  /// What the page says in one sentence.
  var verdict: MarkupText
  /// Whether the sentence is bad news.
  var isBad: Bool
  /// What the page is about, in one line; empty if nothing is to be said.
  var about: MarkupText
  var sections: [Section]

  /// A heading with tables.
  struct Section {
    /// The name of the place in the page: a word.
    var anchor: MarkupText
    var title: MarkupText
    var tables: [Table]
    /// Whether a reader opens it.
    var isFolded = false
  }

  struct Table {
    var caption: MarkupText
    var columns: [MarkupText]
    var rows: [Row]
  }

  struct Row {
    var sign: MarkupText
    var tone: TextStyle.Tone
    /// The first is the row's heading. An empty one is left out on a narrow screen.
    var cells: [MarkupText]
  }

  /// Returns the page, ended by a newline.
  func text() -> MarkupText {
    let shown = sections.filter { !$0.tables.isEmpty }
    let links = shown.map { section -> MarkupText in "<li><a href=\"#\(section.anchor)\">\(section.title)</a></li>\n" }
    let subject: MarkupText = about.isEmpty ? "" : "<p class=\"quiet\">\(about)</p>\n"
    let parts: MarkupText =
      links.isEmpty ? "" : "<nav aria-label=\"Parts of this page\">\n<ul>\n\(links.joined())</ul>\n</nav>\n"
    let verdictClass: MarkupText = isBad ? "bad" : "verdict"
    return """
      <!DOCTYPE html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
      <title>\(title)</title>
      <style>
      \(PageColors.sheet)</style>
      </head>
      <body>
      <header>
      <h1>\(title)</h1>
      <p class="\(verdictClass)">\(verdict)</p>
      \(subject)</header>
      \(parts)<main>
      \(shown.map(\.text).joined())</main>
      </body>
      </html>

      """
  }
}

extension HTMLPage.Section {
  /// Returns the section of warnings; it is left out without any.
  static func warnings(_ warnings: [String], caption: MarkupText) -> Self {
    let rows = warnings.map { HTMLPage.Row(sign: "!", tone: .changed, cells: ["\($0)"]) }
    return Self(
      anchor: "warnings", title: "Warnings",
      tables: rows.isEmpty ? [] : [.init(caption: caption, columns: ["Warning"], rows: rows)])
  }

  fileprivate var text: MarkupText {
    let body = tables.map(\.text).joined()
    if isFolded {
      return """
        <section id="\(anchor)" aria-label="\(title)">
        <details>
        <summary><h2>\(title)</h2></summary>
        \(body)</details>
        </section>

        """
    }
    return "<section id=\"\(anchor)\" aria-label=\"\(title)\">\n<h2>\(title)</h2>\n\(body)</section>\n"
  }
}

extension HTMLPage.Table {
  /// The table. A narrow screen shows each cell on a line of its own, so the roles say that it stays a table.
  fileprivate var text: MarkupText {
    let heads = columns.map { name -> MarkupText in "<th scope=\"col\" role=\"columnheader\">\(name)</th>" }
    return """
      <table role="table">
      <caption>\(caption)</caption>
      <thead role="rowgroup"><tr role="row">\(heads.joined())</tr></thead>
      <tbody role="rowgroup">
      \(rows.map(\.text).joined())</tbody>
      </table>

      """
  }
}

extension HTMLPage.Row {
  fileprivate var text: MarkupText {
    let rest = cells.dropFirst().map { cell -> MarkupText in "<td role=\"cell\">\(cell)</td>" }
    return "<tr role=\"row\" class=\"\(tone.className)\"><th scope=\"row\" role=\"rowheader\">"
      + "<span class=\"sign\" aria-hidden=\"true\">\(sign)</span> \(cells.first ?? "")</th>\(rest.joined())</tr>\n"
  }
}

extension MarkupText {
  /// Returns a text from outside with what stands between two backquotes as code.
  static func sentence(_ outside: String) -> MarkupText {
    let parts = outside.split(separator: "`", omittingEmptySubsequences: false)
    guard parts.count > 1, parts.count % 2 == 1, !outside.contains("``") else { return "\(outside)" }
    return parts.enumerated().map { index, part -> MarkupText in
      index % 2 == 1 ? "<code>\(String(part))</code>" : "\(String(part))"
    }.joined()
  }
}

extension TextStyle.Tone {
  fileprivate var className: MarkupText {
    switch self {
    case .plain, .heading: "plain"
    case .added: "added"
    case .removed: "removed"
    case .changed: "changed"
    case .refused: "refused"
    case .waiting: "waiting"
    case .quiet: "quiet"
    }
  }
}

extension PlanView {
  var htmlPage: MarkupText {
    let lines = PlanLines(plan, lock: lock, naming: naming)
    let waits: [MarkupText] = ["Device", "What it is", "Domain", "Why", "Next step"]
    return HTMLPage(
      title: "Plan for \(plan.host.name)", verdict: "\(summary)", isBad: plan.refusal != nil, about: "\(header)",
      sections: [
        .init(
          anchor: "blocked", title: "Blocked",
          tables: Self.table("What a person has to act on first", waits, lines[.blocked])),
        .init(anchor: "changes", title: "Changes", tables: lines.changes.map(\.table)),
        .init(
          anchor: "pending", title: "Pending", tables: Self.table("What waits for a domain", waits, lines[.pending])),
        .warnings(warnings, caption: "What the manifest's reader remarked"),
        .init(
          anchor: "evidence", title: "Evidence",
          tables: Self.table("What was seen", ["Device", "Domain", "Seen"], lines[.evidence], isSeen: true),
          isFolded: true),
        .init(
          anchor: "unchanged", title: "Unchanged",
          tables: Self.table("What stays as it is", waits, lines[.unchanged]), isFolded: true),
      ]
    ).text()
  }

  /// Returns a table of lines; none without lines.
  static func table(
    _ caption: MarkupText, _ columns: [MarkupText], _ lines: [PlanLines.Line], isSeen: Bool = false
  ) -> [HTMLPage.Table] {
    if lines.isEmpty { return [] }
    return [
      .init(
        caption: caption, columns: columns,
        rows: lines.map { line in
          let why = line.reason.isEmpty ? line.words : "\(line.reason): \(line.words)"
          let cells =
            isSeen
            ? [line.subject, line.holder, why] : [line.subject, line.device, line.holder, why, line.next ?? ""]
          return .init(sign: "\(line.mark.rawValue)", tone: line.mark.tone, cells: cells.map(MarkupText.sentence))
        })
    ]
  }
}

extension PlanLines.Group {
  var table: HTMLPage.Table {
    let hasHolders = lines.contains { !$0.holder.isEmpty }
    let hasNext = lines.contains { $0.next != nil }
    return .init(
      caption: about.isEmpty ? "\(title)" : "\(title) <span class=\"quiet\">\(about)</span>",
      columns: ["Device", "What it is"] + (hasHolders ? ["Domain"] : []) + ["What happens"]
        + (hasNext ? ["Next step"] : []),
      rows: lines.map { line in
        let cells =
          [line.subject, line.device] + (hasHolders ? [line.holder] : []) + [line.words]
          + (hasNext ? [line.next ?? ""] : [])
        return .init(sign: "\(line.mark.rawValue)", tone: line.mark.tone, cells: cells.map(MarkupText.sentence))
      })
  }
}

extension ValidationView {
  var htmlPage: MarkupText {
    HTMLPage(
      title: "Check of manifests", verdict: "\(verdict)", isBad: !isValid, about: "\(files.joined(separator: ", "))",
      sections: Remark.Severity.allCases.map { severity in
        let rows = remarks.filter { $0.severity == severity }.map { remark in
          HTMLPage.Row(
            sign: severity == .error ? "!" : "~", tone: severity == .error ? .refused : .changed,
            cells: [remark.place, remark.message, remark.hint ?? ""].map(MarkupText.sentence))
        }
        let title: MarkupText = severity == .error ? "Errors" : "Warnings"
        return HTMLPage.Section(
          anchor: severity == .error ? "errors" : "warnings", title: title,
          tables: rows.isEmpty
            ? [] : [.init(caption: title, columns: ["Place", "What was found", "Next step"], rows: rows)])
      }
    ).text()
  }
}
