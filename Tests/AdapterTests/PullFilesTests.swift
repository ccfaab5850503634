import Glibc
import Model
import Ports
import TestSupport
import Testing

@testable import LinuxAdapter

/// Fetches, and what is kept of them.
@Suite struct PullFilesTests {
  private let folder: TemporaryFolder
  private let branch: BranchName

  init() throws {
    folder = try TemporaryFolder()
    branch = try #require(BranchName(text: "main"))
  }

  private func names() throws -> [String] { try folder.names(in: "host/var/lib/berth/pull") }

  /// Fetches in a pull of its own, and returns the tip.
  private func fetch(
    _ repository: TestRepository, _ files: PullFiles? = nil,
    _ body: (any OpenPull, CommitID) throws -> Void = { _, _ in }
  ) throws -> CommitID {
    return try fetch(from: repository.url, files, body)
  }

  private func fetch(
    from address: String, _ files: PullFiles? = nil, _ body: (any OpenPull, CommitID) throws -> Void = { _, _ in }
  ) throws -> CommitID {
    let pull = try (files ?? PullFiles(root: "\(folder.path)/host")).begin()
    defer { pull.end() }
    let url = try #require(RepositoryURL(text: address))
    let tip = try pull.fetch(url, branch, within: .seconds(60))
    try body(pull, tip)
    return tip
  }

