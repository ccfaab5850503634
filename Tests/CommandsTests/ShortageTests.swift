import Model
import Ports
import Synchronization
import TestSupport
import Testing

/// What is said before anything is begun, and beside every answer.
@Suite struct ShortageTests {
  @Test(arguments: [["status"], ["apply", "-y", "x.yaml"], ["--version"]])
  func `a program that is short of memory says so, and begins nothing`(_ words: [String]) {
    let world = FakeWorld()
    #expect(world.run(words, given: .init(shortage: "no room for 64 MiB")) == 78)
    #expect(world.messages == "berth: error: no room for 64 MiB\n" && world.output.isEmpty)
    #expect(world.state.withLock { $0.opened.isEmpty })
  }

  @Test(arguments: [["status"], ["status", "--drift"], ["plan"], ["apply", "-y"]])
  func `each damaged file of Berth's own is a warning, to people and in the document`(_ words: [String]) throws {
    let damaged = DamagedFile(
      .record, .uuid(Sample.uuid(7)), RecordError(.damaged, operation: "read", place: "/a.json", detail: "is a folder"))
    let warning = "/a.json is a folder; nothing is changed in the domain \(Sample.uuid(7))"
    try withManifest { manifest in
      let world = FakeWorld()
      let status = world.run(words + [manifest, "-o", "json"], given: .init(damaged: [damaged]))
      #expect(status == 0)
      #expect(world.messages.contains("berth: warning: \(warning)\n  next: look at the file"), "\(world.messages)")
      #expect(world.messages.hasSuffix("\n") && !world.messages.contains("\\n"), "\(world.messages)")
      #expect(world.output.replacing("\\/", with: "/").contains("\"\(warning)\""), "\(world.output)")
    }
  }
}
