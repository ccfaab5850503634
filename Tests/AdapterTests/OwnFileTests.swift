import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

/// What may be in the place of a file of Berth's own: nothing of it is followed, waited for, or trusted.
@Suite struct OwnFileTests {
  /// Something that is no record, and no intent.
  enum Impostor: String, CaseIterable {
    case link, folder, pipe, socket, huge, writable, stranger

    /// What is said of it.
    var words: String {
      switch self {
      case .link: "is a symbolic link"
      case .folder: "is a folder"
      case .pipe: "is a named pipe"
      case .socket: "is a socket"
      case .huge: "has more than 1048576 bytes"
      case .writable: "can be changed by other users (mode 666)"
      case .stranger: "belongs to user nobody (65534)"
      }
    }

    /// Those that the user of the tests can make: only root gives files away.
    static var possible: [Impostor] { allCases.filter { $0 != .stranger || geteuid() == 0 } }

    func make(_ name: String, in folder: TemporaryFolder) throws {
      let path = "\(folder.path)/\(name)"
      if self != .folder { try folder.write(name, "{}") }
      var status: Int32 = 0
      switch self {
      case .link: status = unsafe rename(path, path + ".target") | symlink(path + ".target", path)
      case .folder: try folder.makeFolder(name)
      case .pipe: status = unsafe unlink(path) | mkfifo(path, 0o600)
      case .socket: status = unsafe unlink(path) | mknod(path, S_IFSOCK | 0o600, 0)
      case .huge: status = unsafe truncate(path, 1 << 40)
      case .writable: status = unsafe chmod(path, 0o666)
      case .stranger: status = unsafe chown(path, 65534, 65534)
      }
      try #require(status == 0, "\(self): \(errno)")
    }
  }

  private let folder: TemporaryFolder
  private let records: OwnershipFiles
  private let intents: IntentFiles
  private let key = DomainKey(id: DomainID(7), uuid: Sample.uuid(7))
  private let other = DomainKey(id: DomainID(8), uuid: Sample.uuid(8))
  private let owned = "var/lib/berth/domains"
  private let intended = "run/berth/intents"

  init() throws {
    folder = try TemporaryFolder()
    records = OwnershipFiles(root: folder.path)
    intents = IntentFiles(root: folder.path)
  }

  private func put(_ uuid: DomainUUID) throws {
    try records.update(uuid) { $0 = OwnershipRecord(uuid: uuid, name: "web", devices: [Sample.address(1)]) }
  }

  private func intent(_ domain: DomainKey, _ identifier: String) -> Intent {
    Intent(identifier: identifier, domain: domain, operation: .attach, devices: [Sample.address(1)])
  }

  // MARK: Other things than files

  @Test(arguments: Impostor.possible)
  func `what is no record is reported, and the other records are read`(_ impostor: Impostor) throws {
    try put(other.uuid)
    let name = "\(owned)/\(key.uuid).json"
    try impostor.make(name, in: folder)
    let cause = RecordError(.damaged, operation: "read", place: "\(folder.path)/\(name)", detail: impostor.words)
    let found = try records.readRecords()
    #expect(found.contents.map(\.uuid) == [other.uuid])
    #expect(found.damaged == [DamagedFile(.record, .uuid(key.uuid), cause)])
    #expect(throws: HostError.record(cause)) { try records.record(of: key.uuid) }
    #expect(throws: HostError.record(cause)) { try records.update(key.uuid) { $0 = nil } }
    #expect(try records.record(of: other.uuid) != nil)
  }

  @Test(arguments: Impostor.possible)
  func `what is no intent is reported, and the other intents are read`(_ impostor: Impostor) throws {
    let open = try intents.open(intent(other, IntentName.make(for: other, .attach)))
    let name = "\(intended)/\(IntentName.make(for: key, .detach)).json"
    try impostor.make(name, in: folder)
    let cause = RecordError(.damaged, operation: "read", place: "\(folder.path)/\(name)", detail: impostor.words)
    let found = try intents.readIntents()
    #expect(found.contents.map(\.domain) == [other])
    #expect(found.damaged == [DamagedFile(.intent, .domain(key), cause)])
    #expect(throws: HostError.record(cause)) { try found.contents(for: key) }
    #expect(try found.contents(for: other).count == 1)
    try open.close()
  }

  @Test func `the name of an intent's file shows whom its damage concerns`() throws {
    let later = DomainKey(id: DomainID(9), uuid: key.uuid)
    let names = [
      IntentName.make(for: key, .attach): [key], "8-detach-5f": [other],
      "7-\(Sample.uuid(7))-attach": [key, other, later],
      "a": [key, other, later],
    ]
    for (name, concerned) in names {
      try folder.write("\(intended)/\(name).json", "{")
      let damaged = try #require(try intents.readIntents().damaged.first)
      #expect([key, other, later].filter(damaged.concerns) == concerned, "\(name)")
      try #require(unsafe unlink("\(folder.path)/\(intended)/\(name).json") == 0)
    }
  }

  @Test func `an intent that is about another domain than its name is damaged`() throws {
    try intents.open(intent(key, IntentName.make(for: other, .attach))).leave()
    let found = try intents.readIntents()
    #expect(found.contents == [] && found.damaged.map(\.concern) == [.domain(other)])
  }