  @Test func `a fetch keeps objects for the next one, and nothing else`() async throws {
    let repository = try await TestRepository(in: folder)
    let first = try await repository.commit("first", ["a.yaml": "a"])
    #expect(try fetch(repository) == first)
    #expect(try names() == ["lock", "repository.git"])
    let second = try await repository.commit("second")
    let found = try fetch(repository) { pull, tip in
      let relations = [
        try pull.isAncestor(first, of: tip), try pull.isAncestor(tip, of: tip), try pull.isAncestor(tip, of: first),
      ]
      #expect(relations == [true, true, false])
      let subject = try pull.subject(of: tip)
      #expect(subject == "second")
    }
    #expect(found == second)
    #expect(
      try folder.names(in: "host/var/lib/berth/pull/repository.git/objects/pack").count { $0.hasSuffix(".pack") } == 2)
  }

  @Test func `a fetch that brings nothing is no fetch of what was there before`() async throws {
    let (first, second) = (try await TestRepository(in: folder), try await TestRepository(in: folder, name: "second"))
    let tip = try await first.commit("first", ["a.yaml": "a"])
    for number in 1...3 { try await second.commit("second \(number)", ["b.yaml": "\(number)"]) }
    let shallow = "\(folder.path)/shallow"
    try await second.git("clone", "--quiet", "--depth", "1", second.url, shallow)
    func isRefused() -> Bool {
      do { _ = try fetch(from: "file://" + shallow) } catch {
        if case RepositoryFault.notFetched(let words)? = error as? RepositoryFault { return words.contains("shallow") }
      }
      return false
    }
    // Without anything from before, behind a fetch of another repository, and behind one of the same commits.
    #expect(isRefused())
    #expect(try fetch(first) == tip)
    #expect(isRefused())
    #expect(try names() == ["lock"])
    // If all commits are here already, a shallow clone brings its newest one all the same.
    let newest = try fetch(second)
    #expect(try fetch(from: "file://" + shallow) == newest)
    #expect(try fetch(first) == tip)
  }

  @Test func `a repository that has grown too large is fetched again as a whole`() async throws {
    let repository = try await TestRepository(in: folder)
    let bounded = PullFiles(root: "\(folder.path)/host", mostPackBytes: 64 << 10)
    let first = try await repository.commit("first", ["a.yaml": "a"])
    #expect(try fetch(repository, bounded) == first)
    let pack = "host/var/lib/berth/pull/repository.git/objects/pack"
    try folder.write(pack + "/pack-0.pack", String(repeating: "x", count: 70_000))
    let tip = try await repository.commit("second")
    #expect(try fetch(repository, bounded) == tip)
    #expect(try folder.names(in: pack).count { $0.hasSuffix(".pack") } == 1)
  }

  @Test func `a setting of the host adds no key, and a subject without end is no reason`() async throws {
    let repository = try await TestRepository(in: folder)
    try await TestRepository.withOpenPGP(["eve", "mallory"], in: folder) {
      let subject = "a" + String(repeating: "\u{301}", count: 60_000)
      try await repository.commit(subject, signed: .openPGP("mallory@example.org"))
      // As if /etc/gnupg/gpg.conf named one more ring of keys.
      let ring = "\(folder.path)/mallory.gpg"
      _ = try await TestRepository.run(
        ["gpg", "--batch", "--quiet", "--output", ring, "--export", "mallory@example.org"], in: folder)
      try folder.makeFolder("bin")
      for name in ["git", "ssh-keygen"] { try folder.link("bin/" + name, to: "/usr/bin/" + name) }
      // Another process writes the script: a fork of this one would keep the file open for a moment, and no file that is
      // open for writing can be started (ETXTBSY, execve(2)).
      let script = "#!/bin/sh\nexec /usr/bin/gpg --keyring \(ring) \"$@\"\n"
      _ = try await TestRepository.run(
        ["sh", "-c", "cat > \(folder.path)/bin/gpg && chmod 755 \(folder.path)/bin/gpg"], in: folder, input: script)
      let files = PullFiles(root: "\(folder.path)/host", programs: ["\(folder.path)/bin", "/usr/bin", "/bin"])
      let eve = SigningKeys(openPGP: try folder.read("eve.asc"))
      _ = try fetch(repository, files) { pull, tip in
        let shown = try pull.subject(of: tip)
        #expect(!shown.isEmpty && shown.utf8.count < 65_536)
        #expect { try pull.signer(of: tip, among: eve) } throws: { error in
          if case RepositoryFault.badSignature(.otherKey) = error { true } else { false }
        }
      }
    }
  }

  @Test func `a commit that was never fetched is no ancestor`() async throws {
    let repository = try await TestRepository(in: folder)
    try await repository.commit("first")
    let other = try #require(CommitID(text: String(repeating: "1", count: 40)))
    _ = try fetch(repository) { pull, tip in
      let isKnown = try pull.isAncestor(other, of: tip)
      #expect(!isKnown)
    }
  }

  @Test func `what a killed pull left behind is removed, and is in no way of the next one`() async throws {
    let repository = try await TestRepository(in: folder)
    let tip = try await repository.commit("first")
    #expect(try fetch(repository) == tip)
    let place = "host/var/lib/berth/pull"
    for name in ["fetching-1-2/objects/pack/tmp_pack_x", "scratch-1-2/gnupg/x", ".accepted.json.1.2"] {
      try folder.write("\(place)/\(name)", "half")
    }
    // It was killed after it had moved the repository away, and git had left locks in it.
    try folder.write("\(place)/repository.git/refs/berth/tip.lock", "")
    #expect(unsafe rename("\(folder.path)/\(place)/repository.git", "\(folder.path)/\(place)/fetching-3-4") == 0)
    #expect(try fetch(repository) == tip)
    #expect(try names() == ["lock", "repository.git"])
  }

  @Test func `a damaged repository is made again`() async throws {
    let repository = try await TestRepository(in: folder)
    let tip = try await repository.commit("first", ["a.yaml": "a"])
    #expect(try fetch(repository) == tip)
    let pack = "host/var/lib/berth/pull/repository.git/objects/pack"
    for name in try folder.names(in: pack) {
      #expect(unsafe chmod("\(folder.path)/\(pack)/\(name)", 0o600) == 0)
      try folder.write("\(pack)/\(name)", "")
    }
    #expect(try fetch(repository) == tip)
    #expect(try fetch(repository) == tip)
  }

  @Test func `many fetches make no endless number of files`() async throws {
    let repository = try await TestRepository(in: folder)
    let first = try await repository.commit("first")
    #expect(try fetch(repository) == first)
    for number in 0..<60 {
      try folder.write("host/var/lib/berth/pull/repository.git/objects/pack/pack-\(number).pack", "")
    }
    let tip = try await repository.commit("second")
    #expect(try fetch(repository) == tip)
    let packs = try folder.names(in: "host/var/lib/berth/pull/repository.git/objects/pack")
    #expect(packs.count { $0.hasSuffix(".pack") } == 1, "\(packs)")
  }

  @Test func `a fetch that is too large, or has no room, hurts no later one`() async throws {
    let repository = try await TestRepository(in: folder)
    let small = try await repository.commit("small", ["a.yaml": "a"])
    let bounded = PullFiles(root: "\(folder.path)/host", mostPackBytes: 64 << 10)
    #expect(try fetch(repository, bounded) == small)
    var generator = SystemRandomNumberGenerator()
    let noise = (0..<100_000).map { _ in String(UInt64.random(in: 0...UInt64.max, using: &generator), radix: 36) }
    let large = try await repository.commit("large", ["noise": noise.joined()])
    #expect { try fetch(repository, bounded) } throws: { error in
      if case RepositoryFault.tooLarge = error { true } else { false }
    }
    #expect(try names() == ["lock"])
    #expect(try fetch(repository) == large)
  }

  @Test func `objects that git's own check refuses are not fetched`() async throws {
    let repository = try await TestRepository(in: folder)
    try await repository.commit("first", ["a.yaml": "a"])
    let empty = try await repository.git("mktree", input: "").dropLast()
    for (name, fault) in [("..", "hasDotdot"), (".git", "hasDotgit")] {
      let tree = try await repository.git("mktree", input: "040000 tree \(empty)\t\(name)\n").dropLast()
      let commit = try await repository.git("commit-tree", "-m", "hostile", String(tree)).dropLast()
      try await repository.git("update-ref", "refs/heads/main", String(commit))
      #expect { try fetch(repository) } throws: { error in
        if case RepositoryFault.notFetched(let words) = error { words.contains(fault) } else { false }
      }
    }
  }

  @Test(arguments: ["git", "gpg", "ssh-keygen"])
  func `a program that is missing is named`(_ missing: String) async throws {
    let repository = try await TestRepository(in: folder)
    try await repository.commit("first")
    for name in ["git", "gpg", "ssh-keygen"] where name != missing {
      try folder.makeFolder("bin")
      try folder.link("bin/" + name, to: "/usr/bin/" + name)
    }
    let files = PullFiles(root: "\(folder.path)/host", programs: ["\(folder.path)/bin"])
    #expect(throws: RepositoryFault.noProgram(missing)) {
      try fetch(repository, files) { pull, tip in
        // The key is a wrong one, but nobody gets as far as that.
        let keys = missing == "gpg" ? SigningKeys(openPGP: []) : SigningKeys(ssh: Array("a ssh-ed25519 AAAA".utf8))
        _ = try pull.signer(of: tip, among: keys)
      }
    }
  }

  @Test func `a second pull is refused, and knows the first`() throws {
    let files = PullFiles(root: "\(folder.path)/host")
    let first = try files.begin()
    let error = #expect(throws: HostError.self) { _ = try files.begin() }
    guard case .record(let fault)? = error else { Issue.record("\(String(describing: error))"); return }
    #expect(fault.code == .busy && fault.holder?.process == Int(getpid()))
    first.end()
    try files.begin().end()
  }

  @Test func `the record is private, and anything else in its place is refused`() throws {
    let place = "host/var/lib/berth/pull/accepted.json"
    let path = "\(folder.path)/\(place)"
    let pull = try PullFiles(root: "\(folder.path)/host").begin()
    defer { pull.end() }
    #expect(try pull.accepted() == nil)
    let record = AcceptedCommit(
      url: try #require(RepositoryURL(text: "file:///x")), branch: branch,
      commit: try #require(CommitID(text: String(repeating: "a", count: 40))))
    try pull.accept(record)
    #expect(try pull.accepted() == record)
    var found = stat()
    #expect(unsafe stat(path, &found) == 0 && found.st_mode & 0o777 == 0o600)
    let good = String(decoding: try folder.read(place), as: UTF8.self)
    for text in [
      "", "{}", String(good.dropLast(20)), good.replacing("\"version\" : 1", with: "\"version\" : 9"),
      good.replacing("aaaa", with: "AAAA"), good.replacing("file:///x", with: "ext::sh"),
      good.replacing("main", with: "-x"),
      String(repeating: "[", count: 100_000),
    ] {
      try folder.write(place, text)
      #expect(throws: HostError.self, "\(text.prefix(80))") { _ = try pull.accepted() }
    }
    #expect(unsafe unlink(path) == 0)
    try folder.link(place, to: "/dev/zero")
    #expect(throws: HostError.self) { _ = try pull.accepted() }
  }
}

