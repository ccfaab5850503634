import Model
import TestSupport
import Testing

@testable import Rendering

@Suite struct UnifiedDiffTests {
  private func diff(_ old: String, _ new: String, _ style: TextStyle = TextStyle()) -> String {
    UnifiedDiff(path: "a.yaml", from: Array(old.utf8), to: Array(new.utf8)).text(style).description
  }

  @Test func `equal texts have no difference`() { #expect(diff("a\n", "a\n").isEmpty) }

  @Test func `changes stand between three lines that stay`() {
    #expect(
      diff("1\n2\n3\n4\n  5\n6\n7\n8\n9\n", "1\n2\n3\n4\n 5\n6\n7\n8\n9\n")
        == "--- a.yaml\n+++ a.yaml\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-  5\n+ 5\n 6\n 7\n 8\n")
  }

  @Test func `dropped lines, a missing end of line, and what is not visible`() {
    #expect(
      diff("\n\na:  1\r\n\n\n\n\u{202E}b", "a: 1\n\n\u{202E}b\n")
        == "--- a.yaml\n+++ a.yaml\n@@ -1,7 +1,3 @@\n-\n-\n-a:  1\\r\n+a: 1\n \n-\n-\n-\\u{202e}b\n"
        + "\\ No newline at end of file\n+\\u{202e}b\n")
    #expect(diff("\n\n", "") == "--- a.yaml\n+++ a.yaml\n@@ -1,2 +0,0 @@\n-\n-\n")
  }

  @Test func `colours repeat the signs`() {
    #expect(diff("a\n", "b\n", TextStyle(usesColor: true)).contains("\u{1B}[31m-a\u{1B}[0m\n\u{1B}[32m+b\u{1B}[0m\n"))
  }

  /// patch(1) makes the new text from the old one and the difference.
  @Test(arguments: 0..<30 as Range<UInt64>)
  func `patch makes the new text of the old one`(seed: UInt64) async throws {
    var random = SeededGenerator(seed: seed)
    var (old, new) = ("", "")
    for number in 0..<Int.random(in: 1...60, using: &random) {
      switch Int.random(in: 0..<6, using: &random) {
      case 0: old += "\n"
      case 1:
        old += "   x\(number)\n"
        new += " x\(number)\n"
      default:
        old += "y\(number)\n"
        new += "y\(number)\n"
      }
    }
    let folder = try TemporaryFolder()
    try folder.write("a.yaml", old)
    let result = try await Command("patch", ["-s", "-u", "\(folder.path)/a.yaml"], input: diff(old, new)).run()
    #expect(result.status == 0, "\(result)")
    #expect(try String(decoding: folder.read("a.yaml"), as: UTF8.self) == new)
  }
}
