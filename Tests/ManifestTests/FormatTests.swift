import Model
import TestSupport
import Testing

@testable import Manifest

/// Returns a text in the one style; nil if it is refused.
private func style(_ text: String) -> String? {
  formatted(SourceText(name: "t.yaml", text: head + text), report: Diagnostics()).map {
    String(decoding: $0.dropFirst(head.utf8.count), as: UTF8.self)
  }
}

/// Without such a line, a text is none of Berth's.
private let head = "# kind: HostAssignments\n"

/// Returns why a text is refused; empty if it is not.
private func refusal(_ bytes: [UInt8]) -> String {
  let report = Diagnostics()
  let result = formatted(SourceText(name: "t.yaml", bytes: bytes), report: report)
  #expect((result == nil) == report.hasErrors)
  return report.sorted.map(\.description).joined(separator: "\n")
}

@Suite struct FormatTests {
  @Test(arguments: [
    // Indentation, and lists below their key.
    ("a:\n    b: 1\n    c:\n    - x\n    -   y\n", "a:\n  b: 1\n  c:\n    - x\n    - y\n"),
    ("-   a: 1\n    b:\n     - - x\n       -   y\n", "- a: 1\n  b:\n    - - x\n      - y\n"),
    // Blanks in lines.
    ("a :  {x  : 1 ,y:2, 'z':[ p,q ] }\n", "a: {x: 1, y:2, 'z': [p, q]}\n"),
    ("a:   &x   !!str    b\n*x  : c\n", "a: &x !!str b\n*x : c\n"),
    ("{a: , b: !!str , c: 1, }\n", "{a: , b: !!str , c: 1,}\n"),
    ("a: [\n x,\n  {y: 1,\n z: 2}\n]\n", "a: [\n    x,\n    {y: 1,\n      z: 2}\n  ]\n"),
    // Comments.
    ("a:\n#x\n    b: 1     #  y  \n    #\tz\n    ## w\n", "a:\n  # x\n  b: 1 #  y\n  #\tz\n  ## w\n"),
    ("a:\n   - x\n   #- y\nb: 1\n   # c\n", "a:\n  - x\n  # - y\nb: 1\n# c\n"),
    ("a:\n- x\n# of b\nb:\n  c:\n  - x\n  # - y\n# end\n", "a:\n  - x\n# of b\nb:\n  c:\n    - x\n    # - y\n# end\n"),
    ("a: [x, # one\n# two\n  y ]\n", "a: [x, # one\n    # two\n    y]\n"),
    // Blank lines, and the end.
    ("\n\na: 1\n\n\n\nb: 2  \n\n\n", "\na: 1\n\nb: 2\n"), ("a: 1", "a: 1\n"),
    ("a: 1\r\nb: 'x\r\n y'\r", "a: 1\nb: 'x\n  y'\n"),
    // Scalars in several lines.
    ("a: x\n         y  \n\n\n         z\n", "a: x\n  y\n\n\n  z\n"),
    ("a: \"x  \\\n    \\  y\\  \n      z\"\n", "a: \"x  \\\n  \\  y\\ \n  z\"\n"),
    ("a: |   # c\n      x\n       y  \n   \n      z\n\n\nb: >-\n x\n", "a: | # c\n  x\n   y  \n\n  z\n\nb: >-\n  x\n"),
    ("a:\n- |2\n    x\n   y\n- |+\n  z\n\n\n", "a:\n  - |2\n      x\n     y\n  - |+\n    z\n\n\n"),
    ("a: |\n  x", "a: |\n  x"), ("a: |\n\n    \n  x\n# c\n", nil), ("a: |\n  \n\n\tb\n", nil),
    // Explicit keys, documents and directives.
    ("?   a\n:   - b\n    - c\n", "? a\n: - b\n  - c\n"), ("? [a,b]\n:\n    c: 1\n", "? [a, b]\n:\n  c: 1\n"),
    ("%YAML   1.1\n---   # x\na: 1\n...\n---  b\n", "%YAML   1.1\n--- # x\na: 1\n...\n--- b\n"),
    ("--- |\n x\n y\n", "--- |\n  x\n  y\n"), ("--- >1\n  x\n", "--- >1\n  x\n"),
    ("---\n     x\n     y\n", "---\nx\n  y\n"),
    // The text of scalars.
    ("a: 0000:03:00.0\nb: 03:00.0\nc: yes\nd: '1'\n", "a: 0000:03:00.0\nb: 03:00.0\nc: yes\nd: '1'\n"),
  ])
  func `a text gets the one style`(_ text: String, _ wanted: String?) throws {
    #expect(style(text) == wanted)
    if let wanted { #expect(style(wanted) == wanted) }
  }

  // MARK: What stays the same

  /// Texts of every kind: examples, fixtures, and the corpus of the fuzzers.
  static let texts: [String] = [
    "examples", "examples/sandbox", "examples/devices", "Tests/ManifestTests/Fixtures/valid",
    "Tests/ManifestTests/Fixtures/invalid", "Tests/Fuzz/corpus/manifest", "Tests/RenderingTests/Fixtures/everything",
    "Tests/RenderingTests/Fixtures/in-sync",
  ].flatMap { folder -> [String] in
    var paths: [String] = []
    do {
      _ = try readPath("\(repositoryRoot)/\(folder)", limit: 0) { directory in
        paths = directory.manifests.map { "\(folder)/\($0)" }
      }
    } catch { return [] }
    return paths
  }

  @Test func `there are texts of every kind`() { #expect(Self.texts.count > 50) }

  @Test(arguments: texts)
  func `a text keeps its values and comments, and formatting it again changes nothing`(_ path: String) throws {
    guard case .file(let bytes) = try readNamedFile("\(repositoryRoot)/\(path)", limit: 1 << 20) else { return }
    check(bytes)
  }

  @Test(
    arguments: texts.filter { $0.hasPrefix("examples/") || $0.hasSuffix("import.yaml") || $0.hasSuffix("lock.yaml") })
  func `examples, imports and locks have the style`(_ path: String) throws {
    let text = try contents(of: "\(repositoryRoot)/\(path)")
    let report = Diagnostics()
    let result = formatted(SourceText(name: path, text: text), report: report)
    #expect(result.map { String(decoding: $0, as: UTF8.self) } == text, "\(report.sorted)")
  }

  @Test(arguments: 0..<400 as Range<UInt64>)
  func `a random text is formatted or refused with a reason`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var text = head
    let pieces =
      RandomManifestTests.pieces + ["    ", "a", "b: ", " # c\n", "#d\n", "\n\n\n", "  - ", "? x\n: ", "|2-\n"]
    for _ in 0..<Int.random(in: 1...40, using: &random) { text += pieces.randomElement(using: &random) ?? "" }
    check(Array(text.utf8))
  }

  /// Changes blanks, lines and comments of an example, and keeps most of the texts correct.
  @Test(arguments: 0..<400 as Range<UInt64>)
  func `an example with random blanks keeps its values`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let path = try #require(Self.texts.filter { $0.hasPrefix("examples/") }.randomElement(using: &random))
    var lines = try contents(of: "\(repositoryRoot)/\(path)").split(separator: "\n", omittingEmptySubsequences: false)
      .map(String.init)
    for _ in 0..<Int.random(in: 1...12, using: &random) {
      let number = Int.random(in: 0..<lines.count, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0: lines.insert("", at: number)
      case 1: lines.insert(String(repeating: " ", count: Int.random(in: 0...9, using: &random)) + "#x", at: number)
      case 2: lines[number] += "   "
      case 3: lines[number] += " #y\t"
      case 4: lines[number].replace(": ", with: ":   ")
      case 5: lines[number].replace("- ", with: "-  ")
      case 6: lines[number].replace("{", with: "{ \n ")
      default: lines[number] += "\r"
      }
    }
    let width = Int.random(in: 1...3, using: &random)
    let text = lines.map { line in
      String(repeating: " ", count: line.prefix { $0 == " " }.count * width) + line.drop { $0 == " " }
    }.joined(separator: "\n")
    check(Array(text.utf8))
  }

