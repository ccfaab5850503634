import FoundationEssentials

/// The schemas of `docs/schemas`.
package struct DocumentSchemas: Sendable {
  /// A schema's kind and version, as its file name has them.
  package struct Name: Hashable, Sendable, CustomStringConvertible {
    package let kind: String
    package let version: Int

    /// The kind and the version that a document's head says; nil if the document has no head.
    package init?(headOf document: JSON) {
      guard let kind = document["kind"]?.string, case .integer(let version)? = document["formatVersion"] else {
        return nil
      }
      (self.kind, self.version) = (kind, version)
    }

    /// Reads a file name such as `Plan-v1.schema.json`; nil if the name is none.
    init?(file: String) {
      guard file.hasSuffix(Self.ending) else { return nil }
      let parts = file.dropLast(Self.ending.count).split(separator: "-")
      guard parts.count == 2, parts[1].hasPrefix("v"), let version = Int(parts[1].dropFirst()) else { return nil }
      (kind, self.version) = (String(parts[0]), version)
    }

    private static let ending = ".schema.json"

    /// The file's name.
    package var description: String { "\(kind)-v\(version)\(Self.ending)" }
  }

  /// The schemas by file name, the shared parts too.
  package let all: [String: JSON]
  private let checker: SchemaChecker

  /// Reads all schemas. Throws if a file cannot be read, or is no schema that the checker can use.
  package init() throws {
    let folder = repositoryRoot + "/docs/schemas"
    var all: [String: JSON] = [:]
    for file in try FileManager.default.contentsOfDirectory(atPath: folder) {
      all[file] = try JSON(text: String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8))
    }
    self.all = all
    checker = try SchemaChecker(all)
  }

  /// The names of the schemas of documents; the shared parts are none.
  package var names: Set<Name> { Set(all.keys.compactMap(Name.init(file:)).filter { $0.kind != "shared" }) }

  /// Returns what of a document's text violates the schema that the document's head names; nothing if it conforms.
  /// Throws if the text is not JSON; a document without a head, or without a schema, is a violation.
  package func violations(of text: String) throws -> [String] {
    let document = try JSON(text: text)
    guard let name = Name(headOf: document) else { return ["$: has no head"] }
    guard all[name.description] != nil else { return ["$: there is no schema \(name)"] }
    return try checker.violations(of: document, against: name.description)
  }
}

/// The folder of this repository.
package let repositoryRoot = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
