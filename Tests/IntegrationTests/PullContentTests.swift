import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// `berth pull` on a sandbox: who signed a commit, and what is in it.
struct `Pulled content` {
  // MARK: Signatures

  @Test func `only a valid signature of a configured key counts, and nothing switches the check off`() async throws {
    try await PullTrial.with { host, repository in
      let folder = host.folder
      func file(_ name: String) -> String { "\(folder.path)/\(name)" }
      let ann = try await TestRepository.sshKey("ann", of: "ann@example.org", in: folder)
      let bob = try await TestRepository.sshKey("bob", of: "bob@example.org", in: folder)
      let late = try await TestRepository.sshKey(
        "late", of: "late@example.org", in: folder, options: "valid-before=\"20200101\"")
      try await TestRepository.withOpenPGP(["eve", "mallory"], in: folder) {
        let ssh = ["--ssh-keys", file("ann.signers")]
        let openPGP = ["--openpgp-keys", file("eve.asc")]
        func pull(_ keys: [String], _ status: Int32, _ words: String, _ environment: [String: String] = [:])
          async throws
        {
          let answer = try await host.berth(PullTrial.words(repository) + keys, environment: environment)
          #expect(answer.status == status && answer.errors.contains(words), "\(words): \(answer)")
        }
        try await PullTrial.expectUntouched(host) {
          for keys in [ssh, openPGP, ssh + openPGP] { try await pull(keys, 3, "has no signature") }
          // What a person's files and variables, and the repository, say to git.
          try folder.write(
            "home/.gitconfig", "[gpg]\nprogram = true\n[gpg \"ssh\"]\nprogram = true\n[core]\nhooksPath = /tmp\n")
          try await repository.commit("signed by bob", signed: .ssh(bob))
          for environment in [
            ["HOME": file("home"), "XDG_CONFIG_HOME": file("home")],
            ["GIT_CONFIG_GLOBAL": file("home/.gitconfig"), "GIT_CONFIG_SYSTEM": file("home/.gitconfig")],
            [
              "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "gpg.ssh.allowedSignersFile",
              "GIT_CONFIG_VALUE_0": file("bob.signers"),
            ],
            ["GIT_CONFIG_PARAMETERS": "'gpg.ssh.allowedsignersfile'='\(file("bob.signers"))'"],
            ["GNUPGHOME": file("gpg"), "GIT_DIR": repository.path + "/.git", "GIT_EXEC_PATH": "/nonexistent"],
          ] {
            try await pull(ssh, 3, "is signed by a key that is not configured: SHA256:", environment)
          }
          try await pull(openPGP, 3, "is signed by a key that is not configured")
          try await repository.commit("signed by late", signed: .ssh(late))
          try await pull(["--ssh-keys", file("late.signers")], 3, "is signed by a key that has expired")
          try await repository.commit("signed by mallory", signed: .openPGP("mallory@example.org"))
          try await pull(openPGP, 3, "is signed by a key that is not configured")
          try await pull(ssh, 3, "is signed by a key that is not configured")
          // The signature is of another content.
          let commit = try await repository.git("cat-file", "commit", "HEAD")
          let forged = try await repository.git(
            "hash-object", "-t", "commit", "-w", "--stdin",
            input: commit.replacing("signed by mallory", with: "signed by nobody"))
          try await repository.git("update-ref", "refs/heads/main", String(forged.dropLast()))
          try await pull(["--openpgp-keys", file("mallory.asc")], 3, "has a signature that is not valid")
          for (option, name) in [("--ssh-keys", "pull"), ("--openpgp-keys", "pull")] {
            try folder.write(name, "# nothing\n")
            try await pull([option, file(name)], 65, "the file of")
          }
          try await pull(["--ssh-keys", file("nowhere")], 66, "there is no")
        }
        try await repository.commit("signed by ann", signed: .ssh(ann))
        try await pull(ssh, 0, "signed by ann@example.org (SHA256:")
        try await pull(ssh + openPGP, 0, "signed by ann@example.org (SHA256:")
        try await repository.commit("signed by eve", signed: .openPGP("eve@example.org"))
        try await pull(openPGP, 0, "signed by eve <eve@example.org> (")
        try await pull(ssh + openPGP, 0, "signed by eve <eve@example.org> (")
      }
      #expect(try folder.names(in: "host/root/var/lib/berth/pull") == ["accepted.json", "lock", "repository.git"])
    }
  }

