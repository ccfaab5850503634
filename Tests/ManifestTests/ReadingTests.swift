import Model
import Testing

@testable import Manifest

@Suite struct ReadingTests {
  enum Mode: String, CaseIterable, Sendable { case fast, slow }

  struct Probe: Equatable {
    var name: String?
    var count: Int?
    var mode: Mode?
    var wait: Duration?
    var tags: [String]?
  }

  /// Reads a mapping as another part of the program would.
  private func read(_ text: String) -> (Probe?, [String]) {
    let report = Diagnostics()
    guard let node = parseYAML(SourceText(name: "t", text: text), report: report).first,
      var reader = MappingReader(node, "the probe", report)
    else { return (nil, report.sorted.map(\.message)) }
    let probe = Probe(
      name: reader.required("name", .text), count: reader.optional("count", .integer(0...9)),
      mode: reader.optional("mode", .choice()), wait: reader.optional("wait", .duration),
      tags: reader.optional("tags", .list(of: .text)))
    reader.finish()
    return (probe, report.sorted.map(\.message))
  }

  @Test func `a mapping is read key by key`() {
    let (probe, messages) = read("{name: no, count: 7, mode: slow, wait: 500ms, tags: [a, 0040]}")
    #expect(messages.isEmpty)
    #expect(probe == Probe(name: "no", count: 7, mode: .slow, wait: .milliseconds(500), tags: ["a", "0040"]))
  }

  @Test func `every error of a mapping is reported`() {
    let (_, messages) = read("{nam: x, count: 10, mode: slo, wait: 5, tags: [[]], tags: []}")
    #expect(
      messages == [
        "the probe needs the key 'name'", "the probe has no key 'nam'",
        "'count' must be a whole number from 0 to 9, not '10'", "'mode' must be one of fast, slow, not 'slo'",
        "'wait' must be a duration such as 500ms, 10s or 2m, not '5'",
        "an entry of 'tags' must be a text, not a list", "the probe has the key 'tags' twice",
      ])
  }

  @Test(
    arguments: [
      ("10s", Duration.seconds(10)), ("0ms", .zero), ("2m", .seconds(120)), ("1h", .seconds(3600)), ("1.5s", nil),
      ("s", nil), ("-1s", nil), ("1000000000s", nil), ("٣s", nil), ("10 s", nil),
    ] as [(String, Duration?)])
  func `a duration has a number and a unit`(text: String, expected: Duration?) {
    #expect(read("{name: x, wait: \"\(text)\"}").0?.wait == expected)
  }

  @Test(
    arguments: [
      ("14.0", "0000:00:14.0"), ("180.0", "0000:03:00.0"), ("180", "0000:03:00.0"), ("60.1", "0000:01:00.1"),
      ("3600.5", "0001:00:00.5"), ("75.1", "0000:01:15.1"), ("0", "0000:00:00.0"), ("25.0", nil), ("60.8", nil),
      ("1.25", nil), ("-60.0", nil), ("15e3", nil), ("1e400", nil), ("99999999999999999999", nil), ("x", nil),
    ] as [(String, String?)])
  func `a number leads back to the address it was`(text: String, address: String?) {
    #expect(NumberTrap.likelyAddress(of: text) == address)
  }

  /// A YAML 1.1 reader takes such an address for a number: its parts to base 60.
  @Test func `every address that is a base-60 number is found again`() throws {
    for bus in stride(from: 0, to: 60, by: 7) {
      for device in 0..<20 {
        for function in 0..<8 {
          let number = "\(bus * 60 + device).\(function)"
          let text = "\(bus < 10 ? "0" : "")\(bus):\(device < 10 ? "0" : "")\(device).\(function)"
          let address = try #require(PCIAddress(text))
          #expect(NumberTrap.likelyAddress(of: number) == address.description)
        }
      }
    }
  }

  @Test(arguments: [("15000.0", "15e3"), ("15000", "15e3"), ("100000000", "1e8"), ("15001", nil), ("32", nil)])
  func `a number leads back to the id it was part of`(text: String, id: String?) {
    #expect(NumberTrap.likelyExponent(of: text) == (id == "1e8" ? nil : id))
  }

  @Test func `JSON text is escaped, indented and ordered`() {
    let value: JSONValue = .members([
      "b": .array([.number(1), .null]), "a": .string("\"\\\n\u{1}é"), "c": .array([]), "d": .members([:]),
    ])
    #expect(
      value.text == """
        {
          "b": [
            1,
            null
          ],
          "a": "\\"\\\\\\n\\u0001é",
          "c": [],
          "d": {}
        }
        """)
  }
}
