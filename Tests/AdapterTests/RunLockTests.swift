import Glibc
import LinuxAdapter
import Model
import Ports
import Synchronization
import TestSupport
import Testing

/// The run lock's file, its holder, and other things at the file's path.
@Suite struct RunLockTests {
  private let domain = Sample.uuid(1)

  private func take(_ locks: RunLockFiles, _ domain: DomainUUID) throws -> RunLockAttempt {
    try locks.lock(domain, until: .now, isInterrupted: { false })
  }

  private func held(_ attempt: RunLockAttempt) throws -> any HeldRunLock {
    var lock: (any HeldRunLock)?
    if case .held(let held) = attempt { lock = held }
    return try #require(lock, "\(attempt)")
  }

  @Test func `one run at a time has a lock, and the marks show each taking`() throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    #expect(try locks.marks() == [:])
    let first = try held(try take(locks, domain))
    let mark = try #require(try locks.marks()[domain])
    #expect(mark.isHeld)
    #expect(mark.holder?.process == Int(getpid()))
    #expect(mark.holder?.command?.isEmpty == false)
    #expect(mark.holder?.since != nil)
    #expect(mark.holder?.isStopped == false)
    guard case .busy(let holder?) = try take(locks, domain) else {
      Issue.record("a second run got the lock")
      return
    }
    #expect(holder == mark.holder)
    first.release()
    let free = try #require(try locks.marks()[domain])
    #expect(!free.isHeld && free.holder == nil && free.lastTaking == mark.lastTaking)
    _ = try held(try take(locks, domain))
    #expect(try locks.marks()[domain]?.lastTaking != mark.lastTaking)
  }

  @Test func `domains are locked separately, and a lock ends with its last reference`() throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    var lock: (any HeldRunLock)? = try held(try take(locks, domain))
    _ = try held(try take(locks, Sample.uuid(2)))
    #expect(lock != nil)
    lock = nil
    _ = try held(try take(locks, domain))
  }

  @Test func `a wait for a lock ends when the user stops the program`() throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    let lock = try held(try take(locks, domain))
    defer { lock.release() }
    guard case .interrupted = try locks.lock(domain, until: .now + .seconds(10), isInterrupted: { true }) else {
      Issue.record("the wait went on")
      return
    }
  }

  @Test func `the locks of domains that are gone are removed, if nobody holds them`() throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    let held = try held(try take(locks, domain))
    defer { held.release() }
    _ = try self.held(try take(locks, Sample.uuid(2)))
    _ = try self.held(try take(locks, Sample.uuid(3)))
    locks.sweep(keeping: [Sample.uuid(3)])
    #expect(Set(try locks.marks().keys) == [domain, Sample.uuid(3)])
  }

  @Test func `a file that is not Berth's keeps no other lock from being removed`() throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    let domains = (1...8).map(Sample.uuid)
    for domain in domains.suffix(4) { _ = try held(try take(locks, domain)) }
    for domain in domains.prefix(4) { try folder.makeFolder("run/berth/locks/\(domain).lock") }
    locks.sweep(keeping: [])
    #expect(try locks.marks() == [:])
  }

  @Test func `a look at the locks does not look like a run`() async throws {
    let folder = try TemporaryFolder()
    let domain = self.domain
    let locks = RunLockFiles(root: folder.path)
    _ = try held(try take(locks, domain))
    let isOver = Mutex(false)
    try await concurrently(2) { index in
      if index == 1 {
        while !isOver.withLock({ $0 }) { _ = try locks.marks() }
        return
      }
      defer { isOver.withLock { $0 = true } }
      for _ in 0..<2_000 {
        guard case .held(let lock) = try locks.lock(domain, until: .now, isInterrupted: { false }) else {
          Issue.record("a look was taken for a run")
          return
        }
        lock.release()
      }
    }
  }

  /// What may be at a lock's path in place of a file from Berth.
  enum Impostor: String, CaseIterable {
    case link, danglingLink, folder, pipe

    var words: String {
      switch self {
      case .link, .danglingLink: "is a symbolic link"
      case .folder: "is a folder"
      case .pipe: "is a named pipe"
      }
    }
  }

  @Test(arguments: Impostor.allCases)
  func `a file that is not Berth's lock is not opened, and is reported with its path`(_ impostor: Impostor) throws {
    let folder = try TemporaryFolder()
    let locks = RunLockFiles(root: folder.path)
    let path = "\(folder.path)/run/berth/locks/\(domain).lock"
    _ = try held(try take(locks, Sample.uuid(2)))
    try folder.write("other", "precious")
    let status =
      switch impostor {
      case .link: unsafe symlink("\(folder.path)/other", path)
      case .danglingLink: unsafe symlink("\(folder.path)/nowhere", path)
      case .folder: unsafe mkdir(path, 0o700)
      case .pipe: unsafe mkfifo(path, 0o600)
      }
    try #require(status == 0)
    let error = #expect(throws: HostError.self) { try self.take(locks, self.domain) }
    #expect(error == .record(RecordError(.damaged, operation: "lock", place: path, detail: impostor.words)))
    let damaged = try locks.readMarks().damaged
    #expect(damaged.map(\.path) == [path] && damaged.allSatisfy { $0.concern == .uuid(domain) })
    #expect(try locks.marks()[domain] == nil, "a look is still possible")
    #expect(String(decoding: try folder.read("other"), as: UTF8.self) == "precious")
    #expect(unsafe access("\(folder.path)/nowhere", F_OK) != 0)
  }

  @Test func `a folder of locks that is a link is not followed`() throws {
    let folder = try TemporaryFolder()
    try folder.write("elsewhere/file", "")
    try folder.write("run/berth/file", "")
    try #require(unsafe symlink("\(folder.path)/elsewhere", "\(folder.path)/run/berth/locks") == 0)
    let locks = RunLockFiles(root: folder.path)
    let error = #expect(throws: HostError.self) { try self.take(locks, self.domain) }
    let path = "\(folder.path)/run/berth/locks"
    let cause = RecordError(.damaged, operation: "make-folder", place: path, detail: "is a symbolic link")
    #expect(error == .record(cause))
    #expect(try locks.readMarks().damaged.map(\.concern) == [.everything])
  }

  @Test func `a lock that cannot be created is reported with its path`() throws {
    let folder = try TemporaryFolder()
    try folder.write("run/berth", "a file where a folder belongs")
    let locks = RunLockFiles(root: folder.path)
    let cause = RecordError(
      .other, operation: "make-folder", place: "\(folder.path)/run/berth/locks", errno: ENOTDIR)
    #expect(throws: HostError.record(cause)) { try self.take(locks, self.domain) }
  }

  @Test(.enabled(if: geteuid() != 0)) func `a lock that may not be created is reported as not permitted`() throws {
    let folder = try TemporaryFolder()
    try folder.write("run/file", "")
    try #require(unsafe chmod("\(folder.path)/run", 0o500) == 0)
    defer { _ = unsafe chmod("\(folder.path)/run", 0o700) }
    let cause = RecordError(
      .notPermitted, operation: "make-folder", place: "\(folder.path)/run/berth/locks", errno: EACCES)
    #expect(throws: HostError.record(cause)) { try self.take(RunLockFiles(root: folder.path), self.domain) }
  }
}
