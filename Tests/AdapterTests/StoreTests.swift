import Glibc
import Model
import Ports
import Synchronization
import TestSupport
import Testing
import XenAdapter
import XenProtocol

/// Tests with Debian's own xenstored.
@Suite struct StoreTests {
  private let node = StorePath.toolstack(DomainID(5))

  @Test func `nodes are written, read, listed and removed`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored(domains: [5])
      let connection = try connect(store)
      try commit(connection) { (access) throws(HostError) in
        try access.write(node.child("a"), "1")
        try access.write(node.child("b"), "")
        try access.makeDirectory(node.child("c"), StorePermissions(owner: .zero, reader: DomainID(5)))
      }
      #expect(try connection.read(node.child("a")) == "1")
      #expect(try connection.read(node.child("b")) == "")
      #expect(try connection.read(node.child("missing")) == nil)
      #expect(try connection.list(node)?.sorted() == ["a", "b", "c"])
      #expect(try connection.list(node.child("a")) == [])
      #expect(try connection.list(StorePath.toolstack(DomainID(6))) == nil)
      try commit(connection) { (access) throws(HostError) in
        try access.remove(node)
        try access.remove(node.child("a").child("below"))
      }
      #expect(try connection.list(node) == nil)
    }
  }

  @Test func `a folder gets its owner and its reader`() async throws {
    let store = try PrivateXenstored(domains: [5])
    let connection = try connect(store)
    try commit(connection) { (access) throws(HostError) in
      try access.makeDirectory(node.child("guest"), StorePermissions(owner: DomainID(5), reader: .zero))
      try access.makeDirectory(node.child("own"), StorePermissions(owner: .zero, reader: nil))
    }
    let listing = try await Command("xenstore-ls", ["-fp", "/libxl"], environment: ["XENSTORED_PATH": store.socket])
      .run()
    #expect(listing.output.contains("guest = \"\"   (n5,r0)") || listing.output.contains("guest = \"\"  (n5,r0)"))
    #expect(listing.output.contains("own = \"\"   (n0)") || listing.output.contains("own = \"\"  (n0)"))
  }

  @Test func `contending increments are all kept`() async throws {
    let store = try PrivateXenstored()
    let connector = XenStoreConnector(store.place)
    try await concurrently(6) { _ in
      let connection = try connector.connect()
      for _ in 0..<40 {
        try connection.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Void> in
          let number = decimal(try access.read(node) ?? "0") ?? 0
          try access.write(node, String(number + 1))
          return .commit(())
        }
      }
    }
    #expect(try connector.connect().read(node) == "240")
    let statistics = connector.statistics
    #expect(statistics.commits == 240)
    #expect(statistics.conflicts > 0)
    #expect(statistics.transactions == statistics.commits + statistics.conflicts)
    #expect(statistics.writes == statistics.transactions)
    // Start, read, write and end of each transaction, and one read at the end.
    #expect(statistics.requests == 4 * statistics.transactions + 1)
  }

  @Test func `an aborted transaction leaves no writes`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let connection = try connect(store)
      let result = try connection.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Int> in
        try access.write(node, "1")
        return .abort(7)
      }
      #expect(result == 7)
      #expect(try connection.read(node) == nil)
      #expect(throws: HostError.store(StoreError(.refused, operation: "test"))) {
        try commit(connection) { (access) throws(HostError) in
          try access.write(node, "1")
          throw HostError.store(StoreError(.refused, operation: "test"))
        }
      }
      #expect(try connection.read(node) == nil)
    }
  }

  @Test func `a result without a write rests on reads of one moment`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let (connection, other) = (try connect(store), try connect(store))
      try commit(other) { (access) throws(HostError) in try access.write(node, "old") }
      var attempts = 0
      let answer = try connection.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<String?> in
        attempts += 1
        let value = try access.read(node)
        if attempts == 1 { try commit(other) { (access) throws(HostError) in try access.write(node, "new") } }
        return .abort(value)
      }
      #expect(answer == "new")
      #expect(attempts == 2)
    }
  }

  @Test(arguments: [(Patience.unlocked, 200), (.underLock, 20)])
  func `an endless conflict is given up`(_ patience: Patience, _ bound: Int) async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let (connection, other) = (try connect(store), try connect(store))
      var attempts = 0
      #expect(throws: HostError.store(StoreError(.conflict, operation: "commit", errno: EAGAIN))) {
        try commit(connection, patience) { (access) throws(HostError) in
          attempts += 1
          _ = try access.read(node)
          try commit(other) { (access) throws(HostError) in try access.write(node, String(attempts)) }
          try access.write(node, "mine")
        }
      }
      // Under the lock, at least that number, for half a second.
      #expect(patience == .unlocked ? attempts == bound : attempts >= bound && attempts < 200)
    }
  }

  @Test func `a value that is too long is refused`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let connection = try connect(store)
      #expect(throws: HostError.store(StoreError(.refused, operation: "write", place: node.text, errno: E2BIG))) {
        try commit(connection) { (access) throws(HostError) in
          try access.write(node, String(repeating: "x", count: 5000))
        }
      }
    }
  }

  // MARK: Waits

  @Test func `a wait ends with the change it waits for`() async throws {
    let store = try PrivateXenstored()
    let connector = XenStoreConnector(store.place)
    try await concurrently(2) { index in
      let connection = try connector.connect()
      if index == 0 {
        // The two sides alternate, so that each waits for every change of the other.
        for round in stride(from: 1, through: 19, by: 2) { try step(connection, to: round) }
      } else {
        for round in stride(from: 2, through: 20, by: 2) { try step(connection, to: round) }
      }
    }
    #expect(try connector.connect().read(node) == "20")
  }

  /// Waits for the number before `round`, and writes `round`.
  private func step(_ connection: any StorePort, to round: Int) throws {
    let deadline = ContinuousClock.now + .seconds(20)
    let outcome = try connection.wait(watching: [node], until: deadline, isInterruptible: true) {
      () throws(HostError) -> Bool? in
      try connection.read(node) ?? "0" == String(round - 1) ? true : nil
    }
    // After the deadline, a change would have been found without a notification.
    guard case .satisfied = outcome, .now < deadline else {
      throw HostError.store(StoreError(.other, operation: "round \(round): \(outcome)"))
    }
    try commit(connection) { (access) throws(HostError) in try access.write(node, String(round)) }
  }

  @Test func `a wait for nothing ends at its deadline, after a last look`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let connector = XenStoreConnector(store.place)
      let connection = try connector.connect()
      for _ in 0..<2 {
        let begin = ContinuousClock.now
        var lastLook = begin
        let outcome = try connection.wait(watching: [node], until: begin + .milliseconds(60), isInterruptible: true) {
          () throws(HostError) -> Bool? in
          lastLook = .now
          return nil
        }
        guard case .timedOut = outcome else {
          Issue.record("\(outcome)")
          return
        }
        #expect(ContinuousClock.now - begin >= .milliseconds(60))
        #expect(lastLook >= begin + .milliseconds(60))
      }
      // A watch and its removal, twice, on a connection that was kept.
      #expect(connector.statistics.requests == 4)
    }
  }

  @Test func `a wait is interrupted by its descriptor`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      var ends: [Int32] = [0, 0]
      #expect(unsafe pipe(&ends) == 0)
      defer { for end in ends { close(end) } }
      let connector = XenStoreConnector(store.place, limit: AnswerLimit(interruptDescriptor: ends[0]))
      let connection = try connector.connect()
      #expect(unsafe write(ends[1], "x", 1) == 1)
      let begin = ContinuousClock.now
      let outcome = try connection.wait(watching: [node], until: begin + .seconds(30), isInterruptible: true) {
        () throws(HostError) -> Bool? in nil
      }
      guard case .interrupted = outcome else {
        Issue.record("\(outcome)")
        return
      }
      #expect(ContinuousClock.now - begin < .seconds(20))
      // A wait that must reach its own end does not heed the same descriptor.
      let whole = try connection.wait(
        watching: [node], until: .now + .milliseconds(60), isInterruptible: false
      ) { () throws(HostError) -> Bool? in nil }
      guard case .timedOut = whole else {
        Issue.record("\(whole)")
        return
      }
    }
  }

  @Test func `a watcher reports the changes of many nodes`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let connection = try connect(store)
      let watcher = try XenStoreWatcher(store.place)
      try watcher.watch(path: node.text, token: "five")
      try watcher.watch(path: "@releaseDomain", token: "release")
      try commit(connection) { (access) throws(HostError) in try access.write(node.child("a"), "1") }
      var seen: Set<XenStoreWatcher.Event> = []
      let deadline = ContinuousClock.now + .seconds(20)
      while seen.count < 3 {
        guard case .events(let events) = try watcher.nextEvents(until: deadline) else { break }
        seen.formUnion(events)
      }
      #expect(
        seen.map { "\($0.token) \($0.path)" }.sorted() == [
          "five /libxl/5", "five /libxl/5/a", "release @releaseDomain",
        ])
      try watcher.unwatch(path: node.text, token: "five")
      #expect(try watcher.nextEvents(until: .now) == .timedOut)
    }
  }

  @Test func `a wait ends although a guest never stops writing`() async throws {
    let store = try PrivateXenstored()
    let connector = XenStoreConnector(store.place)
    let isOver = Atomic(false)
    try await concurrently(2) { index in
      let connection = try connector.connect()
      if index == 0 {
        while !isOver.load(ordering: .relaxed) {
          try commit(connection) { (access) throws(HostError) in try access.write(node, "x") }
        }
      } else {
        let outcome = try connection.wait(watching: [node], until: .now + .milliseconds(80), isInterruptible: true) {
          () throws(HostError) -> Bool? in
          _ = try connection.read(node)
          return nil
        }
        isOver.store(true, ordering: .relaxed)
        guard case .timedOut = outcome else { throw HostError.store(StoreError(.other, operation: "\(outcome)")) }
      }
    }
  }

  // MARK: Failures of the connection

  @Test func `a missing daemon is unreachable`() throws {
    let folder = try TemporaryFolder()
    let connector = XenStoreConnector(StorePlace(socket: folder.path + "/none"))
    #expect(throws: HostError.store(StoreError(.unreachable, operation: "connect", errno: ENOENT))) {
      try connector.connect()
    }
  }

  @Test func `a daemon that dies loses its connections, including waiting ones`() async throws {
    try await concurrently(1) { _ in
      let store = try PrivateXenstored()
      let connection = try connect(store)
      #expect(try connection.read(node) == nil)
      let watcher = try XenStoreWatcher(store.place)
      try watcher.watch(path: node.text, token: "t")
      store.kill()
      for _ in 0..<2 {
        do throws(HostError) {
          _ = try connection.read(node)
          Issue.record("a dead daemon answered")
        } catch { #expect(error.storeCode == .lost) }
      }
      do throws(HostError) {
        let deadline = ContinuousClock.now + .seconds(20)
        while case .events = try watcher.nextEvents(until: deadline) {}
        Issue.record("a dead daemon was waited for")
      } catch { #expect(error.storeCode == .lost) }
    }
  }

  @Test func `every connection goes to its own daemon`() async throws {
    let stores = try (0..<3).map { _ in try PrivateXenstored() }
    let sockets = stores.map(\.socket)
    try await concurrently(9) { index in
      let connector = XenStoreConnector(StorePlace(socket: sockets[index % 3]))
      for _ in 0..<10 {
        let connection = try connector.connect()
        try commit(connection) { (access) throws(HostError) in try access.write(node, String(index % 3)) }
      }
    }
    for (index, store) in stores.enumerated() { #expect(try connect(store).read(node) == String(index)) }
  }
}

private func connect(_ store: PrivateXenstored) throws -> any StorePort {
  try XenStoreConnector(store.place).connect()
}

/// Makes one transaction that writes and returns nothing.
private func commit(
  _ connection: any StorePort, _ patience: Patience = .unlocked,
  _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> Void
) throws(HostError) {
  try connection.transaction(patience) { (access) throws(HostError) -> StoreDecision<Void> in
    try body(access)
    return .commit(())
  }
}

extension PrivateXenstored {
  fileprivate var place: StorePlace { StorePlace(socket: socket) }
}
