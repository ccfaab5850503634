/// The part of a page between two marker lines: `<!-- NAME -->` and `<!-- end: NAME -->`.
package struct MarkedPart: Sendable {
  /// Why a page has no such part.
  package struct Fault: Error, Hashable {
    package let reason: String
  }

  private let first: String
  private let last: String

  package init(_ name: StaticString) { (first, last) = ("<!-- \(name) -->", "<!-- end: \(name) -->") }

  /// Returns the page with other lines in the part, which end with a newline. All else stays as it is.
  package func replaced(in page: [UInt8], by lines: [UInt8]) throws(Fault) -> [UInt8] {
    var begin: Int?
    var end: Int?
    var start = 0
    while start < page.count {
      let next = page[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? page.count
      let line = page[start..<next]
      if isMarker(line, first) {
        guard begin == nil else { throw Fault(reason: "the line \(first) is there twice") }
        begin = next
      } else if isMarker(line, last) {
        guard end == nil else { throw Fault(reason: "the line \(last) is there twice") }
        end = start
      }
      start = next
    }
    guard let begin else { throw Fault(reason: "there is no line \(first)") }
    guard let end else { throw Fault(reason: "there is no line \(last)") }
    guard begin <= end else { throw Fault(reason: "the line \(last) is before the line \(first)") }
    return page[..<begin] + lines + page[end...]
  }

  /// Returns whether a line is this marker, with blanks around it or without.
  private func isMarker(_ line: ArraySlice<UInt8>, _ marker: String) -> Bool {
    func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0D, 0x0A].contains(byte) }
    let text = line.drop(while: isBlank)
    guard text.starts(with: marker.utf8) else { return false }
    return text.dropFirst(marker.utf8.count).allSatisfy(isBlank)
  }
}
