import Model

extension History: CustomStringConvertible {
  /// A table: what held at the start, one block of lines per run, and what held at the end.
  package var description: String {
    var rows: [[[String]]] = [[["run"], ["time"], ["wants"], ["reports"], ["exit"]]]
    rows.append([["start"], [], text(of: start), [], []])
    for run in runs {
      rows.append([
        [run.name], ["\(Self.milliseconds(run.began))–\(Self.milliseconds(run.ended)) ms"], run.wishes, run.report,
        ["\(run.status)"],
      ])
    }
    rows.append([["end"], [], end.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }, [], []])
    let widths = (0..<5).map { column in rows.flatMap { $0[column] }.map(\.count).max() ?? 0 }
    return rows.flatMap { Self.lines(of: $0, widths) }.joined(separator: "\n")
  }

  private static func lines(of row: [[String]], _ widths: [Int]) -> [String] {
    (0..<(row.map(\.count).max() ?? 0)).map { line in
      let cells = zip(row, widths).map { cell, width in
        let text = line < cell.count ? cell[line] : ""
        return text + String(repeating: " ", count: width - text.count)
      }
      let whole = cells.joined(separator: "  ")
      return String(whole[..<(whole.lastIndex { $0 != " " }.map { whole.index(after: $0) } ?? whole.startIndex)])
    }
  }

  private func text(of places: Placements) -> [String] {
    Set(places.keys).union(end.keys).sorted().map { "\($0) \(Found.placed(places[$0]))" }
  }

  private static func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
  }
}

extension History.Placement: CustomStringConvertible {
  package var description: String { "in \(domain)\(options.difference)" }
}

extension History.Found: CustomStringConvertible {
  package var description: String {
    switch self {
    case .placed(let place?): "\(place)"
    case .placed(nil): "free"
    case .torn(let what): "TORN: \(what)"
    }
  }
}

extension History.Run {
  fileprivate var wishes: [String] {
    wanted.sorted { $0.key < $1.key }.map { domain, devices in
      let list = devices.sorted { $0.key < $1.key }.map { "\($0.key)\($0.value.difference)" }
      return "\(domain): \(list.isEmpty ? "nothing" : list.joined(separator: ", "))"
    }
  }

  fileprivate var report: [String] {
    steps.map { "\($0.domain): \($0.action) \($0.device) \($0.result)\($0.isUndone ? ", undone" : "")" } + remarks
      + (isExcused ? ["(not needed for the contradiction)"] : [])
  }
}

extension DeviceOptions {
  /// What differs from the defaults, each word after a space.
  fileprivate var difference: String {
    unusual.map { " \($0)" }.joined()
  }
}
