/// One remark on a manifest.
package struct Remark: Sendable, Hashable, Encodable {
  package enum Severity: String, Sendable, Encodable { case error, warning }
  package var severity: Severity
  package var file: String
  /// From 1; 0 where the remark is about the file as a whole.
  package var line: Int
  /// From 1.
  package var column: Int
  package var message: String
  package var hint: String?

  package init(severity: Severity, file: String, line: Int, column: Int, message: String, hint: String? = nil) {
    self.severity = severity
    self.file = file
    self.line = line
    self.column = column
    self.message = message
    self.hint = hint
  }
}

/// Whether manifests are valid, for people and for programs.
package struct ValidationView: View {
  /// What was read; zero where the manifests are not valid.
  package var domainCount: Int
  package var deviceCount: Int
  package var remarks: [Remark]

  package init(domainCount: Int, deviceCount: Int, remarks: [Remark]) {
    self.domainCount = domainCount
    self.deviceCount = deviceCount
    self.remarks = remarks
  }

  package var isValid: Bool { errors == 0 }
  private var errors: Int { remarks.count { $0.severity == .error } }

  package var document: ValidationDocument {
    ValidationDocument(
      isValid: isValid, domainCount: domainCount, deviceCount: deviceCount, remarks: remarks)
  }

  /// The verdict; the remarks themselves are messages and go elsewhere.
  package func text(_ style: TextStyle) -> String {
    let warnings = remarks.count - errors
    let tail = warnings == 0 ? "" : ", " + Words.count(warnings, "warning")
    guard isValid else { return "Not valid: \(Words.count(errors, "error"))\(tail).\n" }
    return "Valid: \(Words.count(domainCount, "domain")), \(Words.count(deviceCount, "device"))\(tail).\n"
  }
}

/// The verdict on manifests for programs: `{"formatVersion": 1, "kind": "ValidationResult", …}`.
package struct ValidationDocument: Encodable, Sendable {
  let formatVersion = documentVersion
  let kind = "ValidationResult"
  let isValid: Bool
  let domainCount: Int
  let deviceCount: Int
  let remarks: [Remark]
}
