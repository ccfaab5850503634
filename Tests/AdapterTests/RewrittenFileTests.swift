import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

/// Files that are replaced only if they are as they were read.
@Suite struct RewrittenFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func rewrite(_ name: String, from old: String, to new: String) throws -> String? {
    try rewriteTextFile("\(folder.path)/\(name)", from: Array(old.utf8), to: Array(new.utf8))
  }

  @Test func `a file that another program changed is left alone`() throws {
    for text in ["other", "older", "ol", ""] {
      try folder.write("a", text)
      #expect(try rewrite("a", from: "old", to: "new") == "was changed by another program meanwhile")
      #expect(try folder.read("a") == Array(text.utf8))
    }
    #expect(try folder.names(in: "") == ["a"])
  }

  @Test func `a file that is gone is not made again`() throws {
    #expect(throws: RecordError.self) { try rewrite("a", from: "old", to: "new") }
    #expect(try folder.names(in: "").isEmpty)
  }

  @Test func `folders, links and pipes are named, and not opened`() throws {
    try folder.makeFolder("a")
    #expect(try rewrite("a", from: "", to: "new") == "is a folder")
    try folder.link("b", to: "nowhere")
    #expect(try rewrite("b", from: "", to: "new") == "is a symbolic link")
    try #require(unsafe mkfifo("\(folder.path)/c", 0o600) == 0)
    #expect(try rewrite("c", from: "", to: "new") == "is a named pipe")
    #expect(try folder.names(in: "") == ["a", "b", "c"])
  }

  @Test func `a folder in which nothing can be written leaves the file as it is`() throws {
    try folder.write("f/a", "old")
    try #require(unsafe chmod("\(folder.path)/f", 0o500) == 0)
    defer { _ = unsafe chmod("\(folder.path)/f", 0o700) }
    // Root may write there.
    if geteuid() == 0 { return }
    #expect(throws: RecordError.self) { try rewrite("f/a", from: "old", to: "new") }
    #expect(try folder.read("f/a") == Array("old".utf8))
  }
}
