/// What the head of a document says: which kind it is, and which version of that kind.
///
/// The version is raised when a key of this kind changes its meaning or goes; a new key does not raise it.
/// `docs/schemas` has a schema per kind and version.
package struct DocumentHead: Hashable, Sendable, Encodable {
  package let kind: String
  package let formatVersion: Int

  package init(kind: String, formatVersion: Int) {
    self.kind = kind
    self.formatVersion = formatVersion
  }
}

/// A document that `-o json` writes.
package protocol VersionedDocument: Encodable {
  /// The head that is written beside the document's own keys.
  static var head: DocumentHead { get }
}

/// A document together with its head, as one JSON object.
struct WithHead<Document: VersionedDocument>: Encodable {
  let document: Document

  init(_ document: Document) { self.document = document }

  func encode(to encoder: any Encoder) throws {
    try Document.head.encode(to: encoder)
    try document.encode(to: encoder)
  }
}

extension WithHead: Sendable where Document: Sendable {}
