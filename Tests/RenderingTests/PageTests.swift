import FoundationEssentials
import Model
import Planning
import TestSupport
import Testing

@testable import Rendering

/// Pages of HTML, as a real browser has them.
@Suite struct PageTests {
  /// What the browser says of one page at one width.
  private struct Shown: Decodable {
    let page: Int
    let width: Int
    let scrollWidth: Int
    /// The elements that are wider than the page, or beside it.
    let outside: [String]
    /// The elements that only a name from outside could have brought.
    let foreign: [String]
    let language: String
    let title: String
    let unnamed: [String]
    let tables: Int
    let focusable: Int
    let cell: String
    let text: String
  }

  private struct Missing: Error, CustomStringConvertible {
    let description: String
  }

  /// Shows pages in frames of both widths, in one run of Chromium. Returns what the browser measured, and what it wrote to
  /// its console.
  private func show(_ pages: [String]) async throws -> (shown: [Shown], console: [Substring]) {
    let frames = pages.enumerated().flatMap { number, page in
      [320, 1280].map { width -> MarkupText in
        "<iframe data-page=\"\(number)\" width=\"\(width)\" height=\"900\" srcdoc=\"\(MarkupText(raw: page))\"></iframe>\n"
      }
    }
    let folder = try TemporaryFolder()
    try folder.write(
      "all.html",
      """
      <!DOCTYPE html><meta charset="utf-8"><title>frames</title><style>iframe { border: 0 }</style>
      \(frames.joined().description)<pre></pre>
      <script>
      onload = () => {
        const shown = [...document.querySelectorAll("iframe")].map((frame) => {
          const page = frame.contentDocument, root = page.documentElement;
          for (const one of page.querySelectorAll("details")) one.open = true;
          const all = [...page.querySelectorAll("body *")];
          const cell = page.querySelector("td");
          return {
            page: Number(frame.dataset.page), width: frame.clientWidth, scrollWidth: root.scrollWidth,
            outside: all.filter((e) => {
              const box = e.getBoundingClientRect();
              return !e.closest("thead") && (box.right > root.clientWidth + 1 || box.left < -1);
            }).map((e) => e.outerHTML.slice(0, 80)),
            foreign: [...page.querySelectorAll("script,img,iframe,object,embed,link,form,input,base")].concat(
              all.filter((e) => [...e.attributes].some((a) => a.name.startsWith("on") || /^\\s*javascript:/i.test(a.value))))
              .map((e) => e.outerHTML.slice(0, 80)),
            language: root.lang, title: page.title,
            unnamed: [...page.querySelectorAll("th:not([scope]),table:not(:has(caption)),section:not([aria-label])")]
              .map((e) => e.outerHTML.slice(0, 80)),
            tables: page.querySelectorAll("table").length,
            focusable: page.querySelectorAll("a[href],summary").length,
            cell: cell ? frame.contentWindow.getComputedStyle(cell).display : "",
            text: page.body.textContent,
          };
        });
        document.querySelector("pre").textContent = "[[" + btoa(unescape(encodeURIComponent(JSON.stringify(shown)))) + "]]";
      };
      </script>
      """)
    let result: Command.Result
    do {
      result = try await Command(
        "chromium",
        [
          "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
          "--disable-background-networking", "--user-data-dir=\(folder.path)/profile", "--window-size=1400,1000",
          "--enable-logging=stderr", "--dump-dom", "file://\(folder.path)/all.html",
        ], environment: ["HOME": folder.path, "XDG_CONFIG_HOME": folder.path, "XDG_CACHE_HOME": folder.path]
      ).run(within: .seconds(180))
    } catch {
      throw Missing(
        description:
          "\(error): install the browser with `make deps`, or `apt-get install --no-install-recommends chromium`")
    }
    let found = try #require(result.output.firstMatch(of: /\[\[([A-Za-z0-9+\/=]+)\]\]/), "\(result.errors)")
    let data = try #require(Data(base64Encoded: String(found.output.1)))
    return (
      try JSONDecoder().decode([Shown].self, from: data),
      result.errors.split(separator: "\n").filter { $0.contains("CONSOLE") }
    )
  }

