import Testing

@testable import Manifest

/// Reads a text and returns its documents and all messages.
func read(_ text: String, limits: YAMLLimits = .standard) -> (documents: [YAMLNode], messages: [Diagnostic]) {
  let report = Diagnostics()
  let documents = parseYAML(SourceText(name: "t.yaml", text: text), limits: limits, report: report)
  return (documents, report.sorted)
}

/// Returns the messages of a text that has only one kind of fault, joined.
func faults(_ text: String) -> String { read(text).messages.map(\.message).joined(separator: "; ") }

/// Returns a node as one line that a test can compare.
func outline(_ node: YAMLNode) -> String {
  switch node.content {
  case .scalar(let scalar): scalar.isPlain ? scalar.text : "\"\(scalar.text)\""
  case .sequence(let nodes): "[" + nodes.map(outline).joined(separator: ", ") + "]"
  case .mapping(let pairs):
    "{" + pairs.map { "\(outline($0.key)): \(outline($0.value))" }.joined(separator: ", ") + "}"
  }
}

@Suite struct YAMLTests {
  @Test func `scalars keep their text and order, whatever other readers would make of them`() {
    let (documents, messages) = read("b: 03:00.0\na: [00:14.0, 15e3, 0040, no, '5', \"x\\ty\"]\n")
    #expect(messages.isEmpty)
    #expect(documents.map(outline) == ["{b: 03:00.0, a: [00:14.0, 15e3, 0040, no, \"5\", \"x\ty\"]}"])
  }

  @Test func `marks count lines from 1 and columns in characters`() throws {
    let document = try #require(read("ключ: [é, x]\n").documents.first)
    guard case .mapping(let pairs) = document.content, case .sequence(let nodes) = pairs[0].value.content else {
      Issue.record("not a mapping of a list")
      return
    }
    #expect(nodes.map(\.mark.description) == ["t.yaml:1:8", "t.yaml:1:11"])
  }

  @Test func `several documents, and empty ones are left out`() {
    let (documents, messages) = read("---\n# nothing\n---\na: 1\n...\n---\nb: 2\n")
    #expect(messages.isEmpty)
    #expect(documents.map(outline) == ["{a: 1}", "{b: 2}"])
  }

  @Test func `aliases repeat the anchored value, at the alias's location`() throws {
    let (documents, messages) = read("a: &x [1, 2]\nb: *x\n")
    #expect(messages.isEmpty)
    let document = try #require(documents.first)
    #expect(outline(document) == "{a: [1, 2], b: [1, 2]}")
    guard case .mapping(let pairs) = document.content else { return }
    #expect(pairs.map(\.value.mark.line) == [1, 2])
  }

  @Test func `the documents before a syntax error are still read`() {
    let (documents, messages) = read("a: 1\n---\nb: [\n")
    #expect(documents.map(outline) == ["{a: 1}"])
    #expect(messages.count == 1)
  }

  @Test(arguments: [
    ("a: &x [*x]\n", "the alias *x is inside the value that it repeats"),
    ("a: *x\n", "the alias *x has no anchor: there is no &x before it"),
    ("a: &x 1\n---\nb: *x\n", "the alias *x has no anchor: there is no &x before it"),
    ("a: &x {b: 1}\nc:\n  <<: *x\n", "the merge key '<<' is not supported"),
    ("a:\n\tb: 1\n", "a tab is used for indentation"),
    ("a: @b\n", "a value cannot begin with '@'"),
    ("a: b: c\n", "a key and its value are not allowed here"),
    ("a: !vault 5\n", "the tag '!vault' is not supported"),
    ("a: b\u{0}c\n", "a NUL byte: this is not a text file"),
    ("a: \u{1B}[31m\n", "the control character U+001b is not allowed"),
    ("a: x\u{FEFF}y\n", "a byte order mark (U+FEFF) inside the text"),
  ])
  func `a fault is named`(text: String, message: String) {
    #expect(faults(text) == message)
  }

  @Test func `a leading byte order mark is allowed and does not change columns`() throws {
    let document = try #require(read("\u{FEFF}a: 1\n").documents.first)
    #expect(outline(document) == "{a: 1}")
    #expect(document.mark.column == 1)
  }

  @Test(
    arguments: [
      ([0x61, 0x3A, 0x20, 0xFF], "t:1:4: error: byte 0xff is not UTF-8"),
      ([0x0A, 0xC3, 0xA9, 0xC3], "t:2:2: error: byte 0xc3 is not UTF-8"),
      ([0xED, 0xA0, 0x80], "t:1:1: error: byte 0xed is not UTF-8"),
      ([0xC0, 0xAF], "t:1:1: error: byte 0xc0 is not UTF-8"),
      ([0xF4, 0x90, 0x80, 0x80], "t:1:1: error: byte 0xf4 is not UTF-8"),
      ([0xE2, 0x82], "t:1:1: error: byte 0xe2 is not UTF-8"),
      ([0xFF, 0xFE, 0x61, 0x00], "t:1:1: error: the text is UTF-16"),
    ] as [([UInt8], String)])
  func `bytes that are no UTF-8 are refused with their place`(bytes: [UInt8], message: String) {
    let report = Diagnostics()
    #expect(parseYAML(SourceText(name: "t", bytes: bytes), report: report).isEmpty)
    #expect(report.sorted.map { String($0.description.prefix { $0 != "\n" }) } == [message])
  }
}

@Suite struct YAMLLimitTests {
  @Test func `a text beyond the size limit is refused before it is read`() {
    let (documents, messages) = read(String(repeating: "a", count: 10_000_000))
    #expect(documents.isEmpty)
    #expect(
      messages.map(\.description).first?.hasPrefix("t.yaml: error: the text is larger than 1048576 bytes") == true)
  }

  @Test(arguments: ["[", "{a: ", "- ", "? "])
  func `nesting is refused at the limit, before the text ends`(opening: String) {
    let text = String(repeating: opening, count: 1_048_000 / opening.utf8.count)
    #expect(faults(text) == "values are nested more than 64 levels deep")
  }

  @Test func `64 levels are allowed and 65 are not`() {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(read(nested(64)).messages.isEmpty)
    #expect(faults(nested(65)) == "values are nested more than 64 levels deep")
    let repeated = "a: &x \(nested(40))\nb: \(String(repeating: "[", count: 30))*x"
    #expect(faults(repeated) == "values are nested more than 64 levels deep")
  }

  @Test func `an alias bomb is refused by count before it is expanded`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 {
      let alias = "*a\(level - 1)"
      text += "a\(level): &a\(level) [\(Array(repeating: alias, count: 9).joined(separator: ", "))]\n"
    }
    let (documents, messages) = read(text)
    // The expectation must not contain the documents themselves: a failure message would expand them.
    let count = documents.count
    #expect(count == 0)
    #expect(messages.map(\.message) == ["more than 200000 values; what an alias repeats counts each time"])
  }

  @Test func `a million values are refused`() {
    #expect(
      faults("[" + String(repeating: "1,", count: 500_000) + "]")
        == "more than 200000 values; what an alias repeats counts each time")
  }

  @Test func `messages are bounded, and the rest is counted`() {
    let text = (0..<500).map { "k\($0): {<<: 1}\n" }.joined()
    let messages = read(text).messages
    #expect(messages.count == 101)
    #expect(messages.last?.message == "up to 400 more errors are not shown")
  }
}
