package import Model
package import Planning
package import Ports

/// What is said of a commit that may be applied.
package struct PulledCommit {
  /// The most columns of its first line.
  private static let widestSubject = 80

  package var commit: CommitID
  package var branch: BranchName
  package var subject: String
  /// Who signed it; nil if no key is configured.
  package var signer: CommitSigner?
  package var verdict: PullVerdict

  package init(commit: CommitID, branch: BranchName, subject: String, signer: CommitSigner?, verdict: PullVerdict) {
    self.commit = commit
    self.branch = branch
    self.subject = subject
    self.signer = signer
    self.verdict = verdict
  }

  /// Returns `commit 1a2b3c4d5e6f of main, new since 0f1e…: "Give net a card"; signed by ann (SHA256:…)`.
  package var text: String {
    let title = cut(visible(subject), to: Self.widestSubject)
    let signature =
      signer.map { "signed by \(visible($0.name)) (\($0.key))" } ?? "unchecked, because no key is configured"
    return "commit \(commit.short) of \(branch.text), \(verdict.words): \"\(title)\"; \(signature)"
  }
}

extension PullVerdict {
  fileprivate var words: String {
    switch self {
    case .first: "the first one on this host"
    case .unchanged: "accepted before"
    case .newer(let commit): "new since \(commit.short)"
    case .newHistory(let before): "accepted in place of \(before.commit.short)"
    case .otherSource, .rewritten: "refused"
    }
  }

  /// Why nothing of the source may be applied; nil if it may be.
  package var refusal: Failure? {
    guard case .otherSource(let before) = self else { return nil }
    return Failure(
      .blocked,
      "the last accepted commit is of another place: \(before.commit.short) of \(before.branch.text) in "
        + "\(before.url.text); nothing was touched",
      hint: "if the new place is meant, run `berth pull` once with --accept-new-history")
  }

  /// Returns why the tip may not be applied; nil if it may be.
  package func refusal(of tip: CommitID) -> Failure? {
    guard case .rewritten(let before) = self else { return refusal }
    return Failure(
      .blocked,
      "commit \(tip.short) of \(before.branch.text) does not continue commit \(before.commit.short), which was accepted "
        + "last. The history was rewritten, or the commit is an older one. Nothing was touched",
      hint: "if that is meant, run `berth pull` once with --accept-new-history")
  }
}

extension PullSource {
  /// The folder for people.
  package var place: String { folder.text.isEmpty ? "the repository" : folder.text }
}

extension RepositoryFault {
  /// Returns the status and the words.
  package func failure(of source: PullSource, _ tip: CommitID? = nil, at place: HostPlace) -> Failure {
    switch self {
    case .noProgram(let name):
      return Failure(
        .hostNotPrepared, "\(name) is not installed; nothing was touched", hint: "install \(Self.package(name))")
    case .timedOut(let time):
      return Failure(
        .unreachable, "\(source.url.text) has not answered within \(Self.text(of: time)); nothing was touched",
        hint: "run again, or wait longer with --fetch-timeout")
    case .noBranch:
      return Failure(
        .noManifest, "\(source.url.text) has no branch \(source.branch.text); nothing was touched",
        hint: "was the branch renamed or removed, or is the repository empty?")
    case .notFetched(let words):
      return Failure(
        .unreachable, "cannot fetch \(source.branch.text) of \(source.url.text): \(words); nothing was touched",
        // git's own advice is a setting, and no setting of a user counts here.
        hint: words.contains("dubious ownership")
          ? "a repository on this machine must belong to the user who pulls"
          : "`git ls-remote \(shellWord(source.url.text))` tries the same connection")
    case .tooLarge(let words):
      return Failure(
        .failed, "\(source.url.text) has more than Berth reads: \(words); nothing was touched",
        hint: "keep manifests in a repository of their own")
    case .full(let file):
      return Failure(
        .hostNotPrepared, "the file system of \(file) is full; nothing was touched", hint: "make room, then run again")
    case .noFolder(let fault):
      let folder = source.folder.text
      let what =
        switch fault {
        case .missing: "the commit has no folder \(folder)"
        case .link: "\(folder) is a link, and no link in a repository is followed"
        case .file: "\(folder) is a file, and no folder"
        case .submodule: "\(folder) is a submodule, and no submodule is read"
        }
      return Failure(.noManifest, "\(what); nothing was touched", hint: "name the folder that has the manifests")
    case .badSignature(let fault): return Failure(.blocked, fault.words(tip), hint: fault.remedy)
    case .noKey(.openPGP):
      return Failure(
        .invalidManifest, "the file of OpenPGP keys has no public key", hint: "write it with `gpg --export`")
    case .noKey(.ssh):
      return Failure(
        .invalidManifest, "the file of ssh keys has no key", hint: "write lines of allowed_signers, see ssh-keygen(1)")
    case .failed(let what, let words):
      return Failure(
        .failed, "\(what) failed: \(words); nothing was touched",
        hint: "run again: the next pull fetches everything again")
    case .files(let error): return place.failure(for: .record(error))
    }
  }

  private static func text(of time: Duration) -> String {
    let milliseconds = time.components.seconds * 1000 + time.components.attoseconds / 1_000_000_000_000_000
    return milliseconds % 1000 == 0 ? "\(milliseconds / 1000) s" : "\(milliseconds) ms"
  }

  private static func package(_ name: String) -> String {
    switch name {
    case "gpg": "gnupg"
    case "ssh-keygen": "openssh-client"
    default: name
    }
  }
}

extension RepositoryFault.SignatureFault {
  fileprivate func words(_ tip: CommitID?) -> String {
    let commit = tip.map { "commit \($0.short)" } ?? "the commit"
    let what =
      switch self {
      case .none: "has no signature"
      case .otherKey(let key): "is signed by a key that is not configured: \(key)"
      case .expired(let key): "is signed by a key that has expired: \(key)"
      case .revoked(let key): "is signed by a key that was revoked: \(key)"
      case .wrong(let words): "has a signature that is not valid: \(words)"
      }
    return "\(commit) \(what); nothing was touched"
  }

  fileprivate var remedy: String {
    switch self {
    case .none: "sign the newest commit of the branch with `git commit -S`"
    case .otherKey: "if the key may sign, add it to the file of keys"
    case .expired: "sign with a key that is valid, or put the renewed key into the file of keys"
    case .revoked, .wrong: "find out who made the commit, and have it signed again"
    }
  }
}
