import Glibc
import Model
import Ports

/// The check of a commit's signature by `git verify-commit`, with the configured keys and no others.
struct GitSignatures {
  private let repository: GitRepository
  private var programs: GitPrograms { repository.programs }
  /// The home of gpg: git's own variable names it (`GitPrograms.environment`).
  private var keyring: String { repository.scratch + "/gnupg" }
  private var signers: String { repository.scratch + "/allowed-signers" }
  /// gpg works alone: it does not ask a server for keys. Each key in its ring is a configured one, so it trusts all of
  /// them.
  private static let options =
    "trust-model always\nno-autostart\nno-auto-key-retrieve\nno-auto-key-locate\ndisable-dirmngr\n"

  init(_ repository: GitRepository) { self.repository = repository }

  func signer(of commit: CommitID, among keys: SigningKeys) throws(RepositoryFault) -> CommitSigner {
    let imported = try prepare(keys)
    let answer = try repository.git(
      ["verify-commit", "--raw", commit.text], or: [1, 128],
      settings: [
        "gpg.program=" + (try program("gpg", isNeeded: keys.openPGP != nil)),
        "gpg.ssh.program=" + (try program("ssh-keygen", isNeeded: keys.ssh != nil)),
        // Signatures of other forms do not count.
        "gpg.x509.program=" + Root.nothing, "gpg.ssh.allowedSignersFile=" + signers, "gpg.minTrustLevel=undefined",
      ])
    let report = SignatureReport(answer.messages)
    guard answer.status == 0, let signer = report.signer else { throw .badSignature(report.fault) }
    // A setting of the host can name further keys for gpg. They are not configured, so they do not count.
    if let key = report.primaryKey, !imported.contains(key) { throw .badSignature(.otherKey(signer.key)) }
    return signer
  }

  private func program(_ name: String, isNeeded: Bool) throws(RepositoryFault) -> String {
    do throws(RepositoryFault) { return try programs.path(of: name) } catch {
      if isNeeded { throw error }
      return Root.nothing
    }
  }

  /// Makes the two places of keys, and returns the fingerprints of the OpenPGP keys. A place without configured keys is
  /// empty.
  private func prepare(_ keys: SigningKeys) throws(RepositoryFault) -> Set<String> {
    try repository.makeScratch()
    do throws(SystemFailure) {
      try makeFolders(keyring)
      // Without this file, releases from 2.4 on may keep keys in a daemon.
      for (name, text) in [("gpg.conf", Self.options), ("common.conf", "")] {
        try Self.write(Array(text.utf8), to: "\(keyring)/\(name)")
      }
      try Self.write(keys.ssh ?? [], to: signers)
    } catch { throw .files(RecordError(error, repository.scratch)) }
    if let ssh = keys.ssh {
      let lines = String(decoding: ssh, as: UTF8.self).split(whereSeparator: \.isNewline)
      let hasKey = lines.contains { line in line.first { !$0.isWhitespace }.map { $0 != "#" } ?? false }
      guard hasKey else { throw .noKey(.ssh) }
    }
    guard let openPGP = keys.openPGP else { return [] }
    let imported = try programs.run(
      "gpg", ["--homedir", keyring, "--batch", "--no-tty", "--quiet", "--status-fd", "1", "--import"],
      home: repository.scratch, input: openPGP, mostBytes: 1 << 20)
    // `[GNUPG:] IMPORT_OK 1 A0B1…`
    let lines = String(decoding: imported.output, as: UTF8.self).split(whereSeparator: \.isNewline)
    let prints = lines.filter { $0.hasPrefix("[GNUPG:] IMPORT_OK ") }.compactMap { $0.split(separator: " ").last }
    if prints.isEmpty { throw .noKey(.openPGP) }
    return Set(prints.map(String.init))
  }

  private static func write(_ bytes: [UInt8], to path: String) throws(SystemFailure) {
    let file = try Descriptor(opening: path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    try file.writeAll(bytes)
  }
}

/// What gpg or ssh-keygen says of a signature, by way of `git verify-commit --raw`.
///
/// gpg's lines have a form for programs (doc/DETAILS of GnuPG). ssh-keygen's lines are for people: `ssh-keygen -Y verify`,
/// OpenSSH 9.2 (sshsig.c and ssh-keygen.c: `sig_verify`).
struct SignatureReport {
  private let messages: String
  private let lines: [Substring]

  init(_ messages: String) {
    self.messages = messages
    lines = messages.split(whereSeparator: \.isNewline)
  }

  /// The one key that signed, if the signature is good; nil if it is not, or if several signed.
  var signer: CommitSigner? {
    if let valid = status("VALIDSIG").first?.split(separator: " ").first, status("GOODSIG").count == 1 {
      return CommitSigner(name: words(status("GOODSIG")[0], after: 1), key: String(valid))
    }
    guard status("NEWSIG").isEmpty, let (name, key) = sshKey, let name else { return nil }
    return CommitSigner(name: name, key: key)
  }

  /// The fingerprint of the key to which an OpenPGP key belongs that made a good signature; nil for ssh.
  var primaryKey: String? { status("VALIDSIG").first?.split(separator: " ").last.map(String.init) }

  /// Why the signature is not accepted.
  var fault: RepositoryFault.SignatureFault {
    if messages.isEmpty { return .none }
    for name in ["EXPKEYSIG", "EXPSIG"] {
      if let found = status(name).first { return .expired(words(found, after: 0)) }
    }
    if let found = status("REVKEYSIG").first { return .revoked(words(found, after: 0)) }
    if let found = status("BADSIG").first { return .wrong("it is of another content, by \(words(found, after: 1))") }
    if let found = status("NO_PUBKEY").first { return .otherKey(words(found, after: 0)) }
    if let (name, key) = sshKey, name == nil {
      return messages.contains("key has expired") ? .expired(key) : .otherKey(key)
    }
    return .wrong(GitPrograms.words(messages))
  }

  /// Returns what follows a word of gpg's in each line that has it.
  private func status(_ word: String) -> [Substring] {
    let start = "[GNUPG:] \(word)"
    return lines.compactMap { line in
      guard line.hasPrefix(start), line.count == start.count || line.dropFirst(start.count).first == " " else {
        return nil
      }
      return line.dropFirst(start.count + 1)
    }
  }

  /// Returns the words behind the first ones.
  private func words(_ line: Substring, after count: Int) -> String {
    line.split(separator: " ").dropFirst(count).joined(separator: " ")
  }

  /// The key in ssh-keygen's line, and its owner's name; the name is nil if the key is not an allowed one.
  private var sshKey: (name: String?, key: String)? {
    for line in lines where line.hasPrefix(#"Good "git" signature "#) {
      let rest = line.dropFirst(#"Good "git" signature "#.count)
      guard let key = rest.split(separator: " ").last, key.hasPrefix("SHA256:") else { continue }
      guard rest.hasPrefix("for "), let with = rest.ranges(of: " with ").last else { return (nil, String(key)) }
      return (String(rest.dropFirst("for ".count)[..<with.lowerBound]), String(key))
    }
    return nil
  }
}
