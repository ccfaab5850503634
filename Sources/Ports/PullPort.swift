package import Model

/// The pulls of a host: their record, their lock, and their git.
package protocol PullPort: Sendable {
  /// Takes the lock of pulls, without waiting for it. Throws `busy` if another pull is at work.
  func begin() throws(HostError) -> any OpenPull
}

/// A pull that holds the lock. What it has fetched is only read, and no file of a commit becomes a file of the host.
package protocol OpenPull: Sendable {
  /// Returns the last accepted commit; nil if there was none. Throws if the record is damaged.
  func accepted() throws(HostError) -> AcceptedCommit?
  /// Writes the record. It is on disk when the call returns.
  func accept(_ commit: AcceptedCommit) throws(HostError)

  /// Fetches a branch with its history, and returns its tip.
  func fetch(_ url: RepositoryURL, _ branch: BranchName, within time: Duration) throws(RepositoryFault) -> CommitID
  /// Returns whether a commit is in the history of another one, or is that one.
  func isAncestor(_ commit: CommitID, of tip: CommitID) throws(RepositoryFault) -> Bool
  /// Returns the beginning of the first line of a commit's message. Anybody may have written it.
  func subject(of commit: CommitID) throws(RepositoryFault) -> String
  /// Returns who signed a commit. Throws unless one of the keys did, and is valid.
  func signer(of commit: CommitID, among keys: SigningKeys) throws(RepositoryFault) -> CommitSigner
  /// Returns what a folder of a commit holds, in git's order.
  func entries(of commit: CommitID, in folder: RepositoryFolder) throws(RepositoryFault) -> [RepositoryEntry]
  /// Returns the contents of files, in their order. The caller has bounded their sizes.
  func contents(of files: [RepositoryEntry]) throws(RepositoryFault) -> [[UInt8]]

  /// Removes what the pull needed only for itself, and releases the lock.
  func end()
}

/// The keys of which one must have signed a commit. One of the two is there.
package struct SigningKeys: Hashable, Sendable {
  /// Public keys of OpenPGP, as `gpg --export` writes them; nil if none may sign.
  package var openPGP: [UInt8]?
  /// The file `allowed_signers` of ssh-keygen(1); nil if none may sign.
  package var ssh: [UInt8]?

  package init(openPGP: [UInt8]? = nil, ssh: [UInt8]? = nil) { (self.openPGP, self.ssh) = (openPGP, ssh) }
}

/// Who signed a commit, in the words of the configured keys.
package struct CommitSigner: Hashable, Sendable {
  package var name: String
  /// The fingerprint.
  package var key: String

  package init(name: String, key: String) { (self.name, self.key) = (name, key) }
}

/// One entry of a folder of a commit.
package struct RepositoryEntry: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case file(size: Int)
    case folder
    case link
    case submodule
  }
  /// The name; nil if its bytes are no text.
  package var name: String?
  package var kind: Kind
  /// git's number of the content.
  package var object: String

  package init(name: String?, kind: Kind, object: String) {
    (self.name, self.kind, self.object) = (name, kind, object)
  }
}

/// Why a repository gave no answer that may be used.
package enum RepositoryFault: Error, Hashable, Sendable {
  /// A program that is needed is not installed.
  case noProgram(String)
  /// git did not end in time, and was ended.
  case timedOut(Duration)
  /// The repository has no such branch.
  case noBranch
  /// git could not fetch, with git's own words.
  case notFetched(String)
  /// What was fetched exceeds a bound.
  case tooLarge(String)
  /// The file system of Berth's files is full.
  case full(String)
  /// There is no such folder in the commit.
  case noFolder(FolderFault)
  case badSignature(SignatureFault)
  /// A file of keys holds none.
  case noKey(KeyKind)
  /// A program failed otherwise: what it was to do, and its own words.
  case failed(String, String)
  /// A file of Berth's own could not be used.
  case files(RecordError)

  package enum FolderFault: Hashable, Sendable { case missing, link, file, submodule }
  package enum KeyKind: Hashable, Sendable { case openPGP, ssh }
  package enum SignatureFault: Hashable, Sendable {
    case none
    /// Another key, by its fingerprint or number.
    case otherKey(String)
    case expired(String)
    case revoked(String)
    /// The signature is of another content, or damaged.
    case wrong(String)
  }
}
