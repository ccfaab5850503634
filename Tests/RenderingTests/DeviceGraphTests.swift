import Model
import TestSupport
import Testing

@testable import Rendering

/// Diagrams, as a parser of the small part of Mermaid's grammar reads them that Berth writes.
@Suite struct DeviceGraphTests {
  /// What a reader of the diagram gets.
  struct Drawing: Equatable {
    var groups: [String] = []
    /// The labels by the names of the nodes, without quotes and with characters for their numbers.
    var labels: [String: String] = [:]
    var lines: [String] = []
  }

  struct Wrong: Error, CustomStringConvertible { let description: String }

  /// Reads a diagram. Throws if a line has another form than those that Berth writes.
  static func read(_ text: String) throws -> Drawing {
    var drawing = Drawing()
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
    guard lines.popFirst() == "flowchart LR", lines.popLast() == "" else { throw Wrong(description: text) }
    var isOpen = false
    for line in lines {
      if let match = line.wholeMatch(of: /\ {2}subgraph (h\d+)\["([^"]*)"\]/), !isOpen {
        isOpen = true
        drawing.groups.append(try label(match.2))
      } else if line == "  end", isOpen {
        isOpen = false
      } else if let match = line.wholeMatch(of: /\ {4}(h\d+d\d+)\["([^"]*)"\]|\ {4}(h\d+c\d+)\("([^"]*)"\)/), isOpen {
        let name = String(match.1 ?? match.3 ?? "")
        guard drawing.labels[name] == nil else { throw Wrong(description: "\(name) twice") }
        drawing.labels[name] = try label(match.2 ?? match.4 ?? "")
      } else if let match = line.wholeMatch(of: /\ {4}(h\d+d\d+) -->(\|"([^"]*)"\|)? (h\d+c\d+)/), isOpen {
        let (from, to) = (drawing.labels[String(match.1)], drawing.labels[String(match.4)])
        guard let from, let to else { throw Wrong(description: "\(line) has no nodes") }
        drawing.lines.append("\(from) → \(to)" + (match.3.map { ": \($0)" } ?? ""))
      } else {
        throw Wrong(description: "\(line)")
      }
    }
    guard !isOpen else { throw Wrong(description: "no end") }
    return drawing
  }

  /// Returns what a label shows. Throws if a program could find more than letters in it.
  private static func label(_ text: Substring) throws -> String {
    let numbers = text.replacing("<br>", with: "\n").replacing(/#(\d+);/) { match in
      "\u{1}" + (UInt32(match.1).flatMap(Unicode.Scalar.init).map { String($0) } ?? "\u{3}") + "\u{2}"
    }
    // What stands as a number is no sign for anybody.
    let rest = numbers.replacing(/\u{1}.\u{2}/.dotMatchesNewlines(), with: "").replacing("\n", with: "")
    guard
      rest.unicodeScalars.allSatisfy({
        $0.properties.isAlphabetic || "0123456789 .,:-_/+·…".unicodeScalars.contains($0)
      }),
      !rest.contains("style"), !rest.contains("classDef")
    else { throw Wrong(description: "\(text)") }
    return String(numbers.replacing("\u{1}", with: "").replacing("\u{2}", with: ""))
  }

  private func device(_ address: String, _ label: String? = nil) throws -> DesiredDevice {
    DesiredDevice(address: try Samples.address(address), id: try Samples.id("8086:1533"), label: label)
  }

  private func sample() throws -> DeviceGraph {
    var card = DeviceSelection(
      selector: DeviceSelector(address: try Samples.address("0000:07:00.0")), label: "sound")
    card.selector.takesAllFunctions = true
    var named = DeviceSelection(
      selector: DeviceSelector(id: try Samples.id("144d:a80a")), label: "disk", isRequired: false)
    named.selector.nvmeSerial = "S4EV #1"
    var permissive = try device("0000:01:00.1", "gpu-audio")
    permissive.options.permissive = true
    let state = DesiredState(domains: [
      DesiredDomain(name: "build", devices: []),
      DesiredDomain(name: "desk", devices: [try device("0000:01:00.0", "gpu")], selections: [card, named]),
      DesiredDomain(name: "media", devices: [permissive, try device("0000:03:00.0")]),
    ])
    return DeviceGraph(hosts: [.init(name: "host17", state: state), .init(name: nil, state: DesiredState())])
  }

  @Test func `hosts, domains and devices are drawn, and a shared card once`() throws {
    #expect(
      try sample().text.description == """
        flowchart LR
          subgraph h1["host17"]
            h1d1["build"]
            h1d2["desk"]
            h1d3["media"]
            h1c1("gpu 0000:01:00.0<br>8086:1533<br>gpu-audio 0000:01:00.1<br>8086:1533")
            h1c2("0000:03:00.0<br>8086:1533")
            h1c3("sound 0000:07:00.0<br>all functions")
            h1c4("disk<br>144d:a80a<br>nvmeSerial S4EV #35;1")
            h1d2 -->|"gpu 0000:01:00.0"| h1c1
            h1d2 --> h1c3
            h1d2 -->|"optional"| h1c4
            h1d3 -->|"gpu-audio 0000:01:00.1, permissive"| h1c1
            h1d3 --> h1c2
          end
          subgraph h2["any other host"]
          end

        """)
    #expect(try sample().edgeCount == 5)
  }

  @Test func `the block of Markdown has the diagram`() throws {
    let graph = try sample()
    #expect(graph.markdown.description == "```mermaid\n\(graph.text)```\n")
  }

  @Test(
    arguments: PreviewEscapeTests.texts + [
      "\"]", "end", "x\"]\n  end\nclick a href", "%%{init: {\"theme\": \"dark\"}}%%", "style x: #fff;",
      "classDef a:#1;",
      "`*md*`", "#quot;", "#35;", "&quot;", "A --> B", "fa:fa-car", "---\ntitle: x\n---", "<br>", "<b>", "a;b", "é日",
      "subgraph x", "@{ shape: x }", "**b**", "_i_", "a_b", "$$x$$", "[x](y)", "~~x~~", "www.x.org", "a@b.org", "1.",
      "1. x",
      "2) x", "- x", "+", "# x", "> x", "\\*", "\\\"", "fa:fa-car", "fab:fa-x", String(repeating: "x", count: 300),
    ])
  func `a text from outside is one label, and shows itself`(_ outside: String) throws {
    var selection = DeviceSelection(selector: DeviceSelector(), label: outside)
    selection.selector.slot = outside
    let domain = DesiredDomain(name: Name(outside), devices: [], selections: [selection])
    let graph = DeviceGraph(hosts: [.init(name: outside, state: DesiredState(domains: [domain]))])
    let drawing = try Self.read(graph.text.description)
    let shown = unnumbered(cut(visible(outside), to: 100))
    #expect(drawing.groups.map(unnumbered) == [shown])
    #expect(drawing.labels["h1d1"].map(unnumbered) == shown)
    #expect(
      drawing.labels["h1c1"].map(unnumbered) == "\(shown)\n\(unnumbered(cut(visible("slot " + outside), to: 100)))")
    #expect(drawing.lines.count == 1)
    for label in drawing.groups + drawing.labels.values {
      for line in label.split(separator: "\n") { #expect(line.firstMatch(of: Self.hazard) == nil, "\(line)") }
    }
  }

  /// What Mermaid sees in the Markdown of a label: styles, code, links, lists, headings, icons, formulas. Mermaid 11.6
  /// in Chromium showed labels without them as they are.
  private static var hazard: some RegexComponent {
    /[*`~$\[@]|(?:^|[^\p{L}\p{N}])_|_(?:[^\p{L}\p{N}]|$)|:fa-|:\/|[wW]{3}\.|^[\-+>#=]|^[0-9]+[.)](?: |$)|\\[!-\/:-@\[-`\{-~]/
  }

  /// Returns a text with characters in place of their numbers.
  private func unnumbered(_ text: String) -> String {
    text.replacing(/\\u\{([0-9a-f]+)\}/) { match in
      (UInt32(match.1, radix: 16)).flatMap(Unicode.Scalar.init).map { String($0) } ?? "?"
    }
  }
}
