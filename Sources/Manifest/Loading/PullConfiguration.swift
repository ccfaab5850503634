package import Model

/// What a file says of pulls: what is pulled, and where the keys are.
package struct PullConfiguration: Hashable, Sendable {
  package var source: PullSource
  /// The file of OpenPGP keys; nil if there is none.
  package var openPGPKeys: String?
  /// The file of ssh keys; nil if there is none.
  package var sshKeys: String?

  package init(source: PullSource, openPGPKeys: String? = nil, sshKeys: String? = nil) {
    (self.source, self.openPGPKeys, self.sshKeys) = (source, openPGPKeys, sshKeys)
  }
}

/// Reads the file that says what is pulled.
package func loadPullConfiguration(_ path: String) throws(ManifestFailure) -> PullConfiguration {
  let content: PathContent
  do throws(FileFault) { content = try readNamedFile(path, limit: PullKeys.mostBytes) } catch {
    throw .notFound(messages: [error.message])
  }
  let report = Diagnostics()
  switch content {
  case .tooLarge: report.error("\(path) is larger than \(PullKeys.mostBytes) bytes", at: nil)
  case .file(let bytes):
    let source = SourceText(name: path, bytes: bytes)
    let nodes = parseDeclaration(source, kind: PullKeys.word, name: "a description of pulls", report: report)
    if nodes.count == 1, let value = ValueType<PullConfiguration>.pulls.read(nodes[0], as: "the document", report),
      !report.hasErrors
    {
      return value
    }
    if !report.hasErrors {
      report.error(
        "the file must have one document of the kind \(PullKeys.word)", at: SourceMark(wholeOf: source),
        hint: "docs/pipelines.md has an example")
    }
  }
  throw .invalid(report.sorted)
}

/// Every key of the file.
private enum PullKeys {
  static let word = "PullSource"
  static let mostBytes = 64 << 10
  enum Kind: String, CaseIterable, Sendable { case pullSource = "PullSource" }

  static let kind = Key("kind", ValueType<Kind>.choice(), "What the document is.", isRequired: true)
  static let spec = Key("spec", .pullSpec, "What is pulled.", isRequired: true)
  static let document = [ManifestKeys.apiVersion.info, kind.info, spec.info]
  static let url = Key("url", ValueType<RepositoryURL>.url, "The repository.", isRequired: true)
  static let branch = Key("branch", ValueType<BranchName>.branch, "The branch.", isRequired: true)
  static let folder = Key("directory", ValueType<RepositoryFolder>.folder, "The folder with the manifests.")
  static let openPGP = Key("openpgpKeys", ValueType<String>.keyFile, "The file of OpenPGP keys.")
  static let ssh = Key("sshKeys", ValueType<String>.keyFile, "The file of ssh keys.")
  static let specTable = [url.info, branch.info, folder.info, openPGP.info, ssh.info]
}

private let textSchema: JSONValue = .members(["type": .string("string"), "minLength": .number(1)])

extension ValueType where Value == PullConfiguration {
  fileprivate static var pulls: ValueType {
    .object("What is pulled, and whose signatures count.", keys: PullKeys.document) { reader in
      _ = reader.value(ManifestKeys.apiVersion)
      _ = reader.value(PullKeys.kind)
      return reader.value(PullKeys.spec)
    }
  }

  fileprivate static var pullSpec: ValueType {
    .object("What is pulled.", keys: PullKeys.specTable) { reader in
      let url = reader.value(PullKeys.url)
      let branch = reader.value(PullKeys.branch)
      let folder = reader.value(PullKeys.folder)
      let openPGP = reader.value(PullKeys.openPGP)
      let ssh = reader.value(PullKeys.ssh)
      guard let url, let branch else { return nil }
      return PullConfiguration(
        source: PullSource(url: url, branch: branch, folder: folder ?? .top), openPGPKeys: openPGP, sshKeys: ssh)
    }
  }
}

extension ValueType where Value == RepositoryURL {
  fileprivate static var url: ValueType {
    // A text that is refused may have a password, so it is not shown.
    .parsed(
      expected: RepositoryURL.expected, schema: textSchema,
      explain: { _ in ("it must be \(RepositoryURL.expected)", nil) }
    ) { RepositoryURL(text: $0) }
  }
}

extension ValueType where Value == BranchName {
  fileprivate static var branch: ValueType {
    .parsed(expected: BranchName.expected, schema: textSchema) { BranchName(text: $0) }
  }
}

extension ValueType where Value == RepositoryFolder {
  fileprivate static var folder: ValueType {
    .parsed(expected: RepositoryFolder.expected, schema: textSchema) { RepositoryFolder(text: $0) }
  }
}

extension ValueType where Value == String {
  /// The path of a file, from `/`: the file has no folder of its own that everybody knows.
  fileprivate static var keyFile: ValueType {
    .parsed(expected: "the path of a file, from /", schema: textSchema) { $0.hasPrefix("/") ? $0 : nil }
  }
}
