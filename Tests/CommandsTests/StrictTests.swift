import Model
import Rendering
import TestSupport
import Testing

/// `berth validate --strict`.
@Suite struct StrictTests {
  /// One warning: the id of the device is not given.
  private static let warned = """
    apiVersion: berth/v1alpha1
    kind: HostAssignments
    spec:
      domains: {net: {devices: ["0000:03:00.0"]}}

    """

  @Test func `strict counts a warning as an error, and says so`() throws {
    try withManifest(Self.warned) { path in
      let world = FakeWorld()
      #expect(world.run("validate", path) == 0)
      #expect(world.output == "Valid: 1 domain, 1 device, 1 warning.\n")
      let strict = FakeWorld()
      #expect(strict.run("validate", "--strict", path) == 65)
      #expect(strict.output == "Not valid with --strict: 1 warning.\n")
      #expect(strict.messages.contains("warning: the id of device 0000:03:00.0 is not given"))
      #expect(
        strict.messages.hasSuffix(
          """
          berth: error: 1 warning, and --strict counts each as an error
            correct what they say, or leave out --strict

          """))
    }
    try withManifest("kind: HostAssignments\napiVersion: berth/v1alpha1\nspec: {domains: {}}\n") {
      #expect(FakeWorld().run("validate", "--strict", $0) == 0)
    }
  }

  @Test func `strict counts errors as before`() throws {
    try withManifest(Self.warned.replacing("spec:", with: "specs: 1\nspec:")) { path in
      let (world, strict) = (FakeWorld(), FakeWorld())
      #expect(world.run("validate", path) == 65)
      #expect(strict.run("validate", "--strict", path) == 65)
      #expect(strict.output == world.output && strict.messages == world.messages)
    }
  }

  @Test(arguments: [
    (OutputFormat.github, "::error file=", "::warning file="), (.sarif, #""level" : "error""#, #""level" : "warning""#),
    (.gitlab, #""severity" : "critical""#, #""severity" : "minor""#),
    (.json, #""isValid" : false"#, #""isValid" : true"#),
    (.markdown, "## Not valid with", "## Valid:"), (.html, "class=\"bad\"", "class=\"verdict\""),
  ])
  func `each form says the same as the exit code`(_ form: OutputFormat, _ bad: String, _ good: String) throws {
    try withManifest(Self.warned) { path in
      let (world, strict) = (FakeWorld(), FakeWorld())
      #expect(world.run("validate", path, "-o", form.rawValue) == 0)
      #expect(strict.run("validate", "--strict", path, "-o", form.rawValue) == 65)
      #expect(world.output.contains(good) && !world.output.contains(bad), "\(world.output)")
      #expect(strict.output.contains(bad) && !strict.output.contains(good), "\(strict.output)")
    }
  }

  @Test func `the document of a strict verdict has its schema`() throws {
    let world = FakeWorld()
    try withManifest(Self.warned) { #expect(world.run("validate", "--strict", $0, "-o", "json") == 65) }
    #expect(try DocumentSchemas().violations(of: world.output) == [])
    #expect(try JSON(text: world.output)["isStrict"] == .bool(true))
  }
}