/// The words of gpg and ssh-keygen.
@Suite struct SignatureReportTests {
  private func fault(_ messages: String) -> RepositoryFault.SignatureFault { SignatureReport(messages).fault }

  @Test func `good signatures have a signer`() {
    let openPGP = SignatureReport(
      "[GNUPG:] NEWSIG ann@example.org\n[GNUPG:] GOODSIG 2C78 Ann B <ann@example.org>\n[GNUPG:] VALIDSIG AF37 2026-11-29 1\n"
    )
    #expect(openPGP.signer == CommitSigner(name: "Ann B <ann@example.org>", key: "AF37"))
    let ssh = SignatureReport("Good \"git\" signature for ann with me with ED25519 key SHA256:F/Yn\n")
    #expect(ssh.signer == CommitSigner(name: "ann with me", key: "SHA256:F/Yn"))
  }

  @Test func `no other words have one`() {
    for text in [
      "", "[GNUPG:] GOODSIG 1 A\n", "[GNUPG:] NEWSIG\n[GNUPG:] VALIDSIG 1\n",
      "x Good \"git\" signature for a with K key SHA256:x",
      "Good \"git\" signature with K key SHA256:x\nNo principal matched.\n",
      "Good \"git\" signature for a with K key x",
      "[GNUPG:] GOODSIG 1 A\n[GNUPG:] GOODSIG 2 B\n[GNUPG:] VALIDSIG 1\n",
      "[GNUPG:] NEWSIG\nGood \"git\" signature for a with K key SHA256:x\n",
    ] {
      #expect(SignatureReport(text).signer == nil, "\(text)")
    }
  }

  @Test func `each fault has its own name`() {
    #expect(fault("") == .none)
    #expect(
      fault("[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG 1C Old <o@x>\n[GNUPG:] VALIDSIG 1\n") == .expired("1C Old <o@x>"))
    #expect(fault("[GNUPG:] REVKEYSIG 1C Old\n") == .revoked("1C Old"))
    #expect(fault("[GNUPG:] ERRSIG 1C 22 8 00 1 9 F\n[GNUPG:] NO_PUBKEY 1C\n") == .otherKey("1C"))
    #expect(fault("Good \"git\" signature with K key SHA256:x\nNo principal matched.\n") == .otherKey("SHA256:x"))
    #expect(
      fault("Good \"git\" signature with K key SHA256:x\ny:1: key has expired: verify time\n") == .expired("SHA256:x"))
    #expect(fault("[GNUPG:] BADSIG 1C Ann\n") == .wrong("it is of another content, by Ann"))
  }
}
