import Model
import TestSupport
import Testing

@testable import Rendering

/// Texts from outside in the forms that other programs show.
@Suite struct PreviewEscapeTests {
  /// Texts that end a part of one of the forms, or begin something in it.
  static let texts: [String] =
    OutsideNameTests.names.map(\.text).filter { !$0.isEmpty } + [
      "```\n# x", "`` ` ``", "a`b", "`", "``", "`@x`", "x@y`z`", "@octocat", "@org/team,", "(@x)", "`a``b`",
      "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</details></main>", "-->", "--", "a--!>", "]]>",
      "[x](javascript:alert(1))", "![i](https:" + "//evil.example/x.png)", "https:" + "//evil.example/x",
      "www.evil.example",
      "mail@evil.example", "#1", "GH-1", "o/r#1", "!1", "~bug", "%m", "$1", ":smile:", "1. x", "- x", "* x", "> x",
      "/close", "&lt;&#64;x", "\\@x", "%0A::error::x", "a,b:c", "deadbeef", "0123456789abcdef", "x*y*_z_", "| a | b |",
      "\"' onload='x", "\u{FFFE}\u{0}\u{B}", "[a](b) \\[c\\]", "---", "===", "<!-- x -->", " lead", "trail ", "a  b",
    ]

  /// A line of Markdown that has only words, pieces of code, and Berth's own signs at its start.
  private static var prose: Regex<(Substring, Substring)> { /(#{2,3} |\ \ \* |\* |)[\p{L}\p{N} ,.;:?!()'→·…≠–⍰-]*/ }
  /// What programs see in words: an address of the web, a picture's name, a commit, an issue.
  private static var hazard: Regex<Substring> { /www\.|:[\p{L}\p{N}]|\b[0-9a-f]{7,}\b|[A-Za-z]-?[0-9]/ }

  private func text(_ outside: String, as form: OutputFormat) throws -> [String] {
    let plan = try rendered(try PreviewSamples.filled(with: outside), as: form, style: TextStyle())
    let fleet = try rendered(try FleetSamples.filled(with: outside, form), as: form, style: TextStyle())
    if form == .junit { return [plan, fleet] }
    return [plan, fleet, try rendered(PreviewSamples.remarks(filledWith: outside), as: form, style: TextStyle())]
  }

  @Test(arguments: texts)
  func `in Markdown it is words or code, and begins no line`(_ outside: String) throws {
    for (page, plain) in zip(try text(outside, as: .markdown), try text("word", as: .markdown)) {
      #expect(page.split(separator: "\n").count == plain.split(separator: "\n").count, "\(page)")
      #expect(page.unicodeScalars.allSatisfy { $0.isVisible || $0 == "\n" })
      #expect(page.split(separator: "\n").first?.wholeMatch(of: /<!-- berth:[a-z]+ ([a-z]+=[\w.:%-]* )+-->/) != nil)
      // What is in the cells of a table is held by a test of its own.
      let prose = MarkdownReader(page).prose.replacing("|---|---|---|\n", with: "").replacing("| ", with: "")
        .replacing(" |", with: "")
      #expect(prose.components(of: "**").count == MarkdownReader(plain).prose.components(of: "**").count)
      for line in prose.replacing("**", with: "").split(separator: "\n") {
        #expect(line.wholeMatch(of: Self.prose) != nil, "\(outside): \(line)")
        #expect(line.firstMatch(of: Self.hazard) == nil, "\(outside): \(line)")
      }
    }
  }

  @Test(arguments: texts, [OutputFormat.html, .junit])
  func `in markup it ends no tag and begins none`(_ outside: String, _ form: OutputFormat) throws {
    for (page, plain) in zip(try text(outside, as: form), try text("word", as: form)) {
      #expect(tags(of: page) == tags(of: plain), "\(outside)")
      #expect(page.unicodeScalars.allSatisfy { $0.isVisible || $0 == "\n" })
      #expect(
        page.replacing("&#39;", with: "'").replacing("&quot;", with: "\"").replacing("&lt;", with: "<")
          .replacing("&gt;", with: ">").replacing("&amp;", with: "&").contains(visible(outside)))
    }
  }

  /// Returns whether a text has a text from outside, at its start or within.
  private func isShown(_ outside: String, in text: String) -> Bool {
    text.contains(visible(outside)) || text.contains(visible("-" + outside).dropFirst())
  }

  /// Returns the tags of a page without the values of their attributes, and without what stands for backquotes.
  private func tags(of page: String) -> [Substring] {
    page.split(separator: "<").dropFirst().map { part in
      let tag = part.prefix { $0 != ">" }
      return tag.contains("\"") ? tag.prefix { $0 != "\"" } : tag
    }.filter { $0 != "code" && $0 != "/code" }
  }

  @Test(arguments: texts)
  func `in a command of a runner it is one message or one property`(_ outside: String) throws {
    for (answer, plain) in zip(try text(outside, as: .github), try text("word", as: .github)) {
      let lines = answer.split(separator: "\n")
      #expect(lines.count == plain.split(separator: "\n").count, "\(answer)")
      #expect(lines.first?.hasPrefix("berth: ") == true)
      for line in lines.dropFirst() {
        let parts = try #require(
          line.wholeMatch(of: /::(error|warning|notice) ((?:[a-z]+=[^,:]*,?)+)::(.*)/), "\(line)")
        let message = parts.output.3.replacing("%0A", with: "\n").replacing("%25", with: "%")
        #expect(isShown(outside, in: String(message)), "\(line)")
      }
    }
  }

