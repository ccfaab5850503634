import Model
import Testing

@testable import Manifest

@Suite struct DiagnosticTests {
  @Test func `an error shows its line, a caret and the other location`() {
    let source = SourceText(name: "assignments.yaml", text: "a:\n  - 0000:03:00.1\nb:\n  - 0000:03:00.1\n")
    let diagnostic = Diagnostic(
      .error, "device 0000:03:00.1 is assigned to both 'a' and 'b'", at: SourceMark(source: source, line: 4, column: 5),
      notes: [.init("first assigned", at: SourceMark(source: source, line: 2, column: 5))], hint: "keep one")
    #expect(
      diagnostic.description == """
        assignments.yaml:4:5: error: device 0000:03:00.1 is assigned to both 'a' and 'b'
            4 |   - 0000:03:00.1
              |     ^ first assigned at line 2
              = hint: keep one
        """)
  }

  @Test(arguments: [
    ("é: x", 4, "é: x", 3), ("\tx", 2, "    x", 4), ("a\tx", 3, "a   x", 4), ("日本: x", 5, "日本: x", 6),
    ("e\u{301}: x", 5, "e\\u{301}: x", 10), ("ab", 3, "ab", 2), ("a\u{202E}b", 3, "a\\u{202e}b", 9),
  ])
  func `the caret stands under the marked character`(line: String, column: Int, text: String, caret: Int) {
    let source = SourceText(name: "t", text: line + "\nnext")
    let excerpt = Excerpt(SourceMark(source: source, line: 1, column: column))
    #expect(excerpt.text == text)
    #expect(excerpt.caret == caret)
  }

  @Test func `a long line is cut around the mark`() throws {
    let line = String(repeating: "é", count: 500) + "X" + String(repeating: "z", count: 500)
    let excerpt = Excerpt(SourceMark(source: SourceText(name: "t", text: line), line: 1, column: 501))
    #expect(excerpt.text.count == 1 + 60 + 1 + 60 + 1)
    #expect(excerpt.text.hasPrefix("…é"))
    #expect(excerpt.text.hasSuffix("z…"))
    #expect(Array(excerpt.text)[excerpt.caret] == "X")
  }

  @Test func `lines end where libyaml ends them`() {
    let source = SourceText(name: "t", text: "a\r\nb\rc\u{85}d\u{2028}e\n")
    #expect((1...6).map { String(decoding: source.line($0), as: UTF8.self) } == ["a", "b", "c", "d", "e", ""])
  }

  @Test func `texts from outside cannot reach the terminal's controls`() {
    #expect(quoted("a\u{1B}[31m\u{202E}") == "'a\\u{1b}[31m\\u{202e}'")
    #expect(quoted(String(repeating: "x", count: 70)) == "'" + String(repeating: "x", count: 64) + "…'")
  }

  @Test(arguments: [
    ("devcies", "devices"), ("permisive", "permissive"), ("Prune", "prune"), ("msi_translate", "msiTranslate"),
  ])
  func `a slip is recognised`(typed: String, meant: String) {
    let words = ["devices", "domains", "permissive", "msiTranslate", "prune"]
    #expect(closest(to: typed, among: words) == meant)
  }

  @Test func `a word unlike all others gets no suggestion`() {
    #expect(didYouMean("banana", among: ["devices", "domains"]) == nil)
    #expect(didYouMean("", among: ["devices", ""]) == nil)
  }
}
