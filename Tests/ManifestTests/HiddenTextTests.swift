import Glibc
import TestSupport
import Testing

@testable import Manifest

/// No text of a file that is not Berth's reaches a message.
@Suite struct HiddenTextTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Texts in whose place a person or a link may put a manifest. Each has the word `hunter2`.
  static let secrets: [(name: String, text: String)] = [
    ("keys and values", "database_password: hunter2\nhunter2: tok_9f8e7d\n"),
    ("a list", "# hosts\n- hunter2\n- *hunter2\n"),
    ("one scalar", "hunter2\n"), ("passwords", "root:$6$hunter2:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"),
    ("variables", "PATH=/bin\u{0}PASSWORD=hunter2\u{0}"), ("no YAML", "a: [hunter2\nb: }\n\t- hunter2: x: y\n"),
    ("a tag and an alias", "a: !vault hunter2\nb: *hunter2\n"),
    ("a directive", "%TAG !hunter2! tag:x,2000:\n---\na: b\n"),
    ("control characters", "hunter2\u{1B}[31m\n"),
    ("a secret of Kubernetes", "apiVersion: v1\nkind: Secret\ndata: {p: hunter2}\n"),
    ("a key in PEM", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n"),
    ("a template", "{% hunter2 %}\n{{ hunter2 }}: ${hunter2}\n"),
    ("a conflict", "<<<<<<< hunter2\na\n=======\nb\n>>>>>>> c\n"),
    ("JSON", "{\"hunter2\": {\"hunter2\": 1, \"hunter2\": 2}}\n"),
    ("a long line", String(repeating: "hunter2 ", count: 20_000)),
    ("documents", "---\na: hunter2\n---\nb: [hunter2\n---\n"), ("a broken byte order", "\u{FEFF}\u{FEFF}hunter2: x\n"),
  ]

  @Test(arguments: secrets)
  func `a text that is not Berth's gets one error, with its place and nothing of it`(
    _ secret: (name: String, text: String)
  ) throws {
    let file = try folder.add("a.yaml", secret.text)
    guard case .invalid(let diagnostics)? = failure(of: [file]) else { Issue.record("\(secret.name)"); return }
    #expect(diagnostics.count == 1)
    let diagnostic = try #require(diagnostics.first)
    #expect(diagnostic.mark?.source.name == file && diagnostic.mark?.line ?? 0 >= 1)
    let shown = diagnostic.description.replacing(file, with: "")
    #expect(!shown.contains("hunter2") && !shown.contains(" | "), "\(shown)")
    #expect(shown.contains("this is not a manifest") && shown.contains("apiVersion: berth/v1alpha1"), "\(shown)")
  }

  @Test func `bytes that are no text are not shown either`() throws {
    for bytes: [UInt8] in [
      [0xFF, 0xFE, 0x68, 0], [0x68, 0x75, 0xC3, 0x28], Array(0...255), [0x7F, 0x45, 0x4C, 0x46, 2],
    ] {
      try folder.write("a.yaml", bytes)
      guard case .invalid(let diagnostics)? = failure(of: [folder.path]) else { Issue.record("\(bytes)"); continue }
      #expect(diagnostics.count == 1 && !diagnostics[0].description.contains(" | "), "\(diagnostics)")
    }
  }

  @Test(arguments: [
    "apiVersion: berth/v1\nkinds: x\n", "kind: HostAssignment\nspec: x\n",
    "{\"spec\": {}, \"apiVersion\":\"berth/v1alpha1\"}",
    "# old\n---\napiversion:   'berth/v1alpha1'\n", "a: 1\n---\n\"kind\" : \"HostAssignments\"\nb: [\n",
    "KIND: hostassignments\n{{ x }}: 1\n", "apiVersion:\tberth/v1alpha1\n",
  ])
  func `a text that says it is Berth's gets its errors with their lines`(_ text: String) throws {
    let file = try folder.add("a.yaml", text)
    guard case .invalid(let diagnostics)? = failure(of: [file]) else { Issue.record("valid: \(text)"); return }
    #expect(diagnostics.allSatisfy { !$0.message.contains("not a manifest") }, "\(diagnostics)")
    #expect(diagnostics.contains { $0.description.contains(" | ") }, "\(diagnostics)")
  }

  @Test func `a scenario is not taken for a manifest's kind, nor a manifest for a scenario's`() {
    func messages(_ text: String, kind: String) -> [String] {
      let report = Diagnostics()
      _ = parseDeclaration(SourceText(name: "t", text: text), kind: kind, name: "a scenario", report: report)
      return report.sorted.map(\.message)
    }
    #expect(messages("kind: SandboxScenario\na: b\n", kind: "SandboxScenario") == [])
    #expect(
      messages("kind: HostAssignments\na: b\n", kind: "SandboxScenario") == [
        "this is not a scenario: no line has 'apiVersion: berth/v1alpha1' or 'kind: SandboxScenario'"
      ])
  }

  @Test func `a file without content is none, as before`() throws {
    for text in ["", "\n", "# only this\n", "---\n...\n", "  \t\n"] {
      let file = try folder.add("a.yaml", text)
      guard case .notFound? = failure(of: [file]) else { Issue.record("\(text)"); continue }
    }
  }
}
