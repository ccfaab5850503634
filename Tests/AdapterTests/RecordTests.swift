import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

@Suite struct OwnershipTests {
  private let folder: TemporaryFolder
  private let files: OwnershipFiles
  private let first: DomainUUID
  private let second: DomainUUID
  private let place = "var/lib/berth/domains"

  init() throws {
    folder = try TemporaryFolder()
    files = OwnershipFiles(root: folder.path, lockTimeout: .seconds(600))
    first = try #require(DomainUUID("10000000-0000-0000-0000-000000000001"))
    second = try #require(DomainUUID("20000000-0000-0000-0000-000000000002"))
  }

  private func record(_ uuid: DomainUUID, _ devices: [String] = []) -> OwnershipRecord {
    OwnershipRecord(uuid: uuid, name: "web/1", devices: devices.compactMap { PCIAddress($0) })
  }

  @Test func `records are created, changed and removed`() throws {
    #expect(try files.records() == [])
    try files.update(second) { $0 = record(second, ["0000:03:00.0"]) }
    try files.update(first) { $0 = record(first) }
    #expect(try files.records() == [record(first), record(second, ["0000:03:00.0"])])
    try files.update(second) { $0?.goneSince = 1_234_567_890_123 }
    #expect(try files.records().last?.goneSince == 1_234_567_890_123)
    try files.update(first) { $0 = nil }
    #expect(try files.records().map(\.uuid) == [second])
    // Neither a lock nor a temporary file remains.
    #expect(try folder.names(in: place) == ["\(second).json"])
  }

