/// A text that was read, with the name by which people know it. Marks and messages refer to it.
package final class SourceText: Sendable {
  /// The file's path as the caller gave it, or `<stdin>`.
  package let name: String
  /// The text's position among the texts of one run. Messages are sorted by it.
  package let order: Int
  /// The bytes, without a byte order mark.
  let bytes: [UInt8]
  /// The start of each line. A line ends where libyaml ends it, so that libyaml's line numbers match.
  private let lineStarts: [Int]
  /// Finds columns in long lines.
  private let scalars: ScalarIndex

  package init(name: String, bytes: [UInt8], order: Int = 0) {
    self.name = name
    self.order = order
    let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    self.bytes = text
    lineStarts = Self.starts(of: text)
    scalars = ScalarIndex(text)
  }

  package convenience init(name: String, text: String, order: Int = 0) {
    self.init(name: name, bytes: Array(text.utf8), order: order)
  }

  /// Returns the bytes of a line, counted from 1, without its end; empty if there is no such line.
  func line(_ number: Int) -> ArraySlice<UInt8> {
    guard number >= 1, number <= lineStarts.count else { return [] }
    let start = lineStarts[number - 1]
    let next = number < lineStarts.count ? lineStarts[number] : bytes.count
    var end = next
    if number < lineStarts.count { end -= Self.breakLength(before: next, in: bytes) }
    return bytes[start..<end]
  }

  /// Returns the location of a byte.
  func mark(atOffset offset: Int) -> SourceMark {
    var low = 0
    var high = lineStarts.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if lineStarts[middle] <= offset { low = middle } else { high = middle - 1 }
    }
    let before = scalars.count(before: lineStarts[low], in: bytes)
    let column = scalars.count(before: min(offset, bytes.count), in: bytes) - before + 1
    return SourceMark(source: self, line: low + 1, column: column)
  }

  /// Returns the offset of a column of a line; the line's end if the line is shorter.
  ///
  /// The cost does not depend on the length of the line.
  func offset(line number: Int, column: Int) -> Int {
    let line = line(number)
    let before = scalars.count(before: line.startIndex, in: bytes)
    return min(line.endIndex, scalars.offset(of: before + max(1, column) - 1, in: bytes))
  }

  /// Returns the character at a location; nil at a line's end and beyond.
  func character(at mark: SourceMark) -> Unicode.Scalar? { text(from: mark, atMost: 4).unicodeScalars.first }

  /// Returns the rest of a line from a location on, at most this many bytes of it.
  func text(from mark: SourceMark, atMost limit: Int) -> String {
    let line = line(mark.line)
    let start = offset(line: mark.line, column: mark.column)
    return String(decoding: line[start...].prefix(limit), as: UTF8.self)
  }

  /// The number of lines, an empty one after the last line's end included.
  var lineCount: Int { lineStarts.count }

  /// Returns where lines start after libyaml's line ends: CR LF, CR, LF, NEL, LS and PS (`IS_BREAK`, libyaml 0.2.5
  /// `src/yaml_private.h`).
  private static func starts(of bytes: [UInt8]) -> [Int] {
    var starts = [0]
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      index += 1
      switch byte {
      case 0x0A: starts.append(index)
      case 0x0D:
        if index < bytes.count, bytes[index] == 0x0A { index += 1 }
        starts.append(index)
      case 0x85 where index >= 2 && bytes[index - 2] == 0xC2: starts.append(index)
      case 0xA8, 0xA9:
        if index >= 3, bytes[index - 2] == 0x80, bytes[index - 3] == 0xE2 { starts.append(index) }
      default: continue
      }
    }
    return starts
  }

  private static func breakLength(before end: Int, in bytes: [UInt8]) -> Int {
    switch bytes[end - 1] {
    case 0x0A: end >= 2 && bytes[end - 2] == 0x0D ? 2 : 1
    case 0x85: 2
    case 0xA8, 0xA9: 3
    default: 1
    }
  }
}

/// The number of characters before every 1024th byte of a text. A line may be as long as the text, and thousands of
/// locations may be in it.
struct ScalarIndex: Sendable {
  private static let step = 1024
  private let counts: [Int]

  init(_ bytes: [UInt8]) {
    var counts: [Int] = []
    counts.reserveCapacity(bytes.count / Self.step + 1)
    var count = 0
    for (offset, byte) in bytes.enumerated() {
      if offset % Self.step == 0 { counts.append(count) }
      if !isUTF8Continuation(byte) { count += 1 }
    }
    self.counts = counts
  }

  /// Returns how many characters begin before an offset of the text.
  func count(before offset: Int, in bytes: [UInt8]) -> Int {
    guard !counts.isEmpty else { return 0 }
    let block = min(offset / Self.step, counts.count - 1)
    return bytes[block * Self.step..<offset].reduce(counts[block]) { $0 + (isUTF8Continuation($1) ? 0 : 1) }
  }

  /// Returns the offset of a character of the text, counted from 0; the text's end if there are fewer.
  func offset(of number: Int, in bytes: [UInt8]) -> Int {
    // The last block that begins at or before the character.
    var low = 0
    var high = counts.count
    while low < high {
      let middle = (low + high) / 2
      if counts[middle] <= number { low = middle + 1 } else { high = middle }
    }
    var offset = max(0, low - 1) * Self.step
    var count = low > 0 ? counts[low - 1] : 0
    while offset < bytes.count {
      if !isUTF8Continuation(bytes[offset]) {
        if count == number { break }
        count += 1
      }
      offset += 1
    }
    return offset
  }
}

/// A location in a text.
package struct SourceMark: Sendable {
  package let source: SourceText
  /// Counted from 1; 0 stands for the text as a whole.
  package let line: Int
  /// Counted from 1, in Unicode scalars.
  package let column: Int

  package init(source: SourceText, line: Int, column: Int) {
    self.source = source
    self.line = line
    self.column = column
  }

  /// Creates a location that stands for the text as a whole.
  package init(wholeOf source: SourceText) { self.init(source: source, line: 0, column: 0) }
}

extension SourceMark: Hashable, Comparable, CustomStringConvertible {
  package static func == (left: Self, right: Self) -> Bool {
    left.source === right.source && left.line == right.line && left.column == right.column
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(ObjectIdentifier(source))
    hasher.combine(line)
    hasher.combine(column)
  }

  package static func < (left: Self, right: Self) -> Bool {
    (left.source.order, left.line, left.column) < (right.source.order, right.line, right.column)
  }

  /// The form that editors understand and people know: `host.yaml:12:7`.
  package var description: String { line == 0 ? source.name : "\(source.name):\(line):\(column)" }
}

/// Returns whether a byte continues a multi-byte character.
func isUTF8Continuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
