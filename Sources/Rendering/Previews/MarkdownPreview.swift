import Model
import Planning

/// A page in Markdown that is no longer than a comment may be. What does not fit is left out, and the page says so.
struct MarkdownPage {
  /// The most characters of a page. GitHub takes 65 536 in a comment; a wrapper may add some.
  static let longest = 60_000
  /// The room for the sentences on what is left out, and for headings.
  private static let reserve = 1_000
  /// The most columns of a text from outside. Longer texts end with `…`.
  private static let widest = 1_000

  /// The marker, the title, and what stands below it.
  var head: MarkdownText
  /// The parts in the order of the page.
  var parts: [Part]
  /// What shows all of it.
  var whole: MarkdownText

  /// Rows under one heading.
  struct Part {
    var heading: MarkdownText
    /// What stands before and after the rows; the rows of a block stand between its fences.
    var layout: Layout
    var rows: [Row]
    /// The words for its rows: `changes`.
    var name: MarkdownText
    /// How much it matters. What matters least is left out first.
    var weight: Int
    /// Whether it is left out as a whole. Otherwise it loses rows at its end.
    var isExtra = false
  }

  enum Layout {
    case list
    /// A table, whose rows are items.
    case table(columns: [StaticString])
    case block(StaticString)
    /// A block that a reader opens.
    case folded(StaticString, summary: MarkdownText)
  }

  /// One device, in one form for its layout.
  enum Row {
    case item(MarkdownText)
    case line(BlockLine)

    var length: Int {
      switch self {
      case .item(let text): text.length
      case .line(let text): text.length + 1
      }
    }
  }

  /// Returns the page, with what fits into it.
  func text() -> MarkdownText {
    var parts = parts
    var left: [MarkdownText] = []
    var page = Self.text(head, parts, left: left, whole)
    let order = parts.indices.sorted { parts[$0].weight > parts[$1].weight }
    for number in order.reversed() where parts[number].isExtra && !parts[number].rows.isEmpty {
      if page.length <= Self.longest { break }
      left.append("\(parts[number].rows.count) \(parts[number].name)")
      parts[number].rows = []
      page = Self.text(head, parts, left: left, whole)
    }
    guard page.length > Self.longest else { return page }
    var room = Self.longest - Self.reserve - head.length
    for number in order {
      let all = parts[number].rows
      room -= parts[number].heading.length
      parts[number].rows = Array(
        all.prefix { row in
          room -= row.length
          return room >= 0
        })
      if parts[number].rows.count < all.count {
        left.append("\(all.count - parts[number].rows.count) of \(all.count) \(parts[number].name)")
      }
    }
    return Self.text(head, parts, left: left, whole)
  }

  private static func text(
    _ head: MarkdownText, _ parts: [Part], left: [MarkdownText], _ whole: MarkdownText
  ) -> MarkdownText {
    var page = head
    if !left.isEmpty {
      page += "\n**Left out**, because a comment has at most 60 000 characters: \(left.joined(", ")). \(whole)\n"
    }
    for part in parts where !part.rows.isEmpty { page += part.text }
    return page
  }

  /// Returns a text from outside that is not too long for a page.
  static func bounded(_ outside: String) -> String { Model.cut(visible(outside), to: widest) }
}

extension MarkdownPage.Part {
  /// The rows with their heading.
  fileprivate var text: MarkdownText {
    let title: MarkdownText = heading.isEmpty ? "" : "\n### \(heading)\n"
    switch layout {
    case .list: return "\(title)\n\(items.joined())"
    case .table(let columns): return "\(title)\n\(MarkdownText.tableHead(columns))\(items.joined())"
    case .block(let language): return "\(title)\n\(MarkdownText.block(language, lines))"
    case .folded(let language, let summary):
      return """
        \(title)
        <details>
        <summary>\(summary)</summary>

        \(MarkdownText.block(language, lines))
        </details>

        """
    }
  }

  private var items: [MarkdownText] { rows.compactMap { if case .item(let text) = $0 { text } else { nil } } }
  private var lines: [BlockLine] { rows.compactMap { if case .line(let line) = $0 { line } else { nil } } }
}