  // MARK: What a commit has

  @Test func `manifests that are none, or for other hosts, are no empty wish`() async throws {
    try await PullTrial.with { host, repository in
      try await PullTrial.pull(host, repository)
      let cases: [(files: [String: String], status: Int32, words: String)] = [
        (
          ["hosts/test.yaml": PullTrial.manifest([], host: "other")], 66,
          "no document in hosts/test.yaml is for this host"
        ),
        (["hosts/test.yaml": ""], 66, "hosts/test.yaml has no document"),
        (["hosts/test.yaml": PullTrial.manifest([]).replacing("domains", with: "domain")], 65, "hosts/test.yaml:5:"),
        (["hosts/test.yaml": PullTrial.manifest([]), "hosts/more.yaml": "x: ["], 65, "hosts/more.yaml:1:"),
        (["hosts/test.yaml": PullTrial.manifest([]), "hosts/test.lock.yaml": "x"], 65, "hosts/test.lock.yaml:1:"),
        (
          ["hosts/test.yaml": String(repeating: "#", count: 5_000_000)], 65,
          "hosts/test.yaml: error: the text is larger"
        ),
      ]
      try await PullTrial.expectUntouched(host) {
        for (files, status, words) in cases {
          try await repository.git("rm", "-r", "--quiet", "--ignore-unmatch", "hosts")
          try await repository.commit("case", files)
          try await PullTrial.pull(host, repository, status: status, says: words)
        }
        try await repository.git("rm", "-r", "--quiet", "hosts")
        try await repository.commit("no folder", ["elsewhere/x.yaml": PullTrial.manifest([])])
        try await PullTrial.pull(host, repository, status: 66, says: "the commit has no folder hosts")
        try await repository.commit("no manifest", ["hosts/README": "text"])
        try await PullTrial.pull(host, repository, status: 66, says: "the directory hosts has no manifest")
      }
      #expect(try await host.disagreements(of: "net", expecting: [PullTrial.devices[0]]) == [])
    }
  }

  @Test func `no link, submodule or name in a commit leads anywhere`() async throws {
    try await PullTrial.with { host, repository in
      let outside = "\(host.folder.path)/outside.yaml"
      try host.folder.write("outside.yaml", PullTrial.manifest([PullTrial.devices[0]]))
      let fine = PullTrial.manifest([PullTrial.devices[0]])
      func entries(_ lines: String...) async throws {
        let tree = try await repository.git("mktree", "-z", input: lines.map { $0 + "\0" }.joined())
        let top = try await repository.git("mktree", input: "040000 tree \(tree.dropLast())\thosts\n")
        let parent = try await repository.tip()
        let commit = try await repository.git("commit-tree", "-p", parent.text, "-m", "hostile", String(top.dropLast()))
        try await repository.git("update-ref", "refs/heads/main", String(commit.dropLast()))
      }
      func object(_ text: String) async throws -> Substring {
        try await repository.git("hash-object", "-w", "--stdin", input: text).dropLast()
      }
      let (file, link) = (try await object(fine), try await object(outside))
      let commit = try await repository.tip().text
      try await PullTrial.expectUntouched(host) {
        try await entries("120000 blob \(link)\ta.yaml")
        try await PullTrial.pull(host, repository, status: 66, says: "hosts/a.yaml is a link")
        try await entries("160000 commit \(commit)\ta.yaml", "100644 blob \(file)\tb.yaml")
        try await PullTrial.pull(host, repository, status: 66, says: "hosts/a.yaml is a submodule")
        try await entries("120000 blob \(link)\ttest.lock.yaml", "100644 blob \(file)\tb.yaml")
        try await PullTrial.pull(
          host, repository, status: 65, says: "hosts/test.lock.yaml is the lock of this host, and is no file")
        let bad = try await repository.git("hash-object", "-w", "--stdin", input: "x: [").dropLast()
        try await entries("100644 blob \(bad)\ta\n\u{1b}[31mb.yaml")
        try await PullTrial.pull(host, repository, status: 65, says: "hosts/a\\n\\u{1b}[31mb.yaml:1:")
        for (mode, kind, object, words) in [
          ("120000", "blob", link, "hosts is a link"), ("160000", "commit", commit[...], "hosts is a submodule"),
          ("100644", "blob", file, "hosts is a file"),
        ] {
          let top = try await repository.git("mktree", input: "\(mode) \(kind) \(object)\thosts\n")
          let parent = try await repository.tip()
          let made = try await repository.git("commit-tree", "-p", parent.text, "-m", "x", String(top.dropLast()))
          try await repository.git("update-ref", "refs/heads/main", String(made.dropLast()))
          try await PullTrial.pull(host, repository, status: 66, says: words)
        }
      }
      // Other entries do not disturb those that are manifests.
      try await entries(
        "100644 blob \(file)\ta\nb.yaml", "120000 blob \(link)\tREADME", "160000 commit \(commit)\tmodules")
      let answer = try await PullTrial.pull(host, repository, says: "Applied: 1 attached.")
      #expect(answer.errors.contains("commit") && !answer.errors.contains(host.folder.path), "\(answer)")
    }
  }

