import Glibc
import LinuxAdapter
import Model
import Ports
import Synchronization
import TestSupport
import Testing

@Suite struct UserdataTests {
  private let folder: TemporaryFolder
  private let files: UserdataFiles
  private let domain: DomainKey
  private let base: String

  init() throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("var/lib/xen")
    files = UserdataFiles(root: folder.path)
    let uuid = try #require(DomainUUID("c8c08d9c-e6a9-11f1-9257-71012c31cfaf"))
    domain = DomainKey(id: DomainID(7), uuid: uuid)
    base = "7.c8c08d9c-e6a9-11f1-9257-71012c31cfaf"
  }

  private var lockPath: String { "\(folder.path)/var/lib/xen/userdata-l.\(base).domain-userdata-lock" }
  private var soon: ContinuousClock.Instant { .now + .seconds(30) }

  // MARK: Listing locks

  @Test func `locks are listed with their holders, and listing takes no lock`() throws {
    #expect(try files.locks() == [])
    try folder.write("var/lib/xen/userdata-l.\(base).qmp-socket-lock", "")
    // Neither of these is a lock.
    try folder.write("var/lib/xen/userdata-d.\(base).libxl-json", "{}\n\0")
    try folder.write("var/lib/xen/userdata-l.x.domain-userdata-lock", "")
    try files.withLock(of: domain, until: soon) { (_) throws(HostError) in
      let locks = try files.locks()
      #expect(locks.map(\.name) == ["domain-userdata-lock", "qmp-socket-lock"])
      #expect(locks.map(\.isHeld) == [true, false])
      #expect(locks.first?.path == lockPath)
      #expect(locks.first?.holder?.stranger == nil)
      #expect(locks.allSatisfy { $0.domain == domain && $0.since > 1_600_000_000 })
      #expect(locks.first?.holder?.process == Int(getpid()), "\(locks)")
    }
    let after = try files.locks()
    #expect(after.map(\.name) == ["qmp-socket-lock"])
    #expect(try UserdataFiles(root: folder.path + "/none").locks() == [])
  }

  // MARK: Files

  @Test func `the configuration is read and replaced as libxl does`() throws {
    #expect(try files.savedConfiguration(of: domain) == nil)
    try files.withLock(of: domain, until: soon) { (locked) throws(HostError) in
      let before = try locked.savedConfiguration()
      #expect(before == nil)
      try locked.replaceSavedConfiguration(Array("{}\n\0".utf8))
      let after = try locked.savedConfiguration()
      #expect(after == Array("{}\n\0".utf8))
    }
    #expect(try files.savedConfiguration(of: domain) == Array("{}\n\0".utf8))
    // Neither the lock's file nor the new file remains.
    #expect(try folder.names(in: "var/lib/xen") == ["userdata-d.\(base).libxl-json"])
    var status = stat()
    #expect(unsafe stat("\(folder.path)/var/lib/xen/userdata-d.\(base).libxl-json", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o600)
  }

  @Test func `bytes that libxl could not read are never written`() throws {
    #expect(throws: HostError.self) {
      try files.withLock(of: domain, until: soon) { (locked) throws(HostError) in
        try locked.replaceSavedConfiguration(Array("{}".utf8))
      }
    }
    #expect(try folder.names(in: "var/lib/xen") == [])
  }

  @Test func `an empty file is distinguished from a missing one`() throws {
    let name = "var/lib/xen/userdata-d.\(base).libxl-json"
    try folder.write(name, "")
    #expect(throws: HostError.userdata(UserdataError(.empty, operation: "read", place: "\(folder.path)/\(name)"))) {
      try files.savedConfiguration(of: domain)
    }
  }

  @Test func `a missing folder is named`() throws {
    let files = UserdataFiles(root: folder.path + "/elsewhere/")
    do throws(HostError) {
      try files.withLock(of: domain, until: soon) { _ in }
      Issue.record("it was locked")
    } catch {
      guard case .userdata(let error) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(error.code == .missing)
      #expect(error.place?.hasPrefix(folder.path + "/elsewhere/var/lib/xen/userdata-l.7.") == true)
    }
  }

  // MARK: Lock

  @Test func `the lock is released even if its body fails`() throws {
    let failure = HostError.hypervisor(HypervisorError(.busy, operation: "test"))
    for _ in 0..<2 {
      #expect(throws: failure) {
        try files.withLock(of: domain, until: .now) { (_) throws(HostError) in throw failure }
      }
    }
    #expect(try folder.names(in: "var/lib/xen") == [])
  }

  @Test func `no increment is lost among threads and processes that use libxl's protocol`() async throws {
    try folder.write("counter", "0")
    let files = self.files
    let (domain, path, counter) = (self.domain, lockPath, folder.path + "/counter")
    try await concurrently(100) { index in
      for _ in 0..<3 {
        if index % 4 == 0 {
          // A toolstack that sleeps in flock, as libxl does.
          let number = try sleepForLock(path)
          try increment(counter)
          _ = unsafe unlink(path)
          close(number)
        } else {
          try files.withLock(of: domain, until: .now + .seconds(60)) { (_) throws(HostError) in
            do { try increment(counter) } catch { Issue.record(error) }
          }
        }
      }
    }
    #expect(String(decoding: try folder.read("counter"), as: UTF8.self) == "300")
    #expect(try folder.names(in: "var/lib/xen") == [])
  }

  @Test func `a lock held by another is busy at the deadline, and its holder named`() async throws {
    let (files, domain, path) = (self.files, self.domain, lockPath)
    try await concurrently(1) { _ in
      let holder = try Command("flock", [path, "sh", "-c", "echo locked; exec sleep 600"]).start()
      #expect(holder.collect(until: .now + .seconds(30)) { $0.output.contains("locked") })
      let begin = ContinuousClock.now
      do throws(HostError) {
        try files.withLock(of: domain, until: begin + .milliseconds(80)) { (_) throws(HostError) -> Void in
          Issue.record("it was locked twice")
        }
      } catch {
        guard case .userdata(let error) = error else {
          Issue.record("\(error)")
          return
        }
        #expect(error.code == .busy)
        #expect(error.place == path)
        #expect(error.holder?.description.hasPrefix("\(holder.pid) (flock \(path) sh -c") == true, "\(error)")
      }
      #expect(ContinuousClock.now - begin >= .milliseconds(80))
      holder.end(SIGKILL)
      try files.withLock(of: domain, until: .now + .seconds(30)) { (_) throws(HostError) in }
    }
  }

  @Test func `one of two domains is locked at a time, and the other waits until a deadline`() async throws {
    let (files, domain) = (self.files, self.domain)
    let other = DomainKey(id: DomainID(domain.id.rawValue + 1), uuid: domain.uuid)
    let state = Mutex((isHeld: false, isOver: false))
    try await concurrently(2) { index in
      if index == 0 {
        try files.withLock(of: domain, until: .now + .seconds(30)) { (_) throws(HostError) in
          state.withLock { $0.isHeld = true }
          while !state.withLock({ $0.isOver }) { sched_yield() }
        }
        return
      }
      while !state.withLock({ $0.isHeld }) { sched_yield() }
      do throws(HostError) {
        try files.withLock(of: other, until: .now + .milliseconds(20)) { (_) throws(HostError) -> Void in
          Issue.record("two domains are locked at once")
        }
      } catch {
        guard case .userdata(let error) = error else { Issue.record("\(error)"); return }
        #expect(error.code == .busy)
      }
      state.withLock { $0.isOver = true }
      try files.withLock(of: other, until: .now + .seconds(30)) { (_) throws(HostError) in }
    }
  }

  @Test func `a lock that is not waited for is taken after another worker's`() async throws {
    let (files, domain, folder) = (self.files, self.domain, self.folder)
    try folder.link("proc", to: "/proc")
    let state = Mutex((isHeld: false, isOver: false, asking: String?.none))
    try await concurrently(2) { index in
      defer { state.withLock { $0.isOver = true } }
      guard index == 0 else {
        while !state.withLock({ $0.isHeld || $0.isOver }) { sched_yield() }
        let thread = linkTarget("/proc/thread-self")
        state.withLock { $0.asking = thread }
        return try files.withLock(of: domain, until: .now) { (_) throws(HostError) in }
      }
      let other = DomainKey(id: DomainID(domain.id.rawValue + 1), uuid: domain.uuid)
      try files.withLock(of: other, until: .now + .seconds(30)) { (_) throws(HostError) in
        state.withLock { $0.isHeld = true }
        // The lock is released when the other worker sleeps, or has given up.
        while !state.withLock({ $0.isOver || $0.asking.map { folder.isAsleep(thread: $0) } == true }) { sched_yield() }
      }
    }
  }

  @Test func `a toolstack that sleeps on the lock is seen, but another Berth is not`() async throws {
    let (files, domain, path) = (self.files, self.domain, lockPath)
    let others = UserdataFiles(root: folder.path)
    let isContending = Mutex(false)
    try await concurrently(2) { index in
      if index == 1 {
        while !isContending.withLock({ $0 }) { sched_yield() }
        // Another process would have its own files. This process requests only one of its own locks at a time.
        return try others.withLock(of: domain, until: .now + .seconds(60)) { (_) throws(HostError) in }
      }
      var waiter: RunningProcess?
      try files.withLock(of: domain, until: .now + .seconds(30)) { (locked) throws(HostError) in
        isContending.withLock { $0 = true }
        for _ in 0..<200 where locked.hasWaiter() { Issue.record("another Berth is taken for a toolstack") }
        do { waiter = try Command("flock", [path, "true"]).start() } catch { Issue.record(error) }
        let deadline = ContinuousClock.now + .seconds(30)
        while !locked.hasWaiter(), ContinuousClock.now < deadline { sched_yield() }
        let isSeen = locked.hasWaiter()
        #expect(isSeen)
      }
      #expect(waiter?.waitForExit() == 0)
    }
  }
}

