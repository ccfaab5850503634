import Model
import Planning
import Rendering
import Synchronization
import TestSupport
import Testing

/// `berth fmt`, with files that are not written.
@Suite struct FormatCommandTests {
  private static let odd = "kind:  HostAssignments\napiVersion: berth/v1alpha1\nspec:\n    domains: { }\n"
  private static let good = "kind: HostAssignments\napiVersion: berth/v1alpha1\nspec:\n  domains: {}\n"

  private func rewritten(_ world: FakeWorld) -> [String] { world.state.withLock { $0.rewritten.map(\.text) } }

  @Test func `a file is rewritten, and one in the style is not`() throws {
    let world = FakeWorld()
    try withManifest(Self.odd) { path in
      #expect(world.run("fmt", path) == 0)
      #expect(world.output == "formatted: \(path)\n1 manifest, 1 formatted\n")
    }
    #expect(rewritten(world) == [Self.good] && world.messages.isEmpty)
    let other = FakeWorld()
    try withManifest(Self.good) { #expect(other.run("fmt", $0) == 0) }
    #expect(rewritten(other).isEmpty && other.output == "1 manifest, 0 formatted\n")
  }

  @Test func `check writes nothing, and ends with 2 if a file would change`() throws {
    let world = FakeWorld()
    try withManifest(Self.odd) { path in
      #expect(world.run("fmt", "--check", "--diff", path) == 2)
      #expect(
        world.output == """
          would change: \(path)
          --- \(path)
          +++ \(path)
          @@ -1,4 +1,4 @@
          -kind:  HostAssignments
          +kind: HostAssignments
           apiVersion: berth/v1alpha1
           spec:
          -    domains: { }
          +  domains: {}
          1 manifest, 1 would change

          """)
    }
    try withManifest(Self.good) { #expect(FakeWorld().run("fmt", "--check", $0) == 0) }
    #expect(rewritten(world).isEmpty)
  }

  @Test func `a file that is left alone is a failure, and says why`() throws {
    let world = FakeWorld()
    try withManifest(Self.odd) { path in
      #expect(world.run("fmt", path, given: .init(obstacle: "is a symbolic link")) == 1)
      #expect(
        world.messages == """
          berth: warning: \(path) was left alone: it is a symbolic link
            next: berth fmt - < FILE prints its text in the one style
          berth: error: 1 manifest could not be written

          """)
    }
  }

  @Test func `a text that is refused has its place, and is not written`() throws {
    let world = FakeWorld()
    try withManifest("kind: HostAssignments\nspec: [\n") { path in
      #expect(world.run("fmt", path) == 65)
      #expect(world.messages.hasPrefix("\(path):3:1: error: "))
      #expect(world.messages.hasSuffix("berth: error: 1 manifest could not be formatted\n"))
    }
    #expect(rewritten(world).isEmpty)
  }

  @Test func `wrong usage and missing files have their codes`() {
    let world = FakeWorld()
    #expect(world.run("fmt") == 64)
    #expect(world.run("fmt", "-", "a.yaml") == 64)
    #expect(world.run("fmt", "-o", "json", "a.yaml") == 64)
    #expect(world.run("fmt", "/berth/is/not/there.yaml") == 66)
    #expect(world.run("format", "a.yaml") == 64)
    #expect(world.messages.contains("did you mean 'fmt'?"))
    #expect(world.output.isEmpty)
  }
}