  @Test(arguments: [Impostor.link, .pipe, .writable])
  func `a folder that is none of Berth's concerns every domain`(_ impostor: Impostor) throws {
    for name in [owned, intended] {
      try folder.makeFolder("elsewhere")
      try folder.makeFolder(name)
      let path = "\(folder.path)/\(name)"
      switch impostor {
      case .link: try #require(unsafe rmdir(path) | symlink("\(folder.path)/elsewhere", path) == 0)
      case .pipe: try #require(unsafe rmdir(path) | mkfifo(path, 0o600) == 0)
      default: try #require(unsafe chmod(path, 0o777) == 0)
      }
    }
    let damaged = try records.readRecords().damaged + intents.readIntents().damaged
    #expect(damaged.map(\.concern) == [.everything, .everything])
    #expect(throws: HostError.self) { try put(key.uuid) }
    #expect(throws: HostError.self) { try intents.open(intent(key, "7-attach-1")) }
    #expect(try folder.names(in: "elsewhere") == [])
  }

  @Test func `a file of which Berth writes none concerns nobody`() throws {
    try put(key.uuid)
    try folder.write("\(owned)/notes.json", "{}")
    let found = try records.readRecords()
    #expect(found.contents.map(\.uuid) == [key.uuid] && found.damaged.map(\.concern) == [.nothing])
  }

  @Test func `a pipe in the place of a lock or of an unfinished file stops no change and no sweep`() throws {
    try put(key.uuid)
    let names = ["\(owned)/.\(key.uuid).json.4711.5", "\(owned)/\(other.uuid).lock", "\(owned)/\(key.uuid).lock"]
    for name in names { try #require(unsafe mkfifo("\(folder.path)/\(name)", 0o600) == 0) }
    records.sweep()
    #expect(try folder.names(in: owned).count == 4, "what is none of Berth's stays")
    let error = #expect(throws: HostError.self) { try records.update(key.uuid) { $0?.name = "new" } }
    let path = "\(folder.path)/\(names[2])"
    #expect(error == .record(RecordError(.damaged, operation: "open", place: path, detail: "is a named pipe")))
  }

  // MARK: Numbers and nesting

  @Test(arguments: [
    #""version": 0"#, #""version": -9223372036854775808"#, #""version": 1e99"#, #""version": 1, "goneSince": 1e99"#,
    #""version": 1, "goneSince": 9223372036854775808"#,
    #""version": 1, "grants": [{"device": "0000:03:00.0", "domain": 4294967296}]"#,
    #""version": 1, "grants": [{"device": "0000:03:00.0", "domain": -1}]"#,
    #""version": 1, "grants": [{"device": "0000:03:00.0", "domain": 7, "resources": ["ports 0x0-0x10000"]}]"#,
    #""version": 1, "grants": [{"device": "0000:03:00.0", "domain": 7, "resources": [], "interrupt": -1}]"#,
    #""version": 1, "exports": [{"device": "0000:03:00.0", "domain": 7, "slot": 256}]"#,
  ])
  func `a number that Berth never writes damages the record`(_ keys: String) throws {
    let text = #"{"uuid": "\#(key.uuid)", "name": "a", "devices": [], \#(keys)}"#
    try folder.write("\(owned)/\(key.uuid).json", text)
    #expect(try records.readRecords().damaged.map(\.error.code) == [.damaged])
  }

  @Test func `values that are nested without end damage the record`() throws {
    let text = #"{"version": 1, "uuid": "\#(key.uuid)", "name": "a", "devices": []"#
    try folder.write("\(owned)/\(key.uuid).json", text + ", \"more\": " + String(repeating: "[", count: 200_000))
    #expect(try records.readRecords().damaged.map(\.error.code) == [.damaged])
  }

  @Test(arguments: [Int64.min, .max]) func `a moment may be any number`(_ moment: Int64) throws {
    var record = OwnershipRecord(uuid: key.uuid, name: "web", devices: [])
    record.goneSince = moment
    try records.update(key.uuid) { [record] in $0 = record }
    #expect(try records.readRecords().contents.map(\.goneSince) == [moment])
    #expect(RunHolder(process: 1, since: moment).description.hasSuffix(" UTC"))
  }

  // MARK: Modes, and a busy lock

  @Test func `folders, files and locks are for their user alone`() throws {
    try put(key.uuid)
    let open = try intents.open(intent(key, "7-attach-1"))
    // A lock that others can open is closed to them.
    try folder.write("run/berth/locks/\(key.uuid).lock", "")
    try #require(unsafe chmod("\(folder.path)/run/berth/locks", 0o700) == 0)
    let attempt = try RunLockFiles(root: folder.path).lock(key.uuid, until: .now, isInterrupted: { false })
    let modes = [
      (owned, 0o700), (intended, 0o700), ("run/berth/locks", 0o700), ("\(owned)/\(key.uuid).json", 0o600),
      ("\(intended)/7-attach-1.json", 0o600), ("run/berth/locks/\(key.uuid).lock", 0o600),
    ]
    for (name, mode) in modes {
      var found = stat()
      try #require(unsafe stat("\(folder.path)/\(name)", &found) == 0, "\(name)")
      #expect(Int(found.st_mode) & 0o7777 == mode, "\(name)")
    }
    if case .held(let lock) = attempt { lock.release() }
    try open.close()
  }

  @Test func `a change waits for the record's lock as long as it may, and names the holder`() throws {
    try put(key.uuid)
    let files = OwnershipFiles(root: folder.path, lockTimeout: .milliseconds(50))
    let path = "\(folder.path)/\(owned)/\(key.uuid).lock"
    let holder = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    defer { close(holder) }
    try #require(flock(holder, LOCK_EX | LOCK_NB) == 0)
    let begin = ContinuousClock.now
    let error = #expect(throws: HostError.self) { try files.update(key.uuid) { $0?.name = "new" } }
    guard case .record(let cause) = error else { Issue.record("\(error as Any)"); return }
    #expect(cause.code == .busy && cause.place == path && cause.holder?.process == Int(getpid()))
    #expect(ContinuousClock.now - begin >= .milliseconds(50))
  }
}

extension OpenIntent {
  /// Leaves the intent's file behind, as a killed process does.
  fileprivate func leave() {}
}