/// Other users of the machine, who can open a lock file that libxl itself made.
@Suite struct ForeignLockTests {
  private let folder: TemporaryFolder
  private let files: UserdataFiles
  private let domain = DomainKey(id: DomainID(7), uuid: Sample.uuid(7))

  init() throws {
    folder = try TemporaryFolder()
    try folder.makeFolder("var/lib/xen")
    files = UserdataFiles(root: folder.path)
  }

  private var path: String { "\(folder.path)/var/lib/xen/userdata-l.7.\(domain.uuid).domain-userdata-lock" }

  /// Makes the file as libxl does: everybody can read it. Everybody can reach it, too, as below /var/lib/xen.
  private func makeAsLibxl() throws {
    try folder.write("var/lib/xen/userdata-l.7.\(domain.uuid).domain-userdata-lock", "")
    try #require(unsafe chmod(folder.path, 0o755) == 0 && chmod(path, 0o644) == 0)
  }

  private func asNobody(_ words: String...) -> Command {
    Command("setpriv", ["--reuid", "65534", "--regid", "65534", "--clear-groups"] + words)
  }

  @Test func `only the user of a toolstack can open a lock file that Berth made`() throws {
    try files.withLock(of: domain, until: .now + .seconds(30)) { (_) throws(HostError) in
      var found = stat()
      #expect(unsafe stat(path, &found) == 0 && found.st_mode & 0o7777 == 0o600)
    }
  }