  @Test func `a lock beside the manifests is compared as an apply compares it`() async throws {
    try await PullTrial.with { host, repository in
      let lock = try await host.berth("lock", "\(repository.path)/hosts", "--write")
      #expect(lock.status == 0, "\(lock)")
      let path = "\(repository.name)/hosts/test.lock.yaml"
      let text = String(decoding: try host.folder.read(path), as: UTF8.self)
      try host.folder.write(path, text.replacing("8086:1533", with: "8086:1539"))
      try await repository.commit("lock")
      let shown = try await PullTrial.pull(host, repository, "--dry-run", says: "hosts/test.lock.yaml")
      let plan = try await host.berth("plan", "\(repository.path)/hosts")
      #expect(shown.output == plan.output.replacing(host.folder.path + "/fleet/", with: ""), "\(plan)")
    }
  }

  @Test func `the answer is that of an apply, and the commit is beside it`() async throws {
    try await PullTrial.with { host, repository in
      try await repository.commit("two \u{1b}[2J \(String(repeating: "long ", count: 100))")
      let answer = try await PullTrial.pull(host, repository, "-o", "json", says: "\"kind\" : \"ApplyResult\"")
      #expect(try DocumentSchemas().violations(of: answer.output) == [])
      #expect(answer.errors.contains("\"two \\u{1b}[2J long ") && answer.errors.utf8.count < 400, "\(answer)")
      let events = try await PullTrial.pull(host, repository, "-o", "jsonl")
      for line in events.output.split(separator: "\n") {
        #expect(try DocumentSchemas().violations(of: String(line)) == [])
      }
      // Exit codes are those of an apply.
      try await repository.commit("blocked", ["hosts/test.yaml": PullTrial.manifest([Sample.address(30)])])
      try await PullTrial.pull(host, repository, status: 3, says: "device-missing")
    }
  }

  @Test func `a file says what is pulled`() async throws {
    try await PullTrial.with { host, repository in
      let text = """
        apiVersion: berth/v1alpha1
        kind: PullSource
        spec: {url: "\(repository.url)", branch: main, directory: hosts}

        """
      try host.folder.write("pull.yaml", text)
      let file = "\(host.folder.path)/pull.yaml"
      let answer = try await host.berth("pull", "--config", file)
      #expect(answer.status == 0 && answer.output.contains("Applied: 1 attached."), "\(answer)")
      try host.folder.write("pull.yaml", text.replacing("branch: main", with: "branch: main, prune: all"))
      let wrong = try await host.berth("pull", "--config", file)
      #expect(
        wrong.status == 65 && wrong.errors.contains("pull.yaml:3:") && wrong.errors.contains("'prune'"), "\(wrong)")
      let both = try await host.berth("pull", "--config", file, "--branch", "main")
      #expect(both.status == 64, "\(both)")
      let neither = try await host.berth("pull", "--branch", "main")
      #expect(neither.status == 64 && neither.errors.contains("no repository given"), "\(neither)")
      for url in ["ext::sh -c true", "-x", "http://git.example.org/y", "https://" + "me:secret@git.example.org/y"] {
        #expect(try await host.berth("pull", "--from=\(url)", "--branch", "main").status == 64, "\(url)")
      }
    }
  }
}
