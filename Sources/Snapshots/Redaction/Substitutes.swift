import Model

/// The substitutes of one snapshot: the same original gets the same substitute, wherever it stands.
///
/// All originals are known before the first one is replaced, and are numbered in their order. So a redacted snapshot is
/// the same each time, and what was in order stays in order.
struct Substitutes {
  /// What an original is.
  enum Kind: String, CaseIterable {
    case host, domain, device, serial, item, person, address
  }

  private var known: [Kind: [String: String]] = [:]
  /// The originals that stand in texts, longest first: one may be a part of another.
  private var words: [(original: [UInt8], substitute: [UInt8])] = []

  init(_ originals: [Kind: Set<String>]) {
    for (kind, texts) in originals {
      let sorted = texts.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
      let width = String(sorted.count).count
      for (index, text) in sorted.enumerated() where !text.isEmpty {
        known[kind, default: [:]][text] = Self.substitute(kind, index + 1, width)
      }
    }
    let inTexts: [Kind] = [.host, .domain, .device, .serial, .person, .address]
    words = inTexts.flatMap { kind in (known[kind] ?? [:]).map { (Array($0.key.utf8), Array($0.value.utf8)) } }
      .sorted { one, other in
        one.0.count == other.0.count ? one.0.lexicographicallyPrecedes(other.0) : one.0.count > other.0.count
      }
  }

  private static func substitute(_ kind: Kind, _ number: Int, _ width: Int) -> String {
    let digits = String(number)
    let padded = String(repeating: "0", count: max(0, width - digits.count)) + digits
    return switch kind {
    case .host: "host"
    // Documentation has these addresses (RFC 3849).
    case .address: "2001:db8::\(String(number, radix: 16))"
    case .domain, .device, .serial, .item, .person: "\(kind.rawValue)-\(padded)"
    }
  }

  /// Returns the substitute; the text itself if it is empty, and a word for an original that nobody collected.
  func substitute(for text: String, _ kind: Kind) -> String {
    text.isEmpty ? text : known[kind]?[text] ?? "\(kind.rawValue)-x"
  }

  /// Returns a text with substitutes for the originals that are words in it.
  func replacingWords(in text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if index == 0 || !isWordPart(bytes[index - 1]), let word = word(in: bytes, at: index) {
        result += word.substitute
        index += word.original.count
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private func word(in bytes: [UInt8], at index: Int) -> (original: [UInt8], substitute: [UInt8])? {
    words.first { word in
      let end = index + word.original.count
      guard end <= bytes.count, bytes[index..<end].elementsEqual(word.original) else { return false }
      return end == bytes.count || !isWordPart(bytes[end])
    }
  }
}

private func isWordPart(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), 0x80...:
    true
  default: false
  }
}
