import Model

/// An element of an XML document.
struct MarkupElement {
  let name: String
  var attributes: [String: String] = [:]
  var children: [MarkupElement] = []
  /// The text directly in the element, without that of its children.
  var text = ""
  let mark: SourceMark

  /// Returns the child of this name; nil if there is none, or if there are several.
  func child(_ name: String) -> MarkupElement? {
    let found = children(name)
    return found.count == 1 ? found[0] : nil
  }

  func children(_ name: String) -> [MarkupElement] { children.filter { $0.name == name } }
}

/// Reads the part of XML 1.0 that programs write: elements, attributes, texts, comments, and references to characters.
///
/// A document type is refused, and with it every entity but the five that XML itself has: an entity can read files, and
/// grow without a bound. Depth and size are bounded. The first error ends the reading, and no line is shown beside it,
/// because the text may be any file.
struct MarkupReader {
  /// More than any configuration needs: libvirt's own schema has about ten levels.
  static let deepest = 64

  private struct Fault: Error {
    let message: String
    let offset: Int
  }

  private let source: SourceText
  private var position = 0
  /// The elements that are open, the root first.
  private var open: [MarkupElement] = []
  private var root: MarkupElement?

  /// Returns the root; nil if there is an error, which is reported.
  static func root(of source: SourceText, report: Diagnostics) -> MarkupElement? {
    var reader = MarkupReader(source)
    do throws(Fault) {
      try reader.checkText()
      return try reader.read()
    } catch {
      report.error(hiding: source.mark(atOffset: error.offset), error.message, hint: nil)
      return nil
    }
  }

  private init(_ source: SourceText) { self.source = source }

  private func checkText() throws(Fault) {
    if let encoding = otherEncoding(of: source.bytes) { throw fault("the text is \(encoding); save it as UTF-8") }
    guard String(validating: source.bytes, as: UTF8.self) != nil else { throw fault("the text is not UTF-8") }
    if let offset = source.bytes.firstIndex(where: { $0 < 0x20 && ![9, 10, 13].contains($0) }) {
      throw Fault(message: "the control character U+\(hex(UInt64(source.bytes[offset]), 4)) is not XML", offset: offset)
    }
  }

  // MARK: The document

  private mutating func read() throws(Fault) -> MarkupElement {
    while let next = byte(position) {
      if next != UInt8(ascii: "<") {
        try readText()
      } else if skips("<!--") {
        try skip(to: "-->", "a comment")
      } else if skips("<![CDATA[") {
        try readCharacters()
      } else if begins("<!") {
        throw fault("a document type, which is not read: it could name files, and grow without a bound")
      } else if skips("<?") {
        try skip(to: "?>", "an instruction")
      } else if skips("</") {
        try readEnd()
      } else {
        try readElement()
      }
    }
    if let last = open.last { throw fault("the text ends inside the element \(quoted(last.name))") }
    guard let root else { throw Fault(message: "this is no XML: it has no element", offset: 0) }
    return root
  }

  private mutating func readText() throws(Fault) {
    let start = position
    let text = try references(until: UInt8(ascii: "<"))
    guard !open.isEmpty else {
      guard text.allSatisfy(\.isWhitespace) else {
        throw Fault(
          message: root == nil ? "this is no XML: it begins with a text" : "a text behind the last element",
          offset: start)
      }
      return
    }
    open[open.count - 1].text += text
  }

  private mutating func readCharacters() throws(Fault) {
    let start = position
    try skip(to: "]]>", "a section of characters")
    guard !open.isEmpty else { throw Fault(message: "a text outside of every element", offset: start) }
    open[open.count - 1].text += String(decoding: source.bytes[start..<position - 3], as: UTF8.self)
  }

  private mutating func readElement() throws(Fault) {
    let mark = source.mark(atOffset: position)
    position += 1
    guard open.count < Self.deepest else { throw fault("elements are nested more than \(Self.deepest) times") }
    guard root == nil || !open.isEmpty else { throw fault("a second element beside the root") }
    var element = MarkupElement(name: try readName(), mark: mark)
    while true {
      let hadBlank = skipBlanks()
      if skips("/>") {
        close(element)
        return
      }
      if skips(">") {
        open.append(element)
        return
      }
      guard hadBlank else { throw fault("a blank, '>' or '/>' is expected here") }
      let start = position
      let name = try readName()
      guard element.attributes[name] == nil else {
        throw Fault(message: "the attribute \(quoted(name)) is given twice", offset: start)
      }
      element.attributes[name] = try readAttribute()
    }
  }