extension PlanView {
  /// The plan as a comment in a pull request.
  var markdownPage: MarkdownText {
    let lines = PlanLines(plan, lock: lock, naming: naming)
    // `berth plan` gives the fingerprint, with the number of dom0's start in it.
    let fingerprint = fingerprint ?? PlanConsent(to: plan, bootID: nil).fingerprint
    var head: MarkdownText =
      plan.set == DesiredState.defaultSet
      ? .marker("berth:plan", ["host": plan.host.name, "fingerprint": fingerprint])
      : .marker("berth:plan", ["host": plan.host.name, "set": plan.set, "fingerprint": fingerprint])
    head += "## \(MarkdownPage.bounded(plan.host.name)): \(figures)\n\n"
    head += "Host \(MarkdownPage.bounded(header))\n"
    if plan.refusal != nil { head += "\n**\(MarkdownPage.bounded(summary))**\n" }
    return MarkdownPage(
      head: head,
      parts: [
        .init(
          heading: "", layout: .block("diff"), rows: lines.changes.flatMap(\.diff), name: "lines of the changes",
          weight: 4),
        .init(
          heading: "Blocked", layout: .list, rows: lines[.blocked].map(\.item), name: "blocked devices", weight: 5),
        .init(
          heading: "Pending", layout: .list, rows: lines[.pending].map(\.item), name: "pending devices", weight: 3),
        .init(
          heading: "Warnings", layout: .list,
          rows: warnings.map { .item("* Warning: \(MarkdownPage.bounded($0))\n") }, name: "warnings", weight: 2,
          isExtra: true),
        .init(
          heading: "",
          layout: .folded("text", summary: "Evidence of \(Words.count(lines[.evidence].count, "change"))"),
          rows: lines[.evidence].map { .line($0.block("#")) },
          name: "lines of evidence", weight: 1, isExtra: true),
        .init(
          heading: "",
          layout: .folded("text", summary: "Unchanged: \(Words.count(lines[.unchanged].count, "device"))"),
          rows: lines[.unchanged].map { .line($0.block("=")) },
          name: "unchanged devices", weight: 0, isExtra: true),
      ], whole: "`berth plan` shows all of it."
    ).text()
  }
}

extension PlanLines.Line {
  fileprivate var bounded: String { MarkdownPage.bounded(words) }

  /// Returns the line as one of a block, behind a sign.
  fileprivate func block(_ sign: BlockLine) -> BlockLine {
    var text: BlockLine = "\(sign) \(MarkdownPage.bounded(subject))"
    if !device.isEmpty { text += " \(device)" }
    if !holder.isEmpty { text += " of \(MarkdownPage.bounded(holder))" }
    return text + ": \(bounded)"
  }

  /// The line as an entry of a list, with what a person can do below it.
  var item: MarkdownPage.Row {
    var text: MarkdownText = "* \(.code(MarkdownPage.bounded(subject)))"
    if !holder.isEmpty { text += " for \(.code(MarkdownPage.bounded(holder)))" }
    text += reason.isEmpty ? ": " : ": **\(reason)**, "
    text += "\(bounded)\n"
    if let next { text += "  * Next: \(MarkdownPage.bounded(next))\n" }
    return .item(text)
  }
}

extension PlanLines.Group {
  /// The lines of a block that programs colour: `+` is green, `-` is red, and `!` is orange.
  var diff: [MarkdownPage.Row] {
    let heading: BlockLine = "# \(MarkdownPage.bounded(title))"
    return [.line(about.isEmpty ? heading : "\(heading) \(MarkdownPage.bounded(about))")]
      + lines.flatMap { line -> [MarkdownPage.Row] in
        [.line(line.block(line.mark.diff))] + (line.next.map { [.line("#   next: \(MarkdownPage.bounded($0))")] } ?? [])
      }
  }
}

extension Mark {
  /// The sign in a block of changes. Programs that colour such blocks know `!`, and not `~`.
  fileprivate var diff: BlockLine {
    switch self {
    case .add: "+"
    case .remove: "-"
    case .change: "!"
    case .differ: "≠"
    case .same: "="
    case .refuse, .wait, .unsure, .none: "#"
    }
  }
}

extension ValidationView {
  /// The verdict as a comment in a pull request.
  var markdownPage: MarkdownText {
    var head = MarkdownText.marker(
      "berth:validate", ["fingerprint": shortDigest(of: ([verdict] + remarks.map(\.sentence)).joined(separator: "\n"))])
    head += "## \(MarkdownPage.bounded(verdict))\n"
    return MarkdownPage(
      head: head,
      parts: Remark.Severity.allCases.map { severity in
        MarkdownPage.Part(
          heading: severity == .error ? "Errors" : "Warnings", layout: .list,
          rows: remarks.filter { $0.severity == severity }.map { .item($0.item) },
          name: severity == .error ? "errors" : "warnings", weight: severity == .error ? 1 : 0)
      }, whole: "`berth validate` shows all of it."
    ).text()
  }
}

extension Remark {
  /// The place and the message.
  fileprivate var sentence: String { "\(place): \(message)" }

  /// `host.yaml:12:7`; empty if the remark is about no file.
  var place: String { line == 0 ? file : "\(file):\(line):\(column)" }

  fileprivate var item: MarkdownText {
    let place: MarkdownText = file.isEmpty ? "The manifests" : .code(MarkdownPage.bounded(place))
    var text: MarkdownText = "* \(place): \(MarkdownPage.bounded(message))\n"
    if let hint { text += "  * Next: \(MarkdownPage.bounded(hint))\n" }
    return text
  }
}