  @Test func `the file is stable and readable for people`() throws {
    try files.update(first) { $0 = record(first, ["0000:03:00.0"]) }
    let text = String(decoding: try folder.read("\(place)/\(first).json"), as: UTF8.self)
    #expect(
      text == """
        {
          "devices" : [
            "0000:03:00.0"
          ],
          "name" : "web/1",
          "uuid" : "10000000-0000-0000-0000-000000000001",
          "version" : 1
        }

        """)
  }

  @Test func `answers of qemu-traditional are kept, and a file without them is readable`() throws {
    let device = try #require(PCIAddress("0000:03:00.0"))
    var with = record(first, ["0000:03:00.0"])
    with.emulations = [EmulationRecord(device: device, domain: DomainID(7), fate: .shown, place: 0x20)]
    try files.update(first) { [with] in $0 = with }
    #expect(try files.records() == [with])
    try files.update(first) { $0?.emulations = [] }
    #expect(try !folder.read("\(place)/\(first).json").contains(Array("emulations".utf8)))
    #expect(try files.records() == [record(first, ["0000:03:00.0"])])
  }

  @Test func `what a domain was granted is kept, and a file without it is readable`() throws {
    let device = try #require(PCIAddress("0000:03:00.0"))
    let grants = DeviceGrants(
      resources: [
        DeviceResource(space: .memory, range: 0xA100_0000...0xFFFF_FFFF_FFFF_FFFF),
        DeviceResource(space: .ports, range: 0xE000...0xE01F),
      ], interrupt: 17)
    let identity = DeviceIdentity(
      id: DeviceID(vendor: 0x8086, device: 0x1533), subsystem: DeviceID(vendor: 0x1AF4, device: 1),
      serial: "a0-36-9f-ff-ff-12-34-56")
    var with = record(first)
    with.grants = [
      GrantRecord(
        device: device, domain: DomainID(7), identity: identity, grants: grants,
        options: DeviceOptions(permissive: true, rdmPolicy: .relaxed, virtualSlot: 5)),
      GrantRecord(device: device, domain: DomainID(7), identity: nil, grants: nil),
    ]
    try files.update(first) { [with] in $0 = with }
    #expect(try files.records() == [with])
    let text = String(decoding: try folder.read("\(place)/\(first).json"), as: UTF8.self)
    #expect(text.contains("\"memory 0xa1000000-0xffffffffffffffff\"") && text.contains("\"permissive\" : true"))
    try files.update(first) { $0?.grants = [] }
    #expect(try files.records() == [record(first)])
  }

  @Test(arguments: ["memory 0x2-0x1", "memory 0x1", "rom 0x0-0x1", "memory 0x1-0x2 ", "memory 1-2", ""])
  func `a range that is none damages the record`(range: String) throws {
    try folder.write(
      "\(place)/\(first).json",
      """
      {"version": 1, "uuid": "\(first)", "name": "web", "devices": [],
       "grants": [{"device": "0000:03:00.0", "domain": 3, "resources": ["\(range)"]}]}
      """)
    let failure = RecordError(.damaged, operation: "read", place: "\(folder.path)/\(place)/\(first).json")
    #expect(throws: HostError.record(failure)) { try files.records() }
  }

  @Test func `nothing is written if nothing changed`() throws {
    try files.update(first) { _ in }
    #expect(throws: (any Error).self) { try folder.names(in: "var") }
    try files.update(first) { $0 = record(first) }
    let before = try inode()
    try files.update(first) { $0 = record(first) }
    #expect(try inode() == before)
    try files.update(first) { $0?.name = "other" }
    #expect(try inode() != before)
  }

  private func inode() throws -> ino_t {
    var status = stat()
    try #require(unsafe stat("\(folder.path)/\(place)/\(first).json", &status) == 0)
    return status.st_ino
  }

  @Test func `simultaneous changes are all kept`() async throws {
    let (files, first, empty) = (self.files, self.first, record(self.first))
    try await concurrently(24) { index in
      guard let device = PCIAddress(sbdf: UInt32(index)) as PCIAddress? else { return }
      try files.update(first) { record in
        if record == nil { record = empty }
        record?.devices.append(device)
      }
    }
    #expect(try files.records().first?.devices.map(\.sbdf).sorted() == Array(0..<24))
  }

  @Test(arguments: ["", "{}", "[1]", "{\"version\": 1}", "{\"version\": \"1\"}", "\u{0}"])
  func `a damaged record is named, and does not count as missing`(text: String) throws {
    try folder.write("\(place)/\(first).json", text)
    let failure = RecordError(.damaged, operation: "read", place: "\(folder.path)/\(place)/\(first).json")
    #expect(throws: HostError.record(failure)) { try files.records() }
    #expect(throws: HostError.record(failure)) { try files.update(first) { $0 = nil } }
    #expect(String(decoding: try folder.read("\(place)/\(first).json"), as: UTF8.self) == text)
  }

  @Test func `a sweep removes only the leftovers of killed writers`() throws {
    try files.update(first) { $0 = record(first) }
    let left = [".\(first).json.4711.3123456789", "\(second).lock"]
    let held = [".\(second).json.4712.1", "\(first).lock"]
    let foreign = [".\(first).json.swp", ".notes.1.2", "notes.lock"]
    for name in left + held + foreign { try folder.write("\(place)/\(name)", "{") }
    let holders = held.map { unsafe open("\(folder.path)/\(place)/\($0)", O_RDONLY | O_CLOEXEC) }
    defer { for holder in holders { close(holder) } }
    for holder in holders { try #require(flock(holder, LOCK_EX | LOCK_NB) == 0) }
    files.sweep()
    #expect(try folder.names(in: place) == (held + foreign + ["\(first).json"]).sorted())
    #expect(try files.records() == [record(first)])
  }

  @Test func `writers and sweeps do not disturb each other`() async throws {
    let (files, uuids) = (self.files, (1...4).map(Sample.uuid))
    try await concurrently(8) { index in
      for round in 0..<40 {
        if index >= 4 { files.sweep(); continue }
        try files.update(uuids[index]) { $0 = OwnershipRecord(uuid: uuids[index], name: "\(round)", devices: []) }
      }
    }
    #expect(try files.records().map(\.name) == Array(repeating: "39", count: 4))
    #expect(try folder.names(in: place) == uuids.map { "\($0).json" }.sorted())
  }

  @Test func `a record under another domain's name is damaged`() throws {
    try files.update(first) { $0 = record(first) }
    try folder.write("\(place)/\(second).json", try folder.read("\(place)/\(first).json"))
    func damage(_ name: String) -> HostError {
      .record(RecordError(.damaged, operation: "read", place: "\(folder.path)/\(place)/\(name)"))
    }
    #expect(throws: damage("\(second).json")) { try files.records() }
    try files.update(first) { $0 = nil }
    try folder.write("\(place)/\(second).json", "")
    #expect(throws: damage("\(second).json")) { try files.records() }
  }

  @Test func `a record whose name is no domain's is damaged`() throws {
    try folder.write("\(place)/notes.json", "{}")
    let failure = RecordError(.damaged, operation: "read", place: "\(folder.path)/\(place)/notes.json")
    #expect(throws: HostError.record(failure)) { try files.records() }
  }

  @Test func `a record of a later release is refused and kept`() throws {
    let text = #"{"version": 2, "uuid": "\#(first)", "name": "a", "devices": [], "more": 1}"#
    try folder.write("\(place)/\(first).json", text)
    let failure = RecordError(
      .other, operation: "read", place: "\(folder.path)/\(place)/\(first).json",
      detail: "has layout 2, written by a later release of Berth")
    #expect(throws: HostError.record(failure)) { try files.update(first) { $0 = nil } }
    #expect(String(decoding: try folder.read("\(place)/\(first).json"), as: UTF8.self) == text)
  }
}

