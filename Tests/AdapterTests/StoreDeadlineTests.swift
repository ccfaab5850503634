import Glibc
import Model
import Ports
import Synchronization
import TestSupport
import Testing
import XenAdapter
import XenProtocol

/// A xenstored that does not answer, answers late, or answers what no xenstored would.
@Suite struct StoreDeadlineTests {
  private let node = StorePath.toolstack(DomainID(5))

  @Test func `a request without an answer ends, and so does every later one`() async throws {
    let daemon = try FakeStore { _ in nil }
    let connector = XenStoreConnector(daemon.place, limit: AnswerLimit(.milliseconds(40)))
    try await onThread { [node] in
      let connection = try connector.connect()
      let process = getpid()
      let silence = StoreError(
        .timedOut, operation: "read", place: node.text, errno: ETIMEDOUT, detail: "process \(process)")
      #expect(throws: HostError.store(silence)) { try connection.read(node) }
      // The connection is not used again, so a late answer cannot be taken for another request's.
      #expect(throws: HostError.store(silence)) { try connection.read(node) }
      let start = StoreError(.timedOut, operation: "start-transaction", errno: ETIMEDOUT, detail: "process \(process)")
      #expect(throws: HostError.store(start)) {
        try connection.transaction(.unlocked) { (_) throws(HostError) -> StoreDecision<Void> in .commit(()) }
      }
    }
    #expect(daemon.requests == 1)
  }

  @Test func `the user's stop ends a request that has hours left`() async throws {
    let daemon = try FakeStore { _ in nil }
    var ends: [Int32] = [0, 0]
    #expect(unsafe pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    let connector = XenStoreConnector(
      daemon.place, limit: AnswerLimit(.seconds(36_000), interruptDescriptor: ends[0]))
    let write = ends[1]
    let stopped = try ThreadWork { [node] in
      let connection = try connector.connect()
      #expect(throws: HostError.self) { try connection.read(node) }
      // Those after the stop end as well, on a new connection too.
      #expect(throws: HostError.self) { try connector.connect().read(node) }
    }
    while daemon.requests == 0 { await Task.yield() }
    #expect(unsafe Glibc.write(write, "x", 1) == 1)
    try await stopped.value()
    #expect(daemon.requests == 2)
  }

  @Test func `a daemon that accepts nobody is given up`() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path + "/socket"
    let listener = try listeningSocket(path)
    defer { close(listener) }
    try await onThread {
      // The kernel queues some clients. The one that finds the queue full would wait for ever.
      var waiting: [any StorePort] = []
      let connector = XenStoreConnector(StorePlace(socket: path), limit: AnswerLimit(.milliseconds(60)))
      let failure = StoreError(.timedOut, operation: "connect", errno: ETIMEDOUT)
      #expect(throws: HostError.store(failure)) {
        for _ in 0..<100 { waiting.append(try connector.connect()) }
      }
      #expect(waiting.count < 100)
    }
  }

  @Test func `an answer in single bytes is an answer`() async throws {
    let daemon = try FakeStore(isSlow: true) { request in FakeStore.reply(2, request, "value") }
    try await onThread { [node] in
      let value = try XenStoreConnector(daemon.place).connect().read(node)
      #expect(value == "value")
    }
  }

  @Test(arguments: [
    // Another request's number, a payload of gigabytes, an end in the middle of a message, and no message at all.
    FakeStore.reply(2, 4711, "value"), FakeStore.reply(2, 1, "value", length: .max),
    Array(FakeStore.reply(2, 1, "value").dropLast()), Array("HTTP/1.1 200 OK\r\n\r\n".utf8), [],
  ])
  func `an answer that is none loses the connection`(_ answer: [UInt8]) async throws {
    let daemon = try FakeStore(endsAfterAnswer: true) { _ in answer }
    try await onThread { [node] in
      let connection = try XenStoreConnector(daemon.place).connect()
      for _ in 0..<2 {
        do throws(HostError) {
          _ = try connection.read(node)
          Issue.record("taken for an answer: \(answer)")
        } catch { #expect(error.storeCode == .lost) }
      }
    }
  }

  @Test func `a transaction's number that is none loses the connection`() async throws {
    for number in ["", "0\0", "-1\0", "4294967296\0", "one\0"] {
      let daemon = try FakeStore { request in FakeStore.reply(6, request, number) }
      try await onThread {
        let connection = try XenStoreConnector(daemon.place).connect()
        do throws(HostError) {
          try connection.transaction(.unlocked) { (_) throws(HostError) -> StoreDecision<Void> in .commit(()) }
          Issue.record("taken for a transaction: \(number)")
        } catch { #expect(error.storeCode == .lost) }
      }
    }
  }

  @Test func `events between a request and its answer are kept`() async throws {
    let daemon = try FakeStore { request in
      FakeStore.reply(15, 0, "/a\0first\0") + FakeStore.reply(15, 0, "/b\0second\0")
        + FakeStore.reply(4, request, "OK\0")
        + FakeStore.reply(15, 0, "/c\0third\0")
    }
    try await onThread {
      let watcher = try XenStoreWatcher(daemon.place)
      try watcher.watch(path: "/a", token: "first")
      var tokens: [String] = []
      let deadline = ContinuousClock.now + .seconds(60)
      while tokens.count < 3, case .events(let events) = try watcher.nextEvents(until: deadline) {
        tokens += events.map(\.token)
      }
      #expect(tokens == ["first", "second", "third"])
    }
  }

  /// A late commit is a commit or none, and harms nobody: it is refused if what it read has changed.
  @Test func `a stopped daemon is named with its state, and answers new connections afterwards`() async throws {
    try await onThread { [node] in
      let store = try PrivateXenstored()
      let place = StorePlace(socket: store.socket)
      let limited = XenStoreConnector(place, limit: AnswerLimit(.seconds(3))) { "process \($0), stopped" }
      let connection = try limited.connect()
      #expect(
        throws: HostError.store(
          StoreError(.timedOut, operation: "commit", errno: ETIMEDOUT, detail: "process \(store.process), stopped"))
      ) {
        try connection.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Void> in
          guard try access.read(node) == nil else { return .abort(()) }
          try access.write(node, "late")
          store.stop()
          return .commit(())
        }
      }
      store.resume()
      // The daemon may have taken the request before it stopped, or finds the connection closed. It answers others.
      let found = try XenStoreConnector(place).connect().read(node)
      #expect(found == nil || found == "late")
    }
  }

  @Test func `a listing longer than one reply is whole`() async throws {
    try await onThread { [node] in
      let store = try PrivateXenstored()
      let connection = try XenStoreConnector(StorePlace(socket: store.socket)).connect()
      let names = (0..<300).map { "a-name-that-is-rather-long-\($0)" }
      try connection.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Void> in
        for name in names { try access.write(node.child(name), "") }
        return .commit(())
      }
      #expect(try connection.list(node).map(Set.init) == Set(names))
    }
  }
}

