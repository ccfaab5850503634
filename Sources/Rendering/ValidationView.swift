package import Model

/// One remark on a manifest.
package struct Remark: Sendable, Hashable, Encodable {
  package enum Severity: String, Sendable, Encodable, CaseIterable { case error, warning }
  package var severity: Severity
  package var file: String
  /// From 1; 0 if the remark is about the file as a whole.
  package var line: Int
  /// From 1.
  package var column: Int
  package var message: String
  package var hint: String?
  /// How many remarks this one stands for.
  package var count = 1

  private enum CodingKeys: CodingKey { case severity, file, line, column, message, hint }

  package init(severity: Severity, file: String, line: Int, column: Int, message: String, hint: String? = nil) {
    self.severity = severity
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.hint = hint
  }
}

/// What valid manifests declare for one host.
package struct ValidatedHost: Sendable, Hashable, Encodable {
  /// Nil for every host that no document names.
  package var host: String?
  package var domainCount: Int
  package var deviceCount: Int

  package init(host: String?, domainCount: Int, deviceCount: Int) {
    self.host = host
    self.domainCount = domainCount
    self.deviceCount = deviceCount
  }
}

/// Whether manifests are valid, for people and for programs.
package struct ValidationView: View {
  /// What was read; empty if the manifests are not valid.
  package var files: [String]
  package var hosts: [ValidatedHost]
  package var remarks: [Remark]
  /// Whether a warning counts as an error.
  let isStrict: Bool
  /// The directory that previews have paths relative to; nil if it is not known.
  let directory: String?

  package init(
    files: [String], hosts: [ValidatedHost], remarks: [Remark], isStrict: Bool = false, directory: String? = nil
  ) {
    self.files = files
    self.hosts = hosts
    self.remarks = remarks
    self.isStrict = isStrict
    self.directory = directory
  }

  package var isValid: Bool { errors == 0 && !(isStrict && warningCount > 0) }
  package var warningCount: Int { remarks.reduce(0) { $0 + $1.count } - errors }
  private var errors: Int { remarks.reduce(0) { $0 + ($1.severity == .error ? $1.count : 0) } }

  package var document: ValidationDocument {
    ValidationDocument(
      isValid: isValid, isStrict: isStrict ? true : nil, files: files, hosts: hosts, remarks: remarks)
  }

  /// The verdict; the remarks themselves are messages and go elsewhere.
  package func text(_ style: TextStyle) -> TerminalText { "\(style.printable(verdict))\n" }

  /// The verdict in one sentence.
  var verdict: String {
    let tail = warningCount == 0 ? "" : ", " + Words.count(warningCount, "warning")
    guard errors == 0 else { return "Not valid: \(Words.count(errors, "error"))\(tail)." }
    guard isValid else { return "Not valid with --strict: \(Words.count(warningCount, "warning"))." }
    let contents = hosts.map { host in
      let counts = Words.count(host.domainCount, "domain") + ", " + Words.count(host.deviceCount, "device")
      if let name = host.host { return "\(counts) for \(name)" }
      return hosts.count == 1 ? counts : "\(counts) for any other host"
    }
    return "Valid: \(contents.joined(separator: "; "))\(tail)."
  }
}

/// The verdict on manifests for programs: `{"formatVersion": 1, "kind": "ValidationResult", …}`.
package struct ValidationDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "ValidationResult", formatVersion: 1)
  let isValid: Bool
  /// True if a warning counts as an error; otherwise left out.
  let isStrict: Bool?
  let files: [String]
  let hosts: [ValidatedHost]
  let remarks: [Remark]
}
