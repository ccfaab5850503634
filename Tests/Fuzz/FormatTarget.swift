import Model

@testable import Manifest

/// Tests the one style of manifests: a text is refused with a reason, or its events and comments stay the same. To format
/// the result changes nothing.
func formatManifest(_ bytes: [UInt8]) {
  // Without such a line, hardly any text would be Berth's.
  let source = SourceText(name: "manifest.yaml", bytes: Array("kind: HostAssignments\n---\n".utf8) + bytes)
  let report = Diagnostics()
  guard let result = formatted(source, report: report) else {
    must(report.hasErrors, "a refusal without words")
    for diagnostic in report.sorted {
      must(!diagnostic.description.isEmpty, "an error without words")
      must(!diagnostic.message.contains("not formatted"), "a text that is read and not formatted")
    }
    return
  }
  must(!report.hasErrors, "a result beside an error")
  guard let again = formatted(SourceText(name: "result", bytes: result), report: report) else {
    wrong("a result that cannot be read: \(report.sorted.map(\.description))")
  }
  must(again == result, "a result that changes when it is formatted again")
  func signs(_ text: [UInt8]) -> [UInt8] { text.filter { ![0x20, 0x09, 0x0A, 0x0D].contains($0) } }
  must(signs(source.bytes) == signs(result), "a sign that was lost, or added")
}