  @Test(arguments: [S_IFIFO, S_IFLNK, S_IFDIR])
  func `what is no file is not locked`(_ kind: mode_t) throws {
    let target = "\(folder.path)/target"
    let status =
      unsafe kind == S_IFIFO ? mkfifo(path, 0o600) : kind == S_IFLNK ? symlink(target, path) : mkdir(path, 0o700)
    try #require(status == 0)
    do throws(HostError) {
      try files.withLock(of: domain, until: .now) { (_) throws(HostError) -> Void in
        Issue.record("it was locked")
      }
    } catch {
      guard case .userdata(let cause) = error else { Issue.record("\(error)"); return }
      #expect(cause.place == path && cause.detail?.hasPrefix("is a ") == true, "\(cause)")
    }
    #expect(unsafe access(target, F_OK) != 0)
  }

  @Test(.enabled(if: geteuid() == 0))
  func `a holder that is none of a toolstack's users is named with its user`() async throws {
    try makeAsLibxl()
    let (files, domain, command) = (self.files, self.domain, asNobody("flock", path, "sh", "-c", "echo on; sleep 600"))
    try await concurrently(1) { _ in
      let holder = try command.start()
      #expect(holder.collect(until: .now + .seconds(30)) { $0.output.contains("on") })
      do throws(HostError) {
        try files.withLock(of: domain, until: .now) { (_) throws(HostError) -> Void in
          Issue.record("it was locked twice")
        }
      } catch {
        guard case .userdata(let cause) = error else { Issue.record("\(error)"); return }
        #expect(cause.code == .busy && cause.holder?.process == Int(holder.pid))
        #expect(cause.holder?.stranger == "nobody (65534)", "\(cause)")
      }
      #expect(try files.locks().first?.holder?.stranger == "nobody (65534)")
      holder.end(SIGKILL)
    }
  }