  @Test(arguments: texts, [OutputFormat.sarif, .gitlab])
  func `a document has the whole text, and in SARIF no link`(_ outside: String, _ form: OutputFormat) throws {
    for answer in try text(outside, as: form) {
      #expect(answer.unicodeScalars.allSatisfy { $0.isVisible || $0 == "\n" })
      let document = try JSON(text: answer)
      let results = form == .sarif ? document["runs"]?.elements.first?["results"]?.elements ?? [] : document.elements
      #expect(!results.isEmpty)
      for result in results {
        let message = form == .sarif ? result["message"]?["text"]?.string : result["description"]?.string
        let text = try #require(message)
        if form == .sarif { #expect(text.firstMatch(of: /(?:^|[^\\])(?:\\\\)*[\[\]]/) == nil, "\(text)") }
        let read = form == .sarif ? text.replacing(/\\(.)/, with: { String($0.output.1) }) : text
        #expect(isShown(outside, in: read), "\(text)")
      }
    }
  }

  @Test func `words stay words, and commands stay commands`() {
    func shown(_ text: String) -> String { MarkdownText(text).description }
    #expect(shown("check the address, then run again") == "check the address, then run again")
    #expect(shown("see `xl list`, or `lspci -D`.") == "see `xl list`, or `lspci -D`.")
    #expect(shown("move 0000:03:00.0 to 10de:2504 now") == "move `0000:03:00.0` to `10de:2504` now")
    #expect(shown("0000:03:00.0 0000:04:00.0 or") == "`0000:03:00.0 0000:04:00.0` or")
    #expect(shown("policy.prune: no → yes (2 devices)") == "`policy.prune`: no → yes (2 devices)")
    #expect(shown("(a@b), '10de:2504'") == "(`a@b`), '`10de:2504`'")
    #expect(shown("one `") == "`` one ` ``")
    #expect(shown("'``' and '``'") == "```'``' and '``'```", "no command is empty")
    #expect(shown("").isEmpty)
    let fences = "a```` b``````"
    #expect(!BlockLine(fences).description.contains("```"))
  }
}

/// What a program reads of a page in Markdown outside of code: CommonMark's blocks with fences and its code spans.
struct MarkdownReader {
  /// The lines without Berth's own tags and comments; each piece of code is `⍰`.
  let prose: String

  init(_ page: String) {
    var isInBlock = false
    var lines: [String] = []
    for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
      if isInBlock {
        // Up to three blanks, then only backquotes, end a block.
        isInBlock = line.wholeMatch(of: #/ {0,3}`{3,} */#) == nil
        continue
      }
      if line.hasPrefix("```") {
        isInBlock = true
        continue
      }
      if ["<details>", "</details>"].contains(line) || line.hasPrefix("<summary>") || line.hasPrefix("<!-- berth:") {
        continue
      }
      lines.append(Self.withoutCode(line))
    }
    prose = isInBlock ? "a block does not end: <" : lines.joined(separator: "\n")
  }

  private static func withoutCode(_ line: Substring) -> String {
    var result = ""
    var rest = line[...]
    while let first = rest.first {
      guard first == "`" else {
        result.append(first)
        rest = rest.dropFirst()
        continue
      }
      let run = rest.prefix { $0 == "`" }
      rest = rest.dropFirst(run.count)
      var end = rest[...]
      var length = 0
      while !end.isEmpty {
        let plain = end.prefix { $0 != "`" }
        let other = end.dropFirst(plain.count).prefix { $0 == "`" }
        length += plain.count + other.count
        end = end.dropFirst(plain.count + other.count)
        if other.count == run.count { break }
        if end.isEmpty { length = -1 }
      }
      if length < 0 || rest.isEmpty {
        result += run
      } else {
        rest = rest.dropFirst(length)
        result += "⍰"
      }
    }
    return result
  }
}
