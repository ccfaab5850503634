import Model
import Ports
import XenProtocol

@testable import Manifest

/// Tests the text of a manifest: it is read and assembled. If it is wrong, the errors are reported with their
/// locations.
func readManifest(_ bytes: [UInt8]) {
  let report = Diagnostics()
  let source = SourceText(name: "manifest.yaml", bytes: bytes)
  let documents = parseYAML(source, report: report).compactMap {
    ValueType<ManifestDocument>.document.read($0, as: "the document", report)
  }
  let desired = Assembly.desiredState(of: documents, report)
  for diagnostic in report.sorted + report.sortedWarnings {
    must(!diagnostic.description.isEmpty, "an error without words")
    if let mark = diagnostic.mark { must(mark.line >= 0 && mark.column >= 0, "an error at no place") }
  }
  guard !report.hasErrors else { return }
  let devices = desired.domains.flatMap(\.devices).map(\.address)
  must(Set(devices).count == devices.count, "a device is declared twice without an error")
}
