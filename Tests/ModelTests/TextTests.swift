import Model
import Testing

@Suite struct VisibleTextTests {
  @Test(arguments: [
    ("plain text, 'quoted': #1", "plain text, 'quoted': #1"), ("é 日本 → …", "é 日本 → …"),
    ("a\u{1B}]0;b\u{7}\u{1B}[8m", "a\\u{1b}]0;b\\u{7}\\u{1b}[8m"), ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
    ("\u{9B}31m\u{85}", "\\u{9b}31m\\u{85}"), ("a\u{202E}b\u{2066}c", "a\\u{202e}b\\u{2066}c"),
    ("a\u{200B}b\u{AD}c\u{FEFF}", "a\\u{200b}b\\u{ad}c\\u{feff}"), ("a\u{A0}b\u{3000}c", "a\\u{a0}b\\u{3000}c"),
    ("\u{115F}\u{3164}\u{FFA0}\u{2800}\u{E0041}", "\\u{115f}\\u{3164}\\u{ffa0}\\u{2800}\\u{e0041}"),
    ("e\u{301}", "e\\u{301}"), ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"), ("\u{E000}\u{378}", "\\u{e000}\\u{378}"),
    ("::error ::x", "\\u{3a}:error ::x"), ("  ::x", "  \\u{3a}:x"), ("a ::x", "a ::x"),
    ("see ##[error]x", "see \\u{23}#[error]x"), ("##vso[task]", "\\u{23}#vso[task]"), ("## heading", "## heading"),
  ])
  func `what a reader cannot see, or a program obeys, stands as its number`(text: String, shown: String) {
    #expect(visible(text) == shown)
    #expect(visible(shown) == shown, "a second call changes nothing")
  }

  /// Every scalar of Unicode, so that no range is forgotten.
  @Test func `a visible text has only visible characters, on one line`() {
    for value in UInt32(0)...0x10FFFF {
      guard let scalar = Unicode.Scalar(value) else { continue }
      let properties = scalar.properties
      let isHidden: Bool =
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse: true
        case .spaceSeparator: scalar != " "
        default: properties.isDefaultIgnorableCodePoint
        }
      guard isHidden else { continue }
      if visible(String(scalar)).unicodeScalars.contains(scalar) { Issue.record("\(String(value, radix: 16))") }
    }
  }

  @Test func `a literal is Berth's own, and what is put into it is from outside`() {
    let name = "x\n::error ::y\u{1B}[0m"
    let line: TerminalText = "name: \(name)\n"
    #expect(line.description == "name: x\\n::error ::y\\u{1b}[0m\n")
    let again: TerminalText = "\(line)\(7)\(PCIAddress(sbdf: 0x300))\n"
    #expect(again.description == "name: x\\n::error ::y\\u{1b}[0m\n70000:03:00.0\n")
    #expect(TerminalText(name).description.split(separator: "\n").count == 1)
    #expect(["a", "b\n"].map { TerminalText($0) }.joined("\n").description == "a\nb\\n")
  }

  @Test func `a JSON document keeps its values`() {
    let json = "{\n  \"a\": \"é\u{202E}\u{1F600}\u{E0041}\u{7F} ##[x] # 1\"\n}\n"
    let shown = TerminalText(json: json).description
    #expect(shown == "{\n  \"a\": \"é\\u202e\u{1F600}\\udb40\\udc41\\u007f \\u0023#[x] # 1\"\n}\n")
    #expect(TerminalText(json: "{\"a\":1}\n").description == "{\"a\":1}\n")
  }
}

@Suite struct ColumnTests {
  @Test(arguments: [
    ("", 0), ("abc", 3), ("é", 1), ("日本", 4), ("ｆｕ", 4), ("ﾊﾟ", 2), ("한글", 4), ("\u{1112}\u{1161}\u{11AB}", 2),
    ("e\u{301}", 1), ("\u{1F600}", 2), ("☎", 1), ("⌚", 2), ("✅", 2), ("→…≠·", 4), ("กำ", 2), ("\u{20000}", 2),
  ])
  func `a text has the width that a terminal gives it`(text: String, width: Int) {
    #expect(columns(of: text) == width)
  }

  @Test(arguments: [
    ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語", 6, "日本語"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("ab", 1, "…"),
  ])
  func `a long text is cut within the columns`(text: String, limit: Int, shown: String) {
    #expect(cut(text, to: limit) == shown)
    #expect(columns(of: shown) <= limit)
    #expect(TerminalText(text).cut(to: limit, ending: "…").description == shown)
  }

  @Test func `the table of wide characters is in order`() {
    // Each hit must be found, whatever its place in the table.
    for (scalar, width) in [
      ("\u{1100}", 2), ("\u{115F}", 2), ("\u{115E}", 2), ("\u{231A}", 2), ("\u{2329}", 2), ("\u{FFE6}", 2),
      ("\u{FFE8}", 1),
      ("\u{3041}", 2), ("\u{A4C6}", 2), ("\u{AC00}", 2), ("\u{D7A3}", 2), ("\u{1F947}", 2), ("\u{3FFFD}", 2), ("a", 1),
    ] { #expect(columns(of: scalar) == width, "\(scalar)") }
  }

  @Test func `a line is padded and trimmed by columns`() {
    #expect(TerminalText("日").padded(to: 4).description == "日  ")
    #expect(TerminalText("日本").padded(to: 3).description == "日本")
    #expect(TerminalText("a  ").trimmed.description == "a")
    #expect(TerminalText("naïve → x").ascii(["→": "->"]).description == "na\\u{ef}ve -> x")
  }
}

@Suite struct NameTests {
  @Test func `names that look alike are two names`() {
    #expect("é" as String == "e\u{301}" as String, "to Swift they are one text")
    #expect(("é" as Name) != "e\u{301}")
    #expect(Set<Name>(["é", "e\u{301}", "é"]).count == 2)
    #expect(("K" as Name) != "\u{212A}")
    #expect((["b", "a", "\u{FF}", "e\u{301}", "é"] as [Name]).sorted() == ["a", "b", "e\u{301}", "é", "\u{FF}"])
  }

  @Test func `only a name without characters is none`() {
    #expect(Name.missing.isEmpty && !("x" as Name).isEmpty && !(" " as Name).isEmpty)
  }

  @Test func `a suggestion is found among the first characters of long words`() {
    let long = String(repeating: "x", count: 1_000_000)
    #expect(closest(to: long + "a", among: [long + "b"]) == long + "b")
    #expect(closest(to: "e\u{301}tude", among: ["étude"])?.utf8.elementsEqual("étude".utf8) == true)
    #expect(!differsInDigitsOnly("lan1", "lan1") && differsInDigitsOnly("lan1", "LAN22"))
    #expect(!differsInDigitsOnly("lan1", "wan1"))
  }
}
