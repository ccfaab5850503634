package import Model

extension FleetView {
  package func preview(_ form: PreviewForm, release: String) throws -> TerminalText? {
    switch form {
    case .markdown: return markdownPage.output
    case .html: return htmlPage.output
    case .github:
      return WorkflowCommands(summary: "\(header): \(figures)", annotations: annotations, directory: directory).text()
        .output
    case .sarif: return try json(SARIFLog(annotations, directory: directory, release: release))
    case .gitlab: return try json(annotations.keyed.map { CodeQualityIssue($0, directory: directory) })
    case .gitlabSummary:
      let counts = hosts.compactMap { if case .counts(let counts) = $0.detail { counts } else { nil } }
      return try json(ChangeCounts(counts), isIndented: false)
    case .junit: return JUnitReport.text(of: reports).output
    }
  }

  /// What keeps each host from being applied, the most severe first.
  private var annotations: [Annotation] {
    hosts.flatMap { host -> [Annotation] in
      if case .annotations(let annotations) = host.detail { return annotations }
      guard let failure = host.failure else { return [] }
      return [
        Annotation(
          rule: .hostNotPlanned, severity: .error, message: "not planned: \(failure.message)", next: failure.hint,
          host: host.name)
      ]
    }.bySeverity
  }

  private var reports: [JUnitReport] {
    hosts.compactMap { host in
      if case .report(let report) = host.detail { return report }
      return host.failure.map { JUnitReport(host: host.name, failure: $0.message) }
    }
  }

  /// The lines about the plans of all hosts.
  private var pages: [PlanLines] {
    hosts.compactMap { if case .lines(let lines, _, _) = $0.detail { lines } else { nil } }
  }

  /// What was remarked, each remark once, with the hosts that it is about.
  private var warnings: [String] {
    var order: [String] = []
    var names: [String: [String]] = [:]
    for host in hosts {
      guard case .lines(_, let warnings, _) = host.detail else { continue }
      for warning in Set(warnings).sorted() {
        if names[warning] == nil { order.append(warning) }
        names[warning, default: []].append(host.name)
      }
    }
    return order.map { warning in
      let about = names[warning] ?? []
      let more = about.count > 2 ? " and \(about.count - 2) more" : ""
      return "\(about.prefix(2).joined(separator: ", "))\(more): \(warning)"
    }
  }

  /// The fleet as a comment in a pull request.
  private var markdownPage: MarkdownText {
    let prints = hosts.map { host -> String in
      if case .lines(_, _, let fingerprint) = host.detail {
        "\(host.name) \(fingerprint)"
      } else {
        "\(host.name) \(host.sentence)"
      }
    }
    var head: MarkdownText = .marker(
      "berth:fleet", ["fingerprint": shortDigest(of: prints.joined(separator: "\n"))])
    head += "## \(header): \(figures)\n"
    let pages = pages
    func rows(_ isShown: (FleetHost) -> Bool) -> [MarkdownPage.Row] {
      hosts.filter(isShown).map { host in
        .item(.tableRow([host.name, host.state.words, host.sentence].map(MarkdownPage.bounded)))
      }
    }
    let columns: [StaticString] = ["Host", "State", "What an apply would do"]
    return MarkdownPage(
      head: head,
      parts: [
        .init(
          heading: "Hosts", layout: .table(columns: columns), rows: rows { $0.state != .asDeclared }, name: "hosts",
          weight: 6),
        .init(
          heading: "Blocked", layout: .list, rows: pages.flatMap { $0[.blocked].map(\.item) }, name: "blocked devices",
          weight: 5),
        .init(
          heading: "Changes", layout: .block("diff"), rows: pages.flatMap { $0.changes.flatMap(\.diff) },
          name: "lines of the changes", weight: 4),
        .init(
          heading: "Pending", layout: .list, rows: pages.flatMap { $0[.pending].map(\.item) }, name: "pending devices",
          weight: 3),
        .init(
          heading: "Warnings", layout: .list,
          rows: warnings.map { .item("* Warning: \(MarkdownPage.bounded($0))\n") }, name: "warnings", weight: 2,
          isExtra: true),
        .init(
          heading: "As declared", layout: .table(columns: columns), rows: rows { $0.state == .asDeclared },
          name: "hosts that are as declared", weight: 0, isExtra: true),
      ], whole: "`berth plan --fleet` shows all of it."
    ).text()
  }

  var htmlPage: MarkupText {
    let pages = pages
    let waits: [MarkupText] = ["Device", "What it is", "Domain", "Why", "Next step"]
    func table(_ caption: MarkupText, _ shown: [FleetHost]) -> [HTMLPage.Table] {
      if shown.isEmpty { return [] }
      return [
        .init(
          caption: caption, columns: ["Host", "State", "What an apply would do", "Snapshot", "Next step"],
          rows: shown.map { host in
            .init(
              sign: "\(host.state.mark.rawValue)", tone: host.state.mark.tone,
              cells: [host.name, host.state.words, host.sentence, host.source, host.failure?.hint ?? ""].map(
                MarkupText.sentence))
          })
      ]
    }
    return HTMLPage(
      title: "Plans of a fleet", verdict: "\(summary)", isBad: count(.notPlanned) + count(.blocked) > 0,
      about: "\(header)",
      sections: [
        .init(
          anchor: "hosts", title: "Hosts",
          tables: table("What needs a look", hosts.filter { $0.state != .asDeclared })),
        .init(
          anchor: "blocked", title: "Blocked",
          tables: PlanView.table("What a person has to act on first", waits, pages.flatMap { $0[.blocked] })),
        .init(anchor: "changes", title: "Changes", tables: pages.flatMap { $0.changes.map(\.table) }),
        .init(
          anchor: "pending", title: "Pending",
          tables: PlanView.table("What waits for a domain", waits, pages.flatMap { $0[.pending] })),
        .warnings(warnings, caption: "What was remarked"),
        .init(
          anchor: "unchanged", title: "As declared",
          tables: table("What stays as it is", hosts.filter { $0.state == .asDeclared }), isFolded: true),
      ]
    ).text()
  }
}
