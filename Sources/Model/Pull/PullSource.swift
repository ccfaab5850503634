/// What is pulled: a branch of a git repository, and the folder of it that has the manifests.
package struct PullSource: Hashable, Sendable {
  package var url: RepositoryURL
  package var branch: BranchName
  package var folder: RepositoryFolder

  package init(url: RepositoryURL, branch: BranchName, folder: RepositoryFolder) {
    (self.url, self.branch, self.folder) = (url, branch, folder)
  }
}

/// The address of a repository that is reached by https, by ssh, or as a file.
///
/// No other transport is possible: `ext::` would run a program. The address has no password, because every user of the
/// host can see the arguments of a running git.
package struct RepositoryURL: Hashable, Sendable, TextCodable {
  package static let expected = "an address such as https://…, ssh://…, user@host:path or file:///…, without a password"
  private static let longest = 1000

  package let text: String

  package init?(text: String) {
    // git passes the host's name on to ssh, which must not take it for an option.
    guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }),
      !text.hasPrefix("-"), !text.contains("[-"), let place = Self.place(in: text), !place.hasPrefix("-"),
      !place.isEmpty
    else { return nil }
    // What stands before the host: `user@`, or with a password `user:password@`.
    let authority = place.prefix { $0 != "/" }
    if text.contains("://"), let at = authority.lastIndex(of: "@") {
      guard !authority[..<at].contains(":"), !authority[authority.index(after: at)...].hasPrefix("-") else {
        return nil
      }
    }
    self.text = text
  }

  /// Returns what follows the scheme; the whole text if it is `user@host:path`. Nil for every other form.
  private static func place(in text: String) -> Substring? {
    for scheme in ["https://", "ssh://"] where text.hasPrefix(scheme) {
      let place = text.dropFirst(scheme.utf8.count)
      return place.hasPrefix("/") ? nil : place
    }
    if text.hasPrefix("file:///") { return text.dropFirst("file://".utf8.count) }
    guard !text.contains("://"), !text.contains("::"), let at = text.firstIndex(of: "@"),
      let colon = text.firstIndex(of: ":"), at < colon,
      !text[..<colon].contains("/"), !text[text.index(after: at)..<colon].hasPrefix("-"),
      text.index(after: at) < colon, text.startIndex < at, text.index(after: colon) < text.endIndex
    else { return nil }
    return text[...]
  }
}

/// The name of a branch, as `git check-ref-format --branch` allows it, in ASCII.
package struct BranchName: Hashable, Sendable, TextCodable {
  package static let expected = "the name of a branch, such as main"
  private static let longest = 200

  package let text: String

  package init?(text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...Self.longest).contains(text.utf8.count), !text.hasPrefix("-"), text != "@", text != "HEAD",
      !text.contains(".."), !text.contains("@{"),
      text.utf8.allSatisfy({ (0x21..<0x7F).contains($0) }), !text.contains(where: { "~^:?*[\\".contains($0) }),
      parts.allSatisfy({ !$0.isEmpty && !$0.hasPrefix(".") && !$0.hasSuffix(".lock") && !$0.hasSuffix(".") })
    else { return nil }
    self.text = text
  }
}

/// A folder of a repository. The text is empty for the repository itself.
package struct RepositoryFolder: Hashable, Sendable, TextCodable {
  package static let expected = "a folder of the repository, such as hosts/berth, without '.' and '..'"
  private static let longest = 1000

  /// The whole repository.
  package static let top = RepositoryFolder()

  package let text: String

  private init() { text = "" }

  package init?(text: String) {
    var text = text
    if text.hasSuffix("/") { text.removeLast() }
    guard (1...Self.longest).contains(text.utf8.count), text.unicodeScalars.allSatisfy(\.isVisible),
      text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy({ !["", ".", ".."].contains($0) })
    else { return nil }
    self.text = text
  }

  /// Returns the path of a file in the folder.
  package func path(of name: String) -> String { text.isEmpty ? name : text + "/" + name }
}

/// The number of a commit: the digest of all its content and history, in hexadecimal.
package struct CommitID: Hashable, Sendable, TextCodable {
  package let text: String
  /// The beginning, which suffices for people.
  package var short: String { String(text.prefix(12)) }

  package init?(text: String) {
    guard [40, 64].contains(text.utf8.count),
      text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
    else { return nil }
    self.text = text
  }
}

/// The record of the last commit that was accepted, and of the branch that had it.
package struct AcceptedCommit: Hashable, Sendable {
  package var url: RepositoryURL
  package var branch: BranchName
  package var commit: CommitID

  package init(url: RepositoryURL, branch: BranchName, commit: CommitID) {
    (self.url, self.branch, self.commit) = (url, branch, commit)
  }
}
