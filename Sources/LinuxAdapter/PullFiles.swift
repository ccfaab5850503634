import FoundationEssentials
import Glibc
import Model
package import Ports

/// What a host keeps of its pulls: the record of the accepted commit, a lock, and what git has fetched.
///
/// The record alone is trusted. What was fetched is kept only to fetch less the next time.
package struct PullFiles: PullPort {
  private let folder: String
  private let programs: [String]
  private let mostPackBytes: UInt64

  /// `root` is `/`, or the folder that replaces it for a sandbox. Tests name other folders of programs, and a smaller
  /// bound of what may be fetched.
  package init(root: String, programs: [String]? = nil, mostPackBytes: UInt64 = 1 << 30) {
    folder = Root(root).pulls
    self.programs = programs ?? Root.systemPrograms
    self.mostPackBytes = mostPackBytes
  }

  package func begin() throws(HostError) -> any OpenPull {
    // Whoever started this program may have let it ignore how its processes end.
    _ = signal(SIGCHLD, SIG_DFL)
    do throws(SystemFailure) { try CheckedFile.makeFolder(folder) } catch { throw .record(RecordError(error, folder)) }
    let lock = try takeLock()
    sweepFolder(folder)
    return OpenPullFiles(
      folder: folder, lock: lock, programs: GitPrograms(folders: programs, mostFileBytes: mostPackBytes))
  }

  private func takeLock() throws(HostError) -> Descriptor {
    let path = folder + "/lock"
    let holder: LockHolder?
    do throws(SystemFailure) {
      let lock = try CheckedFile.open(path, O_RDWR | O_CREAT, mode: 0o600, madeBy: .berth, during: "lock")
      if try lock.lock(LOCK_EX) { return lock }
      holder = LockTable.holder(of: lock)
    } catch { throw .record(RecordError(error, path)) }
    throw .record(RecordError(.busy, operation: "lock", place: path, errno: EWOULDBLOCK, holder: holder))
  }
}

/// A pull that holds the lock.
private final class OpenPullFiles: OpenPull {
  /// The layout that this release of Berth writes.
  private static let version = 1
  private static let longestRecord = 64 << 10

  private let folder: String
  private let lock: Descriptor
  private let repository: GitRepository

  private struct Document: Codable {
    var version: Int
    var url: RepositoryURL
    var branch: BranchName
    var commit: CommitID
  }

  init(folder: String, lock: consuming Descriptor, programs: GitPrograms) {
    self.folder = folder
    self.lock = lock
    repository = GitRepository(folder: folder, programs: programs)
  }

  deinit { end() }

  private var path: String { folder + "/accepted.json" }

  func accepted() throws(HostError) -> AcceptedCommit? {
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try CheckedFile.read(path, atMost: Self.longestRecord) } catch {
      if error.errno == ENOENT { return nil }
      throw .record(RecordError(error, path))
    }
    do throws(RecordError) {
      let document: Document = try decodeRecord(bytes, version: Self.version, path)
      return AcceptedCommit(url: document.url, branch: document.branch, commit: document.commit)
    } catch { throw .record(error) }
  }

  func accept(_ commit: AcceptedCommit) throws(HostError) {
    let document = Document(version: Self.version, url: commit.url, branch: commit.branch, commit: commit.commit)
    do throws(SystemFailure) {
      _ = try replaceFile(path, with: encodeRecord(document))
      try synchroniseFolder(folder)
    } catch { throw .record(RecordError(error, path)) }
  }

  func fetch(
    _ url: RepositoryURL, _ branch: BranchName, within time: Duration
  ) throws(RepositoryFault) -> CommitID {
    try repository.fetch(url, branch, within: time)
  }

  func isAncestor(_ commit: CommitID, of tip: CommitID) throws(RepositoryFault) -> Bool {
    try repository.isAncestor(commit, of: tip)
  }

  func subject(of commit: CommitID) throws(RepositoryFault) -> String { try repository.subject(of: commit) }

  func signer(of commit: CommitID, among keys: SigningKeys) throws(RepositoryFault) -> CommitSigner {
    try GitSignatures(repository).signer(of: commit, among: keys)
  }

  func entries(of commit: CommitID, in folder: RepositoryFolder) throws(RepositoryFault) -> [RepositoryEntry] {
    try repository.entries(of: commit, in: folder)
  }

  func contents(of files: [RepositoryEntry]) throws(RepositoryFault) -> [[UInt8]] {
    try repository.contents(of: files)
  }

  func end() {
    repository.removeScratch()
    lock.unlock()
  }
}
