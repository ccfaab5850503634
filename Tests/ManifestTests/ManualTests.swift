import Model
import TestSupport
import Testing

@testable import Manifest

/// Compares the manual with the program.
@Suite struct ManualTests {
  private let manual: String

  init() throws { manual = try contents(of: repositoryRoot + "/docs/manifest.md") }

  @Test func `the manual has every key`() {
    let tables = [
      ManifestKeys.document, ManifestKeys.metadataTable, ManifestKeys.specTable, ManifestKeys.policyTable,
      ManifestKeys.definitionTable, ManifestKeys.domainTable, ManifestKeys.assignmentTable, ManifestKeys.matchTable,
    ]
    for key in tables.joined() {
      #expect(manual.contains("`\(key.name)`") || manual.contains("`\(key.name): "), "\(key.name)")
    }
  }

  @Test func `the manual's manifests are valid`() {
    let manifests = blocks("yaml").filter { $0.contains("\nspec:") }
    #expect(manifests.count == 3)
    for text in manifests {
      let report = Diagnostics()
      let nodes = parseYAML(SourceText(name: "manual", text: text), report: report)
      let documents = nodes.compactMap { ValueType<ManifestDocument>.document.read($0, as: "the document", report) }
      for host in ["host17", "host18"] as [Name] {
        _ = Assembly.desiredState(of: documents.filter { ($0.host?.value ?? host) == host }, report)
      }
      #expect(report.sorted.isEmpty, "\(report.sorted)")
    }
  }

  @Test(arguments: ["180.0, id: \"8086:1533\"", "adress"])
  func `the manual's errors are what the program prints`(line: String) throws {
    let sample = try #require(blocks("").first { $0.contains(line) && $0.contains(": error: ") })
    let lines = sample.split(separator: "\n", omittingEmptySubsequences: false)
    let number = try #require(sample.split(separator: ":").dropFirst().first.flatMap { Int($0) })
    // The line of the sample, with the keys that a manifest needs above it, moved down to the sample's line number.
    var text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n"
    text += String(repeating: "\n", count: number - 5) + "  devices:\n"
    text += try #require(lines.dropFirst().first).drop { $0 != "|" }.dropFirst(2) + "\n"
    let report = Diagnostics()
    for node in parseYAML(SourceText(name: "host.yaml", text: text), report: report) {
      _ = ValueType<ManifestDocument>.document.read(node, as: "the document", report)
    }
    #expect(report.sorted.map(\.description) == [sample])
  }

  @Test func `notations of other tools get the hint that the page about them has`() throws {
    let page = try contents(of: repositoryRoot + "/docs/coming-from.md")
    let row = try #require(page.split(separator: "\n").first { $0.contains("`dom0:03_00.0`") })
    let cells = row.split(separator: "|")
    let notations = cells[0].split(separator: "`").filter { $0.contains("03") }
    #expect(notations.count == 6 && cells[1].contains("`\"0000:03:00.0\"`"))
    for notation in notations {
      #expect(explainAddress(String(notation))?.hint == "did you mean 0000:03:00.0?", "\(notation)")
    }
    // The XML sample: its bus is decimal, and its slot in the guest has no effect.
    #expect(page.contains("bus=\"21\"") && page.contains("{address: \"0000:\(hex(21, 2)):00.4\", "))
    #expect(page.contains("`'03:00.0@10'`, `vslot=10` | `virtualSlot: 16`"))
    #expect(explainAddress("03:00.0@10")?.hint?.contains("virtualSlot: 16") == true)
    #expect(manual.contains("`xl`'s `@10` is `virtualSlot: 16`"))
    #expect(manual.contains("`xl` reads slots as hexadecimal numbers"))
  }

  /// Returns the manual's blocks of a language, without their fences.
  private func blocks(_ language: String) -> [String] {
    var result: [String] = []
    var open: (language: Substring, lines: [Substring])?
    for line in manual.split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        if let block = open, block.language == language { result.append(block.lines.joined(separator: "\n")) }
        open = open == nil ? (line.dropFirst(3), []) : nil
      } else {
        open?.lines.append(line)
      }
    }
    return result
  }
}
