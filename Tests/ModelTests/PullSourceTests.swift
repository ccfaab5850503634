import Model
import Testing

struct `Pull sources` {
  @Test(arguments: [
    "https://git.example.org/fleet.git", "https://git.example.org:8443/fleet", "https://" + "me@git.example.org/fleet",
    "ssh://git@git.example.org/fleet.git", "ssh://git@[::1]:22/fleet.git", "git@git.example.org:fleet.git",
    "file:///var/git/fleet.git",
  ])
  func `an address is https, ssh or a file`(_ text: String) { #expect(RepositoryURL(text: text)?.text == text) }

  @Test(arguments: [
    "", "-uhttps://git.example.org/y", "--upload-pack=touch x", "ext::sh -c true", "ext::sh", "fd::17",
    "http://git.example.org/y", "git://git.example.org/y",
    "ftp://git.example.org/y", "/var/git/x", "x", "file://host/x", "file://", "https://", "https:///x",
    "ssh://-oProxyCommand=x/y",
    "ssh://git@-oProxyCommand=x/y", "git@-oProxyCommand=x:y", "-git@x:y", "https://" + "me:secret@git.example.org/y",
    "ssh://git:secret@x/y", "https://git.example.org/y z", "https://git.example.org/\ny",
    "https://git.example.org/\u{1b}[m", "git@x/y:z", "git@:x", "@x:y",
    "git@x:",
    "https://git.example.org/é", "https://git.example.org/" + String(repeating: "a", count: 1000), "git@x::y",
  ])
  func `no other address is one`(_ text: String) { #expect(RepositoryURL(text: text) == nil) }

  @Test func `a branch has a name that git allows`() {
    for text in ["main", "berth/host17", "v1.2", "a-b", "a@b"] { #expect(BranchName(text: text)?.text == text) }
    for text in [
      "", "-x", "/a", "a/", "a//b", "a..b", ".a", "a/.b", "a.lock", "a.", "a b", "a:b", "a~1", "a^", "a?", "a*", "a[",
      "a\\b",
      "@", "HEAD", "a@{1}", "a\n", String(repeating: "a", count: 201),
    ] {
      #expect(BranchName(text: text) == nil, "\(text)")
    }
  }

  @Test func `a folder leads nowhere else`() {
    #expect(RepositoryFolder(text: "hosts/berth/")?.text == "hosts/berth")
    #expect(RepositoryFolder(text: "a b")?.path(of: "x.yaml") == "a b/x.yaml")
    #expect(RepositoryFolder.top.path(of: "x.yaml") == "x.yaml")
    for text in ["", "/", "/etc", "..", "a/../b", "./a", "a//b", "a/..", "a\n", "a\u{1b}", "a/."] {
      #expect(RepositoryFolder(text: text) == nil, "\(text)")
    }
  }

  @Test func `a commit has its whole number`() {
    let digits = String(repeating: "0a", count: 20)
    #expect(CommitID(text: digits)?.short == "0a0a0a0a0a0a")
    for text in ["", "HEAD", String(digits.dropLast()), digits + "0", digits.uppercased(), "g" + digits.dropFirst()] {
      #expect(CommitID(text: text) == nil, "\(text)")
    }
  }
}