  /// Checks the promises of docs/formatting.md on one text.
  private func check(_ bytes: [UInt8], at place: SourceLocation = #_sourceLocation) {
    let report = Diagnostics()
    let source = SourceText(name: "t", bytes: bytes)
    guard let result = formatted(source, report: report) else {
      #expect(report.hasErrors, sourceLocation: place)
      // What the reader takes is formatted, too.
      #expect(
        !report.sorted.contains { $0.message.contains("not formatted") }, "\(String(decoding: bytes, as: UTF8.self))",
        sourceLocation: place)
      return
    }
    let text = String(decoding: result, as: UTF8.self)
    let again = formatted(SourceText(name: "t", bytes: result), report: Diagnostics())
    #expect(again.map { String(decoding: $0, as: UTF8.self) } == text, sourceLocation: place)
    let (before, after) = (parseYAML(source, report: report), read(text))
    #expect(before.map(outline) == after.documents.map(outline) && after.messages.isEmpty, sourceLocation: place)
    func signs(_ bytes: some Sequence<UInt8>) -> [UInt8] { bytes.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } }
    #expect(signs(source.bytes) == signs(result), sourceLocation: place)
  }

  /// The proof that a formatted text is the same one, which no correct printer needs.
  @Test(arguments: [
    "a: [x, y] # c\nb: z\n", "a: [x, 'y'] # c\n# d\nb: z\n", "a: [x, y]\n# c\n# d\nb: z\n",
    "a: [x, y] # c\nb: z\n# d\n", "a: [x, y] # C\n# d\nb: z\n", "a: !!seq [x, y] # c\n# d\nb: z\n",
    "a: &x [x, y] # c\n# d\nb: z\n", "b: z # c\n# d\na: [x, y]\n", "a: [x, [y]] # c\n# d\nb: z\n",
    "a: [x, y] # c\n# d\nb: \"z\"\n", "--- {a: [x, y], # c\n# d\nb: z}\n...\n--- 1\n",
  ])
  func `a text with another value or another place of a comment is another one`(_ other: String) throws {
    let text = try YAMLContent(Array("a: [x, y] # c\n# d\nb: z\n".utf8))
    #expect(try text == YAMLContent(Array("a:\n  [x,y]   #c\n\n   #d\nb:   z".utf8)))
    #expect(try text != YAMLContent(Array(other.utf8)))
    #expect(try YAMLContent(Array("a: | # c\n  x\n".utf8)) != YAMLContent(Array("a: |\n  x\n".utf8)))
  }

  // MARK: What is refused

  @Test func `what is no text of Berth's is refused, and none of it is shown`() {
    let text = refusal(Array("root:x:0:0\nsecret: 1\n".utf8))
    #expect(text.hasPrefix("t.yaml:1:1: error: this is not a manifest"), "\(text)")
    #expect(!text.contains("secret") && !text.contains("root"))
  }

  @Test(arguments: [
    ("spec: [1\n", "t.yaml:3:1: error:"),
    ("a: 'x\u{85} y'\n", "t.yaml:2:6: error: U+0085, U+2028 or U+2029 ends a line"),
    ("# x\u{2028}y\n", "t.yaml:2:4: error: U+0085"), ("a:\n\t- x\n", "t.yaml:3:1: error: a tab"),
    ("a: *x\n", "the alias *x has no anchor"), ("a: !vault x\n", "the tag '!vault' is not supported"),
    ("  --- a: 1\n", "t.yaml:2:3: error: a text that begins with '---'"),
    ("--- # x\n   ...  x\n", "t.yaml:3:4: error: a text"),
    ("<<: {a: 1}\n", "the merge key '<<' is not supported"), ("\u{FEFF}a: 1\n", "a byte order mark"),
  ])
  func `a text that the reader refuses is refused with its place`(_ text: String, _ words: String) {
    let said = refusal(Array((head + text).utf8))
    #expect(said.contains(words), "\(said)")
  }

  @Test func `a manifest with a misspelt key is formatted`() {
    #expect(style("spec:\n    domians: {  }\n") == "spec:\n  domians: {}\n")
  }

  @Test func `a byte order mark is dropped, and bytes that are no UTF-8 are refused`() throws {
    let text = "\u{FEFF}# kind: HostAssignments\na:  1\n"
    let result = formatted(SourceText(name: "t", bytes: Array(text.utf8)), report: Diagnostics())
    #expect(try String(decoding: #require(result), as: UTF8.self) == "# kind: HostAssignments\na: 1\n")
    #expect(refusal(Array(head.utf8) + [0x61, 0xFF]).contains("byte 0xff is not UTF-8"))
  }

  @Test func `size and depth have bounds, before and after`() {
    let large = head + String(repeating: "# x\n", count: 1 << 18)
    #expect(refusal(Array(large.utf8)).contains("the text is larger than 1048576 bytes"))
    let deep = head + "a: " + String(repeating: "[", count: 65) + "\n"
    #expect(refusal(Array(deep.utf8)).contains("more than 64 levels"))
    // Lines between brackets need no indentation, and get one.
    let growing = head + "a: " + String(repeating: "[", count: 60) + "\n" + String(repeating: "1,\n", count: 60_000)
    let text = growing + String(repeating: "]", count: 60) + "\n"
    #expect(refusal(Array(text.utf8)).contains("the formatted text is larger than 1048576 bytes"))
  }
}
