/// Reads the documents of a text that says of itself that it is Berth's.
///
/// A text is Berth's if somewhere in it the key `apiVersion` stands before a value that begins with `berth`. The key
/// `kind` before the beginning of `kind` serves as well. Case makes no difference, and only quotes, colons and blanks may
/// be between key and value. No other text is read: it may be a file of passwords that a link or a slip has led to. The
/// one error then has the location, and no part of the text.
///
/// - Parameters:
///   - kind: the kind of the documents: `HostAssignments`.
///   - name: what such a text is called in messages: `a manifest`.
/// - Returns: as `parseYAML`.
package func parseDeclaration(
  _ source: SourceText, kind: String, name: String, report: Diagnostics
) -> [YAMLNode] {
  guard let line = source.firstContent else { return parseYAML(source, report: report) }
  let bytes = source.bytes
  if contains("apiversion", before: "berth", in: bytes)
    || contains("kind", before: String(kind.lowercased().prefix(10)), in: bytes)
  {
    return parseYAML(source, report: report)
  }
  let mark = SourceMark(source: source, line: line, column: 1)
  if let encoding = otherEncoding(of: bytes) {
    report.error(hiding: mark, "the text is \(encoding)", hint: "save it as UTF-8")
  } else {
    report.error(
      hiding: mark, "this is not \(name): no line has 'apiVersion: berth/v1alpha1' or 'kind: \(kind)'",
      hint: "nothing else is shown of a text that may not be Berth's")
  }
  return []
}

extension SourceText {
  /// The first line with content: neither blank, nor a comment, nor a marker of a document. Nil if there is none.
  fileprivate var firstContent: Int? {
    (1...lineCount).first { number in
      let text = line(number).drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
      return !text.isEmpty && text.first != UInt8(ascii: "#") && !text.elementsEqual("---".utf8)
        && !text.elementsEqual("...".utf8)
    }
  }
}

/// Returns whether a key stands somewhere before the beginning of its value. `key` and `value` are in lower case.
private func contains(_ key: String, before value: String, in bytes: [UInt8]) -> Bool {
  let key = Array(key.utf8)
  let value = Array(value.utf8)
  guard let first = key.first, bytes.count >= key.count else { return false }
  for start in 0...(bytes.count - key.count)
  where lowercased(bytes[start]) == first && isWord(key, at: start, in: bytes) {
    var next = start + key.count
    let end = min(bytes.count, next + 64)
    while next < end, #" :"'"#.utf8.contains(bytes[next]) || bytes[next] == UInt8(ascii: "\t") { next += 1 }
    if isWord(value, at: next, in: bytes) { return true }
  }
  return false
}

private func isWord(_ word: [UInt8], at start: Int, in bytes: [UInt8]) -> Bool {
  start + word.count <= bytes.count && word.indices.allSatisfy { lowercased(bytes[start + $0]) == word[$0] }
}

private func lowercased(_ byte: UInt8) -> UInt8 {
  (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
}
