import Glibc
package import Model

/// A real git repository on disk, in the folder of a test. Nothing of the person who runs the tests has an effect on it.
package struct TestRepository: Sendable {
  package let folder: TemporaryFolder
  package let name: String
  package var path: String { "\(folder.path)/\(name)" }
  package var url: String { "file://" + path }

  /// How a commit is signed.
  package enum Signature: Sendable {
    /// By the key of this name in the folder's keyring of gpg.
    case openPGP(String)
    /// By the private key in this file.
    case ssh(String)
  }

  /// Makes an empty repository, whose branch will be `main`.
  package init(in folder: TemporaryFolder, name: String = "fleet") async throws {
    (self.folder, self.name) = (folder, name)
    try folder.makeFolder("empty-home")
    _ = try await Self.run(["git", "init", "--quiet", "--initial-branch=main", path], in: folder)
  }

  /// Runs git in the repository, and returns what it prints. Throws if it fails.
  @discardableResult
  package func git(_ words: String..., input: String? = nil) async throws -> String {
    try await Self.run(["git", "-C", path] + words, in: folder, input: input)
  }

  /// Writes files, and commits all that changed. Returns the number of the commit.
  @discardableResult
  package func commit(
    _ message: String, _ files: [String: String] = [:], signed: Signature? = nil
  ) async throws -> CommitID {
    for (name, text) in files { try folder.write("\(self.name)/\(name)", text) }
    try await git("add", "--all")
    var settings: [String] = []
    switch signed {
    case .openPGP(let name): settings = ["-c", "user.signingKey=" + name]
    case .ssh(let file): settings = ["-c", "gpg.format=ssh", "-c", "user.signingKey=" + file]
    case nil: break
    }
    let words = ["git", "-C", path] + settings + ["commit", "--quiet", "--allow-empty", "--message", message]
    _ = try await Self.run(words + (signed == nil ? [] : ["--gpg-sign"]), in: folder)
    return try await tip()
  }

  /// Returns the number of the newest commit.
  package func tip() async throws -> CommitID {
    let text = try await git("rev-parse", "HEAD").split(separator: "\n").first ?? ""
    guard let commit = CommitID(text: String(text)) else { throw Command.Failure(description: "no commit: \(text)") }
    return commit
  }

  /// Makes a key of ssh, and returns its file. `NAME.signers` has it as the key of `principal`.
  package static func sshKey(
    _ name: String, of principal: String, in folder: TemporaryFolder, options: String = ""
  ) async throws -> String {
    let file = "\(folder.path)/\(name)"
    _ = try await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file], in: folder)
    let key = String(decoding: try folder.read(name + ".pub"), as: UTF8.self)
    try folder.write(name + ".signers", "\(principal) \(options) \(key)")
    return file
  }

  /// Calls `body` with a keyring of gpg that has new keys of these names, each with an address at example.org.
  /// `NAME.asc` has a public key.
  package static func withOpenPGP<Result: Sendable>(
    _ names: [String], in folder: TemporaryFolder, _ body: () async throws -> Result
  ) async throws -> Result {
    try folder.makeFolder("gpg")
    guard unsafe chmod("\(folder.path)/gpg", 0o700) == 0 else { throw Command.Failure(description: "chmod: \(errno)") }
    let result: Swift.Result<Result, any Error>
    do {
      for name in names {
        _ = try await run(
          [
            "gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "\(name) <\(name)@example.org>",
            "ed25519", "sign", "never",
          ], in: folder)
        try folder.write(
          "\(name).asc", try await run(["gpg", "--armor", "--export", name + "@example.org"], in: folder))
      }
      result = .success(try await body())
    } catch { result = .failure(error) }
    // The agent that gpg has started would outlive the test.
    _ = try await run(["gpgconf", "--kill", "all"], in: folder)
    return try result.get()
  }

  /// Runs a program with an environment in which only the folder counts. Throws if it fails.
  package static func run(_ words: [String], in folder: TemporaryFolder, input: String? = nil) async throws -> String {
    let command = Command(
      "/usr/bin/env", words,
      environment: [
        "HOME": folder.path + "/empty-home", "GNUPGHOME": folder.path + "/gpg", "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
      ], input: input)
    let result = try await command.run()
    guard result.status == 0 else { throw Command.Failure(description: "\(command): \(result.errors)\(result.output)") }
    return result.output
  }
}
