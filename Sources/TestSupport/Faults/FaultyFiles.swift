import Core

private func mine(_ error: HostError) -> UserdataError? { if case .userdata(let error) = error { error } else { nil } }
private func mine(_ error: HostError) -> RecordError? { if case .record(let error) = error { error } else { nil } }

struct FaultyUserdata: UserdataPort {
  let inner: any UserdataPort
  let line: FaultLine

  /// Passed through without a fault, because no apply requests it.
  func locks() throws(UserdataError) -> [UserdataLock] { try inner.locks() }

  func savedConfiguration(of domain: DomainKey) throws(UserdataError) -> [UInt8]? {
    try line.pass(.saved, "\(domain.id)", lost: nil, mine) { () throws(UserdataError) in
      try inner.savedConfiguration(of: domain)
    }
  }

  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    if case .fails(.userdata(let error)) = line.next(.lock, "\(domain.id)") { throw .userdata(error) }
    return try inner.withLock(of: domain, until: deadline) { (userdata) throws(HostError) -> Result in
      try lend(
        { (request) throws(UserdataError) -> [UInt8]? in
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
    _ perform: (LockedRequest) throws(UserdataError) -> [UInt8]?,
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
  let perform: (LockedRequest) throws(UserdataError) -> [UInt8]?

  init(line: FaultLine, perform: @escaping (LockedRequest) throws(UserdataError) -> [UInt8]?) {
    (self.line, self.perform) = (line, perform)
  }

  borrowing func savedConfiguration() throws(UserdataError) -> [UInt8]? {
    let perform = perform
    return try line.pass(.saved, "under the lock", lost: nil, mine) { () throws(UserdataError) in
      try perform(.read)
    }
  }
  borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(UserdataError) {
    let perform = perform
    try line.pass(.save, lost: (), mine) { () throws(UserdataError) in _ = try perform(.replace(bytes)) }
  }
  borrowing func hasWaiter() -> Bool {
    // A failed question means that nobody waits. A lost one here means the opposite: a waiter is reported although
    // there is none.
    guard line.next(.waiter, "") == nil else { return true }
    do throws(UserdataError) { return try perform(.askForWaiter) != nil } catch { return false }
  }
}

struct FaultyOwnership: OwnershipPort {
  let inner: any OwnershipPort
  let line: FaultLine

  func records() throws(RecordError) -> [OwnershipRecord] {
    try line.pass(.records, lost: nil, mine) { () throws(RecordError) in try inner.records() }
  }
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(RecordError) {
    try line.pass(.record, lost: (), mine) { () throws(RecordError) in try inner.update(domain, change) }
  }
  func sweep() { inner.sweep() }
}

struct FaultyIntents: IntentPort {
  let inner: any IntentPort
  let line: FaultLine

  func open(_ intent: Intent) throws(RecordError) -> any OpenIntent {
    let subject = "\(intent.operation) \(intent.devices)"
    let open: any OpenIntent = try line.pass(.openIntent, subject, lost: NoIntent(), mine) {
      () throws(RecordError) in try inner.open(intent)
    }
    return FaultyIntent(inner: open, line: line)
  }
  func intents() throws(RecordError) -> [Intent] {
    try line.pass(.intents, lost: nil, mine) { () throws(RecordError) in try inner.intents() }
  }
  func discard(identifier: String) throws(RecordError) {
    try line.pass(.discardIntent, identifier, lost: (), mine) { () throws(RecordError) in
      try inner.discard(identifier: identifier)
    }
  }
  func sweep() { inner.sweep() }
}

private struct FaultyIntent: OpenIntent {
  let inner: any OpenIntent
  let line: FaultLine
  func close() throws(RecordError) {
    try line.pass(.closeIntent, lost: (), mine) { () throws(RecordError) in try inner.close() }
  }
}

/// An intent that was never written to disk.
private struct NoIntent: OpenIntent {
  func close() {}
}