  @Test(.enabled(if: geteuid() == 0))
  func `a process of another user that sleeps on the lock is no toolstack`() async throws {
    try makeAsLibxl()
    try folder.link("proc", to: "/proc")
    let (files, domain, folder) = (self.files, self.domain, self.folder)
    let commands = [asNobody("flock", path, "true"), Command("flock", [path, "true"])]
    try await concurrently(1) { _ in
      for (number, command) in commands.enumerated() {
        var waiter: RunningProcess?
        try files.withLock(of: domain, until: .now + .seconds(30)) { (locked) throws(HostError) in
          // The file of the first round is the one that libxl made. Then Berth makes it, and only root can open it.
          do {
            let sleeper = try command.start()
            waiter = sleeper
            let deadline = ContinuousClock.now + .seconds(30)
            while !folder.waitsForLock(sleeper.pid), ContinuousClock.now < deadline { sched_yield() }
            #expect(folder.waitsForLock(sleeper.pid))
          } catch { Issue.record(error) }
          let isSeen = locked.hasWaiter()
          #expect(isSeen == (number == 1))
        }
        #expect(waiter?.waitForExit() == 0)
      }
    }
  }
}

extension TemporaryFolder {
  /// Returns whether the kernel's table shows that a process sleeps in flock. `proc` in the folder must be a link to
  /// /proc.
  fileprivate func waitsForLock(_ process: Int32) -> Bool {
    do {
      return String(decoding: try read("proc/locks"), as: UTF8.self).split(separator: "\n").contains {
        $0.contains("->") && $0.contains(" \(process) ")
      }
    } catch { return false }
  }
}

/// Takes a lock as libxl does (`libxl__lock_file`), by sleeping in flock.
private func sleepForLock(_ path: String) throws -> Int32 {
  while true {
    let number = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard number >= 0, flock(number, LOCK_EX) == 0 else {
      throw HostError.userdata(UserdataError(.other, operation: "test", place: path))
    }
    var (mine, named) = (stat(), stat())
    if unsafe fstat(number, &mine) == 0, unsafe stat(path, &named) == 0, mine.st_ino == named.st_ino { return number }
    close(number)
  }
}

/// Adds one to the number in a file, in two steps that only a lock makes atomic.
private func increment(_ path: String) throws {
  let number = unsafe open(path, O_RDWR | O_CLOEXEC)
  defer { close(number) }
  var buffer = [UInt8](repeating: 0, count: 32)
  let count = unsafe read(number, &buffer, buffer.count)
  guard count > 0, let value = Int(String(decoding: buffer[..<count], as: UTF8.self)) else {
    throw HostError.userdata(UserdataError(.other, operation: "test", place: path))
  }
  sched_yield()
  let text = Array(String(value + 1).utf8)
  guard unsafe pwrite(number, text, text.count, 0) == text.count else {
    throw HostError.userdata(UserdataError(.other, operation: "test", place: path, errno: errno))
  }
}

extension TemporaryFolder {
  /// Returns whether a thread, given as below /proc, sleeps; false if it has ended. `proc` in the folder must be a link
  /// to /proc.
  fileprivate func isAsleep(thread: String) -> Bool {
    do {
      // The state follows the name, which is in parentheses (proc(5)).
      let fields = String(decoding: try read("proc/\(thread)/stat"), as: UTF8.self).split(separator: ")")
      return fields.last?.hasPrefix(" S") == true
    } catch {
      return false
    }
  }
}

/// Returns the target of a symbolic link; empty if it cannot be read.
private func linkTarget(_ path: String) -> String {
  var bytes = [CChar](repeating: 0, count: 256)
  let count = unsafe readlink(path, &bytes, bytes.count)
  return String(decoding: bytes.prefix(max(count, 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
}
