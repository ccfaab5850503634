import Model

@testable import Manifest

/// Tests files of other tools, and locks: each is read, or there is an error with a location.
func readOutsideFile(_ bytes: [UInt8]) {
  let source = SourceText(name: "file", bytes: bytes)
  for read in [readXlConfiguration, readLibvirtDomain] {
    let report = Diagnostics()
    let domain = read(source, report)
    must((domain == nil) == report.hasErrors, "a domain beside an error, or neither")
    for diagnostic in report.sorted { must(!diagnostic.description.isEmpty, "an error without words") }
    for device in domain?.devices ?? [] { must(device.line > 0, "a device at no place") }
  }
  let report = Diagnostics()
  let lock = readLock(source, report: report)
  must((lock == nil) == report.hasErrors, "a lock beside an error, or neither")
  readHideList(String(decoding: bytes, as: UTF8.self))
}

/// What was read of a list is read again from its own words.
private func readHideList(_ text: String) {
  let entries: [HideList.Entry]
  do throws(HideList.Fault) { entries = try HideList(text).entries } catch { return }
  do throws(HideList.Fault) {
    let again = try HideList(entries.map { "(\($0))" }.joined())
    must(again.entries == entries, "a list that changes when it is written")
  } catch { must(false, "a list that cannot be read again") }
}
