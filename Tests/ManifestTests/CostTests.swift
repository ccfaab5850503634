import Model
import TestSupport
import Testing

@testable import Manifest

/// What a bad text costs. The tests count what is done; nothing is measured in time.
@Suite struct CostTests {
  private static let head = "apiVersion: berth/v1alpha1\nkind: HostAssignments\n"

  /// Reads a text as the documents of every host, and returns the report.
  private func read(_ text: String) -> Diagnostics {
    let report = Diagnostics()
    let source = SourceText(name: "t.yaml", text: text)
    let documents = parseDeclaration(source, kind: "HostAssignments", name: "a manifest", report: report).compactMap {
      ValueType<ManifestDocument>.document.read($0, as: "the document", report)
    }
    let hosts = DocumentsByHost(documents)
    guard hosts.isBounded(report) else { return report }
    for host in hosts.hosts { _ = Assembly.desiredState(of: hosts[host], report) }
    warnOfHostSpellings(in: documents, report)
    Assembly.warnOfUnusedNames(in: documents, report)
    return report
  }

  /// Shapes of bad input, each as large as it may be, with errors or warnings by the ten thousand.
  static let shapes: [(name: String, text: @Sendable () -> String)] = [
    ("unknown keys", { head + (0..<90_000).map { "k\($0): 1\n" }.joined() }),
    ("keys twice", { head + String(repeating: "spec: {}\n", count: 60_000) }),
    (
      "unknown options",
      {
        head + "spec: {domains: {a: {devices: [" + String(repeating: "{devise: x, permisive: y},", count: 30_000)
          + "]}}}\n"
      }
    ),
    (
      "misspelt domains",
      { head + "spec:\n  domains:\n" + (0..<40_000).map { "    d\($0): {devcies: []}\n" }.joined() }
    ),
    (
      "devices twice",
      { head + "spec: {domains: {a: {devices: [" + String(repeating: "\"03:00.0\",", count: 80_000) + "]}}}\n" }
    ),
    (
      "no addresses",
      { head + "spec: {domains: {a: {devices: [" + String(repeating: "03:00.9,", count: 90_000) + "]}}}\n" }
    ),
    (
      "missing names",
      {
        head + "spec:\n  devices:\n"
          + (0..<15_000).map { "    n\($0): {address: \"\(PCIAddress(sbdf: UInt32($0)))\"}\n" }.joined()
          + "  domains: {a: {devices: [" + (0..<30_000).map { "m\($0)," }.joined() + "]}}\n"
      }
    ),
    (
      "one wrong list, repeated",
      {
        head + "spec:\n  devices:\n"
          + (0..<2000).map { "    n\($0): {address: \"\(PCIAddress(sbdf: UInt32($0)))\"}\n" }.joined()
          + "  domains:\n    a: {devices: &l [nosuch]}\n"
          + (0..<30_000).map { "    d\($0): {devices: *l}\n" }.joined()
      }
    ),
    ("documents", { String(repeating: head + "sqec: {}\n---\n", count: 15_000) }),
    ("merge keys on one line", { head + "spec: [" + String(repeating: "{<<: 1},", count: 60_000) + "]\n" }),
    (
      "templates on one line",
      { head + "spec: {domains: {a: {devices: [" + String(repeating: "{{é: b}: c},", count: 50_000) + "]}}}\n" }
    ),
    ("anchors", { head + (0..<40_000).map { "k\($0): &a\($0) 1\n" }.joined() + "x: *a99999\n" }),
    ("hosts alike", { (0..<8000).map { head + "metadata: {name: h.d\($0)}\nspec: {domains: {}}\n---\n" }.joined() }),
  ]

  @Test(arguments: shapes)
  func `a bad text costs at most four hundred messages`(_ shape: (name: String, text: @Sendable () -> String)) {
    let report = read(shape.text())
    #expect(report.composed <= 4 * report.limit, "\(shape.name)")
    #expect(report.sorted.count <= 2 * report.limit + 2)
    if report.errorCount > report.limit {
      #expect(report.sorted.contains { $0.message.hasSuffix("more errors are not shown") }, "\(shape.name)")
    }
  }

  @Test func `each error beyond the limit is counted`() throws {
    let report = read(Self.head + (0..<1000).map { "k\($0): 1\n" }.joined())
    // One for each key, and one for the missing `spec`.
    #expect(report.errorCount == 1001 && report.composed == 100)
    #expect(report.sorted.last?.message == "up to 901 more errors are not shown")
  }

  @Test(arguments: [
    (0..<35_000).map { "%TAG !a\($0)! tag:x,2000:\n" }.joined() + "---\na: 1\n",
    "%TAG !a! tag:\(String(repeating: "x", count: 500_000))\n---\n[" + String(repeating: "!a!b 1,", count: 60_000)
      + "]\n",
  ])
  func `directives are refused before libyaml reads them`(_ text: String) {
    let report = Diagnostics()
    #expect(parseYAML(SourceText(name: "t", text: text), report: report).isEmpty)
    #expect(
      report.sorted.map(\.message) == ["more than 16 lines begin with '%', or one of them is longer than 256 bytes"])
  }

  @Test func `a long text counts each time that an alias repeats it`() {
    let text =
      "a: &x \"\(String(repeating: "x", count: 500_000))\"\nb: [" + String(repeating: "*x,", count: 100_000) + "]\n"
    #expect(faults(text) == "more than 200000 values; what an alias repeats counts each time")
    #expect(faults("a: &x \"\(String(repeating: "x", count: 500_000))\"\nb: [*x, *x]\n") == "")
  }

  @Test func `shared documents for many hosts are refused by their number`() {
    let shared =
      Self.head + "spec: {domains: {a: {devices: ["
      + (0..<2000).map { "\"\(PCIAddress(sbdf: UInt32($0)))\"" }.joined(separator: ",") + "]}}}\n"
    let hosts = (0..<1000).map { "---\n" + Self.head + "metadata: {name: h\($0)}\nspec: {domains: {}}\n" }.joined()
    #expect(
      read(shared + hosts).sorted.map(\.message) == [
        "the documents for every host have 2002 entries, which is too much for 1000 hosts"
      ])
  }

  /// Looks at each location of a text in both ways.
  @Test(arguments: [
    "", "a", "é", "日本語\nab\r\ncé\u{85}x\u{2028}y\n\n",
    String(repeating: "é", count: 3000) + "\n" + String(repeating: "ab日", count: 2000),
  ])
  func `a column is found as by counting from the start of the line`(_ text: String) {
    let source = SourceText(name: "t", text: text)
    for number in 0...(source.lineCount + 1) {
      let line = source.line(number)
      let starts = line.indices.filter { !isUTF8Continuation(line[$0]) }
      for column in [1, 2, 3, 60, 1023, 1024, 1025, 2999, 3000, 3001, 7000] {
        let expected = column <= starts.count ? starts[column - 1] : line.endIndex
        #expect(source.offset(line: number, column: column) == expected, "\(number):\(column)")
        if column <= starts.count, number >= 1 {
          let mark = source.mark(atOffset: expected)
          #expect((mark.line, mark.column) == (number, column))
        }
      }
    }
  }
}