  private mutating func readAttribute() throws(Fault) -> String {
    skipBlanks()
    guard skips("=") else { throw fault("'=' is expected behind the name of an attribute") }
    skipBlanks()
    guard let quote = byte(position), quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw fault("the value of an attribute needs quotes")
    }
    position += 1
    let value = try references(until: quote)
    guard byte(position) == quote else { throw fault("the value of an attribute has no end") }
    position += 1
    return value
  }

  private mutating func readEnd() throws(Fault) {
    let start = position
    let name = try readName()
    skipBlanks()
    guard skips(">") else { throw fault("'>' is expected here") }
    guard let last = open.popLast() else { throw Fault(message: "nothing is open here", offset: start) }
    guard last.name == name else {
      throw Fault(message: "\(quoted(last.name)) is open here, and \(quoted(name)) ends", offset: start)
    }
    close(last)
  }

  private mutating func close(_ element: MarkupElement) {
    if open.isEmpty { root = element } else { open[open.count - 1].children.append(element) }
  }

  // MARK: Characters

  private func byte(_ offset: Int) -> UInt8? { offset < source.bytes.count ? source.bytes[offset] : nil }

  private func fault(_ message: String) -> Fault { Fault(message: message, offset: min(position, source.bytes.count)) }

  private func begins(_ word: String) -> Bool { source.bytes[position...].starts(with: word.utf8) }

  /// Skips a word if it stands here; returns whether it does.
  private mutating func skips(_ word: String) -> Bool {
    guard begins(word) else { return false }
    position += word.utf8.count
    return true
  }

  @discardableResult private mutating func skipBlanks() -> Bool {
    let start = position
    while let next = byte(position), [0x20, 0x09, 0x0A, 0x0D].contains(next) { position += 1 }
    return position > start
  }

  private mutating func skip(to end: String, _ what: String) throws(Fault) {
    let (start, last) = (position, source.bytes.count - end.utf8.count)
    while position <= last {
      if skips(end) { return }
      position += 1
    }
    throw Fault(message: "\(what) has no end", offset: start)
  }

  private mutating func readName() throws(Fault) -> String {
    let start = position
    while let next = byte(position), Self.isName(next, isFirst: position == start) { position += 1 }
    guard position > start else { throw fault("a name is expected here") }
    return String(decoding: source.bytes[start..<position], as: UTF8.self)
  }

  /// Every character beyond ASCII may be in a name here. XML has fewer, and no name of libvirt has any.
  private static func isName(_ byte: UInt8, isFirst: Bool) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
      UInt8(ascii: ":"), 0x80...:
      true
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): !isFirst
    default: false
    }
  }

  /// Reads a text to `end`, which stays, with references replaced by their characters. In an attribute, `<` is an error
  /// and a line end is a blank (XML 1.0, sections 3.1 and 3.3.3).
  private mutating func references(until end: UInt8) throws(Fault) -> String {
    var text: [UInt8] = []
    while let next = byte(position), next != end {
      switch next {
      case UInt8(ascii: "&"): text += try reference()
      case UInt8(ascii: "<"): throw fault("'<' in the value of an attribute")
      case 0x09, 0x0A, 0x0D:
        text.append(end == UInt8(ascii: "<") ? next : 0x20)
        position += 1
      default:
        text.append(next)
        position += 1
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// Reads `&lt;`, `&#60;` and the like.
  private mutating func reference() throws(Fault) -> String.UTF8View {
    let start = position
    let body = source.bytes[(position + 1)...].prefix(10).prefix { $0 != UInt8(ascii: ";") }
    guard byte(body.endIndex) == UInt8(ascii: ";") else {
      throw Fault(message: "'&' begins no reference: write &amp;", offset: start)
    }
    position = body.endIndex + 1
    let name = String(decoding: body, as: UTF8.self)
    let known = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"]
    if let sign = known[name] { return sign.utf8 }
    let digits = name.hasPrefix("#x") ? name.dropFirst(2) : name.dropFirst(1)
    guard name.hasPrefix("#"), digits.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
      let number = UInt32(digits, radix: name.hasPrefix("#x") ? 16 : 10), let scalar = Unicode.Scalar(number),
      number >= 0x20 || [9, 10, 13].contains(number), number & 0xFFFE != 0xFFFE
    else { throw Fault(message: "this reference is not one of XML's own, or names no character", offset: start) }
    return String(scalar).utf8
  }
}
