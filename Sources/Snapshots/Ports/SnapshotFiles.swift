import Model
import Ports
import XenProtocol

/// libxl's files as they are recorded, or as they were.
struct SnapshotUserdata: UserdataPort {
  let book: AnswerBook
  let live: (any UserdataPort)?

  /// Returns a file that has only the parts that Berth reads. If Berth cannot read the file, throws why.
  func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]? {
    let text = try book.answer(
      \.toolstack.savedConfigurations[key(domain)],
      or: .userdata(unanswered("read", "the saved configuration of domain \(domain.id)")),
      live
    ) { (live) throws(HostError) in try readParts(of: domain, live) }
    return text.map { Array($0.utf8) + [0] }
  }

  private func readParts(of domain: DomainKey, _ live: any UserdataPort) throws(HostError) -> String? {
    guard let bytes = try live.savedConfiguration(of: domain) else { return nil }
    do throws(SavedConfigurationError) { return try SavedConfiguration(bytes).readParts } catch {
      throw .userdata(
        UserdataError(.malformed, operation: "read", place: "the saved configuration", detail: error.description))
    }
  }

  func locks() throws(HostError) -> [UserdataLock] {
    try book.answer(
      \.toolstack.locks, or: .userdata(unanswered("locks")),
      live
    ) { (live) throws(HostError) in
      try live.locks().map { lock in
        var lock = lock
        lock.holder?.hideSecrets()
        return lock
      }
    }
  }

  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result { throw refusal(of: "lock") }
}

/// The device models as they are recorded, or as they were.
struct SnapshotDeviceModels: DeviceModelPort {
  let book: AnswerBook
  let live: (any DeviceModelPort)?

  func withDeviceModel<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    let bus = try book.answer(
      \.toolstack.deviceModels[key(domain)], or: .deviceModel(unanswered("query-pci")),
      live
    ) { (live) throws(HostError) in
      do throws(HostError) {
        return try live.withDeviceModel(of: domain, until: deadline) { (qemu) throws(HostError) in
          EmulatedBus(devices: try qemu.devices(), usedSlots: qemu.usedSlots()?.sorted())
        }
      } catch { throw error.withoutSecrets }
    }
    return try body(SnapshotConversation(bus: bus))
  }
}

private struct SnapshotConversation: ~Copyable, DeviceModelConversation {
  let bus: EmulatedBus

  borrowing func devices() throws(HostError) -> [EmulatedDevice] { bus.devices }
  borrowing func usedSlots() -> Set<UInt8>? { bus.usedSlots.map { Set($0) } }
  borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError) {
    throw refusal(of: "device_add")
  }
  borrowing func remove(_ name: DeviceModelName) throws(HostError) { throw refusal(of: "device_del") }
}

/// Berth's records of domains as they are recorded, or as they were.
struct SnapshotOwnership: OwnershipPort {
  let book: AnswerBook
  let live: (any OwnershipPort)?

  func readRecords() throws(HostError) -> OwnFiles<OwnershipRecord> {
    try book.answer(
      \.records.owned, or: .record(unanswered("read")),
      live
    ) { (live) throws(HostError) in try live.readRecords() }
  }

  func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord? {
    try readRecords().contents.first { $0.uuid == domain }
  }

  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    throw refusal(of: "update")
  }
  func sweep() {}
}

/// Berth's intents as they are recorded, or as they were.
struct SnapshotIntents: IntentPort {
  let book: AnswerBook
  let live: (any IntentPort)?

  func readIntents() throws(HostError) -> OwnFiles<Intent> {
    try book.answer(
      \.records.intents, or: .record(unanswered("read")),
      live
    ) { (live) throws(HostError) in try live.readIntents() }
  }

  func open(_ intent: Intent) throws(HostError) -> any OpenIntent { throw refusal(of: "open") }
  func discard(identifier: String) throws(HostError) { throw refusal(of: "discard") }
  func sweep() {}
}

/// Berth's records of devices as they are recorded, or as they were.
struct SnapshotPreparations: PreparationPort {
  let book: AnswerBook
  let live: (any PreparationPort)?

  func readPreparations() throws(HostError) -> OwnFiles<PreparationRecord> {
    try book.answer(
      \.records.preparations, or: .record(unanswered("read")),
      live
    ) { (live) throws(HostError) in try live.readPreparations() }
  }

  func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord? {
    try readPreparations().contents.first { $0.device == device }
  }

  func hold(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> any HeldPreparation {
    throw refusal(of: "lock")
  }
}

/// The marks of run locks as they are recorded, or as they were.
struct SnapshotRunLocks: RunLockPort {
  let book: AnswerBook
  let live: (any RunLockPort)?

  func readMarks() throws(HostError) -> (marks: [DomainUUID: RunMark], damaged: [DamagedFile]) {
    let runs = try book.answer(
      \.records.runs, or: .record(unanswered("read")),
      live
    ) { (live) throws(HostError) in
      let (marks, damaged) = try live.readMarks()
      return RunMarks(marks: marks.mapValues(\.withoutSecrets), damaged: damaged)
    }
    return (runs.marks, runs.damaged)
  }

  func lock(
    _ domain: DomainUUID, until deadline: ContinuousClock.Instant, isInterrupted: () -> Bool
  ) throws(HostError) -> RunLockAttempt { throw refusal(of: "lock") }
  func sweep(keeping living: Set<DomainUUID>) {}
}
