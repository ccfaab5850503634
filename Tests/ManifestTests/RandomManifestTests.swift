import Model
import TestSupport
import Testing

@testable import Manifest

@Suite struct RandomManifestTests {
  static let pieces = [
    "apiVersion: berth/v1alpha1\n", "kind: HostAssignments\n", "spec:\n", "  devices:\n", "  domains:\n",
    "    web:\n", "      devices: [", "]", "{", "}", "0000:03:00.0", "lan0", ", ", ": ", "- ", "\n", "  ", "\t", "&a ",
    "*a", "<<: ", "!!str ", "'", "\"", "|\n", ">-\n", "---\n", "...\n", "# x\n", "? ", "14.0", "true", "~", "é", "日",
    "\u{FEFF}", "\u{0}", "\u{85}", "\u{2028}", "%YAML 1.1\n", "@", "`", "\r\n", "permissive", "address", "match",
  ]

  @Test(arguments: 0..<300 as Range<UInt64>)
  func `no text breaks the reader, and every refusal has a reason`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var text = ""
    for _ in 0..<Int.random(in: 1...60, using: &random) { text += Self.pieces.randomElement(using: &random) ?? "" }
    check(Array(text.utf8))
  }

  @Test(arguments: 0..<300 as Range<UInt64>)
  func `a manifest with damaged bytes is read or refused`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var bytes = Array(try contents(of: repositoryRoot + "/examples/full.yaml").utf8)
    for _ in 0..<Int.random(in: 1...8, using: &random) {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: place)
      case 2: bytes.insert(UInt8.random(in: 9...126, using: &random), at: place)
      default: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...40, using: &random)))
      }
    }
    check(bytes)
  }

  private func check(_ bytes: [UInt8]) {
    let report = Diagnostics()
    let source = SourceText(name: "t", bytes: bytes)
    let nodes = parseYAML(source, report: report)
    var documents: [ManifestDocument] = []
    for node in nodes {
      let before = report.errorCount
      if let document = ValueType<ManifestDocument>.document.read(node, as: "the document", report) {
        documents.append(document)
      } else {
        #expect(report.errorCount > before)
      }
    }
    let desired = Assembly.desiredState(of: documents, report)
    let devices = desired.domains.flatMap(\.devices).map(\.address)
    #expect(Set(devices).count == devices.count)
    for diagnostic in report.sorted {
      // A text must not reach the terminal's controls through a message.
      #expect(
        diagnostic.description.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
      if let mark = diagnostic.mark { #expect(mark.line >= 1 && mark.column >= 1) }
    }
  }
}
