/// The name of a domain or a host, as Xen and Linux compare it: byte by byte.
///
/// Swift's `String` takes texts for equal if Unicode lets them look the same: `é` is one character or two.
package struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let text: String

  package init(_ text: some StringProtocol) { self.text = String(text) }

  /// The name of what has none, such as a domain whose node `name` is missing. No manifest declares it.
  package static let missing = Name("")

  /// Whether there is no name.
  package var isEmpty: Bool { text.isEmpty }

  package var description: String { text }

  /// Returns the name of a living domain for people: the number if there is no name.
  package func title(of domain: DomainID) -> String { isEmpty ? "domain \(domain)" : text }

  package static func == (left: Name, right: Name) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

  // Names with equal bytes are equal strings, and these have equal hashes.
  package func hash(into hasher: inout Hasher) { hasher.combine(text) }

  package static func < (left: Name, right: Name) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }
}

extension Name: TextCodable {
  package init?(text: String) { self.init(text) }
}

extension Name: ExpressibleByStringInterpolation {
  package init(stringLiteral value: String) { self.init(value) }
}