/// A program that listens as xenstored does, and answers each request with what a closure returns; nil for no answer.
private final class FakeStore: Sendable {
  let place: StorePlace
  private let folder: TemporaryFolder
  private let listener: Int32
  private let count = Atomic(0)

  /// The number of requests that have arrived.
  var requests: Int { count.load(ordering: .relaxed) }

  /// Returns the bytes of a message from xenstored.
  static func reply(_ kind: UInt32, _ request: UInt32, _ payload: String, length: UInt32? = nil) -> [UInt8] {
    [kind, request, 0, length ?? UInt32(payload.utf8.count)].flatMap { word in
      (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) }
    } + payload.utf8
  }

  init(
    isSlow: Bool = false, endsAfterAnswer: Bool = false, _ answer: @escaping @Sendable (UInt32) -> [UInt8]?
  ) throws {
    folder = try TemporaryFolder()
    place = StorePlace(socket: folder.path + "/socket")
    listener = try listeningSocket(place.socket)
    _ = try ThreadWork { [listener, weak self] in
      // Ends when the listening socket is closed for reading.
      while true {
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        _ = try ThreadWork { [weak self] in
          defer {
            // A program that another test starts at this moment keeps the descriptor, so the socket itself is shut down.
            shutdown(client, Int32(SHUT_RDWR))
            close(client)
          }
          var buffer = [UInt8](repeating: 0, count: 65536)
          while unsafe read(client, &buffer, buffer.count) > 0 {
            self?.count.add(1, ordering: .relaxed)
            let request = UInt32(buffer[4]) | UInt32(buffer[5]) << 8
            guard let bytes = answer(request) else { continue }
            for piece in isSlow ? bytes.map({ [$0] }) : [bytes] {
              _ = unsafe send(client, piece, piece.count, Int32(MSG_NOSIGNAL))
            }
            if endsAfterAnswer { return }
          }
        }
      }
    }
  }

  deinit {
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }
}
