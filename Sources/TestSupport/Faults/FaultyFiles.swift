import Model
import Ports

struct FaultyUserdata: UserdataPort {
  let inner: any UserdataPort
  let line: FaultLine

  /// Passed through without a fault, because no apply requests it.
  func locks() throws(HostError) -> [UserdataLock] { try inner.locks() }

  func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]? {
    try line.pass(.saved, "\(domain.id)", lost: nil) { () throws(HostError) in
      try inner.savedConfiguration(of: domain)
    }
  }

  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    if case .fails(let error) = line.next(.lock, "\(domain.id)") { throw error }
    return try inner.withLock(of: domain, until: deadline) { (userdata) throws(HostError) -> Result in
      try lend(
        { (request) throws(HostError) -> [UInt8]? in
          switch request {
          case .read: return try userdata.savedConfiguration()
          case .replace(let bytes):
            try userdata.replaceSavedConfiguration(bytes)
            return nil
          case .askForWaiter: return userdata.hasWaiter() ? [] : nil
          }
        }, body)
    }
  }

  private func lend<Result>(
    _ perform: (LockedRequest) throws(HostError) -> [UInt8]?,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    try withoutActuallyEscaping(perform) { (perform) throws(HostError) -> Result in
      try body(FaultyLocked(line: line, perform: perform))
    }
  }
}

private enum LockedRequest {
  case read, askForWaiter
  case replace([UInt8])
}

private struct FaultyLocked: ~Copyable, LockedUserdata {
  let line: FaultLine
  /// Performs a request. Returns the file's bytes; for the question about a waiter, nil means that there is none.
  let perform: (LockedRequest) throws(HostError) -> [UInt8]?

  init(line: FaultLine, perform: @escaping (LockedRequest) throws(HostError) -> [UInt8]?) {
    (self.line, self.perform) = (line, perform)
  }

  borrowing func savedConfiguration() throws(HostError) -> [UInt8]? {
    let perform = perform
    return try line.pass(.saved, "under the lock", lost: nil) { () throws(HostError) in
      try perform(.read)
    }
  }
  borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(HostError) {
    let perform = perform
    try line.pass(.save, lost: ()) { () throws(HostError) in _ = try perform(.replace(bytes)) }
  }
  borrowing func hasWaiter() -> Bool {
    // A failed question means that nobody waits. A lost one here means the opposite: a waiter is reported although
    // there is none.
    guard line.next(.waiter, "") == nil else { return true }
    do throws(HostError) { return try perform(.askForWaiter) != nil } catch { return false }
  }
}

struct FaultyOwnership: OwnershipPort {
  let inner: any OwnershipPort
  let line: FaultLine

  func readRecords() throws(HostError) -> OwnFiles<OwnershipRecord> {
    try line.pass(.records, lost: nil) { () throws(HostError) in try inner.readRecords() }
  }
  func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord? {
    try line.pass(.ownRecord, lost: nil) { () throws(HostError) in try inner.record(of: domain) }
  }
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    try line.pass(.record, lost: ()) { () throws(HostError) in try inner.update(domain, change) }
  }
  func sweep() { inner.sweep() }
}

struct FaultyIntents: IntentPort {
  let inner: any IntentPort
  let line: FaultLine

  func open(_ intent: Intent) throws(HostError) -> any OpenIntent {
    let subject = "\(intent.operation) \(intent.devices)"
    let open: any OpenIntent = try line.pass(.openIntent, subject, lost: NoIntent()) {
      () throws(HostError) in try inner.open(intent)
    }
    return FaultyIntent(inner: open, line: line)
  }
  func readIntents() throws(HostError) -> OwnFiles<Intent> {
    try line.pass(.intents, lost: nil) { () throws(HostError) in try inner.readIntents() }
  }
  func discard(identifier: String) throws(HostError) {
    try line.pass(.discardIntent, identifier, lost: ()) { () throws(HostError) in
      try inner.discard(identifier: identifier)
    }
  }
  func sweep() { inner.sweep() }
}

private struct FaultyIntent: OpenIntent {
  let inner: any OpenIntent
  let line: FaultLine
  func close() throws(HostError) {
    try line.pass(.closeIntent, lost: ()) { () throws(HostError) in try inner.close() }
  }
}

/// An intent that was never written to disk.
private struct NoIntent: OpenIntent {
  func close() {}
}