  @Test func `a browser shows each page whole on a phone and on a screen, and runs nothing from outside`() async throws
  {
    let hostile = PreviewEscapeTests.texts.joined(separator: " ") + String(repeating: "long", count: 200)
    let views: [(page: MarkupText, texts: [String])] = [
      (try PreviewSamples.everything().htmlPage, ["0000:03:00.0", "identity-mismatch", "Evidence"]),
      (try PreviewSamples.everything(refusal: .emptyManifest(planned: 3)).htmlPage, ["Refused: "]),
      (try PreviewSamples.filled(with: hostile).htmlPage, ["<script>alert(1)</script>", "</details></main>"]),
      (try PreviewSamples.filled(with: "</style><script>console.error(1)</script>").htmlPage, ["</style><script>"]),
      (try FleetSamples.everything(.html).htmlPage, ["host06", "with changes", "As declared"]),
      (try FleetSamples.filled(with: hostile, .html).htmlPage, ["<script>alert(1)</script>"]),
      (PreviewSamples.invalid.htmlPage, ["did you mean 'devices'?"]),
      (PreviewSamples.remarks(filledWith: hostile).htmlPage, ["<img src=x onerror=alert(1)>"]),
    ]
    let (shown, console) = try await show(views.map(\.page.description))
    #expect(console.isEmpty, "\(console)")
    #expect(shown.count == 2 * views.count)
    for one in shown {
      let place = "page \(one.page) at \(one.width)"
      #expect(one.scrollWidth <= one.width && one.outside.isEmpty, "\(place): \(one.scrollWidth), \(one.outside)")
      #expect(one.foreign.isEmpty && one.unnamed.isEmpty, "\(place): \(one.foreign) \(one.unnamed)")
      #expect(one.language == "en" && !one.title.isEmpty && one.tables > 0 && one.focusable > 0, "\(place)")
      #expect(one.cell == (one.width == 320 ? "block" : "table-cell"), "\(place)")
      for text in views[one.page].texts { #expect(one.text.contains(text), "\(place): \(text)") }
    }
  }

  @Test func `each colour can be read on its background`() {
    for (name, colors) in [("light", PageColors.light), ("dark", PageColors.dark)] {
      for color in colors.readable {
        let ratio = Self.contrast(color, colors.background)
        #expect(ratio >= 4.5, "\(name): \(color) has \(ratio)")
      }
      #expect(Self.contrast(colors.line, colors.background) >= 3, "\(name)")
    }
    #expect(abs(Self.contrast("#000000", "#ffffff") - 21) < 0.01)
  }

  /// The contrast of two colours (WCAG 2.1, "contrast ratio").
  private static func contrast(_ first: String, _ second: String) -> Double {
    let (one, other) = (luminance(first) + 0.05, luminance(second) + 0.05)
    return max(one, other) / min(one, other)
  }

  private static func luminance(_ color: String) -> Double {
    let value = UInt32(color.dropFirst(), radix: 16) ?? 0
    let parts = [16, 8, 0].map { shift -> Double in
      let part = Double(value >> UInt32(shift) & 0xFF) / 255
      // The power 2.4 is the fifth root of the twelfth power.
      return part <= 0.03928 ? part / 12.92 : Self.power((part + 0.055) / 1.055)
    }
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
  }

  /// Returns x to the power of 2.4, for x from 0 to 1.
  private static func power(_ x: Double) -> Double {
    let twelfth = (0..<12).reduce(1.0) { result, _ in result * x }
    // Newton's method for the fifth root.
    return (0..<60).reduce(1.0) { root, _ in
      let fourth = root * root * root * root
      return fourth == 0 ? 0 : root - (fourth * root - twelfth) / (5 * fourth)
    }
  }
}

extension EscapedText<Markup> {
  /// Escapes a whole page, whose lines stay lines.
  fileprivate init(raw page: String) {
    self = page.split(separator: "\n", omittingEmptySubsequences: false).map { MarkupText($0) }.joined("\n")
  }
}

/// Reports of tests, as another program reads them.
@Suite struct ReportTests {
  @Test func `Python reads each report, and finds each case`() async throws {
    let reports = try PreviewEscapeTests.texts.map {
      try rendered(try PreviewSamples.filled(with: $0), as: .junit, style: TextStyle())
    }
    let program = """
      import json, sys, xml.etree.ElementTree as tree
      for text in json.load(sys.stdin):
          root = tree.fromstring(text.encode())
          print(root.tag, len(root.findall("testsuite/testcase")), len(root.findall(".//failure")), len(root.findall(".//skipped")))
      """
    let input = String(decoding: try JSONEncoder().encode(reports), as: UTF8.self)
    let result = try await Command("python3", ["-c", program], input: input).run()
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.split(separator: "\n").count == reports.count)
    #expect(Set(result.output.split(separator: "\n")) == ["testsuites 9 3 1"], "\(result.output)")
  }
}