@Suite struct IntentTests {
  private let folder: TemporaryFolder
  private let files: IntentFiles
  private let intent: Intent

  init() throws {
    folder = try TemporaryFolder()
    files = IntentFiles(root: folder.path)
    let uuid = try #require(DomainUUID("10000000-0000-0000-0000-000000000001"))
    intent = Intent(
      identifier: "host17-4711-1", domain: DomainKey(id: DomainID(3), uuid: uuid), operation: .attach,
      devices: [PCIAddress(sbdf: 0x300), PCIAddress(sbdf: 0x400)], since: 1_700_000_000)
  }

  @Test func `an intent is live until it is closed`() throws {
    #expect(try files.intents() == [])
    let open = try files.open(intent)
    var live = intent
    live.isLive = true
    #expect(try files.intents() == [live])
    let path = "\(folder.path)/run/berth/intents/\(intent.identifier).json"
    let busy = RecordError(.other, operation: "discard", place: path, errno: EBUSY)
    #expect(throws: HostError.record(busy)) { try files.discard(identifier: intent.identifier) }
    #expect(try files.intents() == [live])
    try open.close()
    #expect(try files.intents() == [])
    try open.close()
    #expect(try folder.names(in: "run/berth/intents") == [])
  }

  @Test func `an intent keeps whether its run reserves the device`() throws {
    var intent = intent
    (intent.operation, intent.reserves, intent.isLive) = (.rebind, true, true)
    let open = try files.open(intent)
    #expect(try files.intents() == [intent])
    try open.close()
  }

  @Test func `the intent of a dead writer is found, and discarded once`() throws {
    do { _ = try files.open(intent) }
    // A program that another test starts meanwhile also has the file, until its exec.
    let deadline = ContinuousClock.now + .seconds(30)
    while try files.intents().first?.isLive == true, .now < deadline { sched_yield() }
    #expect(try files.intents() == [intent])
    #expect(try files.intents() == [intent])
    try files.discard(identifier: intent.identifier)
    try files.discard(identifier: intent.identifier)
    #expect(try files.intents() == [])
  }

  @Test func `a sweep removes files without a final name, but no intent`() throws {
    try folder.write("run/berth/intents/.\(intent.identifier).json.4711.1", "{")
    let open = try files.open(intent)
    files.sweep()
    #expect(try folder.names(in: "run/berth/intents") == ["\(intent.identifier).json"])
    try open.close()
  }

  @Test func `a damaged intent is named`() throws {
    try folder.write("run/berth/intents/a.json", "{")
    let path = folder.path + "/run/berth/intents/a.json"
    #expect(throws: HostError.record(RecordError(.damaged, operation: "read", place: path))) { try files.intents() }
  }

  @Test(arguments: ["", ".", "..", "../a", "a/b", "a b", ".hidden"])
  func `an identifier that is not a name is refused`(identifier: String) throws {
    var wrong = intent
    wrong.identifier = identifier
    let path = "\(folder.path)/run/berth/intents/\(identifier).json"
    let error = HostError.record(RecordError(.damaged, operation: "name", place: path))
    #expect(throws: error) { try files.open(wrong) }
    #expect(throws: error) { try files.discard(identifier: identifier) }
  }
}
