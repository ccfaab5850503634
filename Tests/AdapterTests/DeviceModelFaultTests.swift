import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing
import XenProtocol

/// Device models that are missing, serve another client, fall silent, die or lie.
@Suite struct DeviceModelFaultTests {
  private let bench: DeviceModelBench
  private typealias Peer = ScriptedDeviceModel

  init() throws { bench = try DeviceModelBench() }

  private func peer(_ script: [Peer.Step]) throws -> Peer { try Peer(at: bench.socket, script) }

  private static let list: DeviceModelBench.Talk<Void> = { (model) throws(HostError) in
    _ = try model.devices()
  }

  // MARK: Missing, or another's

  @Test func `a missing socket is unreachable, and its path is reported`() async throws {
    #expect(
      try await bench.failure()
        == DeviceModelError(.unreachable, operation: "connect", place: bench.socket, errno: ENOENT))
    #expect(try bench.locks == [])
    let models = QMPDeviceModels(root: bench.root + "/elsewhere")
    let domain = bench.domain
    let failure = #expect(throws: HostError.self) {
      try models.withDeviceModel(of: domain, until: .now) { (_) throws(HostError) in }
    }
    guard case .deviceModel(let error) = failure else { Issue.record("\(failure as Any)"); return }
    #expect(error.code == .unreachable)
    #expect(error.place?.hasPrefix(bench.root + "/elsewhere/var/lib/xen/userdata-l.7.") == true)
  }

  /// Leaves a socket's file at which nobody listens.
  private func leaveSocket() throws {
    let listener = try listeningSocket(bench.socket)
    // A program that another test starts at this moment keeps the descriptor, so the socket itself is shut down.
    shutdown(listener, Int32(SHUT_RDWR))
    close(listener)
  }

  @Test func `a leftover socket is unreachable`() async throws {
    try leaveSocket()
    #expect(
      try await bench.failure()
        == DeviceModelError(.unreachable, operation: "connect", place: bench.socket, errno: ECONNREFUSED))
  }

  @Test func `another user's socket is not permitted, except for root`() async throws {
    try leaveSocket()
    #expect(unsafe chmod(bench.socket, 0) == 0)
    #expect(try await bench.failure()?.code == (geteuid() == 0 ? .unreachable : .notPermitted))
  }

  @Test func `a lock held by another process is busy at the deadline, and its holder is named`() async throws {
    let peer = try peer(Peer.hello)
    let (bench, lock) = (self.bench, self.bench.lock)
    let surprise: String? = try await onThread {
      let holder = try Command("flock", [lock, "sh", "-c", "echo locked; exec sleep 600"]).start()
      #expect(holder.collect(until: .now + .seconds(30)) { $0.output.contains("locked") })
      let begin = ContinuousClock.now
      let failure = #expect(throws: HostError.self) {
        try bench.models.withDeviceModel(of: bench.domain, until: begin + .milliseconds(80)) { (_) throws(HostError) in
          Issue.record("it was locked twice")
        }
      }
      #expect(ContinuousClock.now - begin >= .milliseconds(80))
      holder.end(SIGKILL)
      guard case .deviceModel(let error) = failure else { return "\(failure as Any)" }
      #expect(error.code == .busy)
      #expect(error.place == lock)
      #expect(error.holder?.process == Int(holder.pid), "\(error)")
      return nil
    }
    #expect(surprise == nil)
    // The server heard from nobody in the meantime.
    #expect(try await bench.failure() == nil)
    #expect(try await peer.heard().count == 1)
  }

  @Test func `a server whose queue is full is busy`() async throws {
    let listener = try listeningSocket(bench.socket)
    defer { close(listener) }
    // The queue holds one connection more than its length (`sk_acceptq_is_full`, include/net/sock.h).
    for _ in 0..<9 { #expect(try canConnect(to: bench.socket)) }
    let begin = ContinuousClock.now
    let failure = try await bench.failure(within: .milliseconds(80))
    #expect(failure == DeviceModelError(.busy, operation: "connect", place: bench.socket, errno: EAGAIN))
    #expect(ContinuousClock.now - begin >= .milliseconds(80))
  }

  // MARK: Silence and death

  @Test(
    arguments: [
      ([], "connect"), ([Peer.greeting, .hear], "qmp_capabilities"), (Peer.hello + [.hear], "query-pci"),
      (Peer.hello + [.hear, .say(#"{"return": "#)], "query-pci"),
    ] as [([Peer.Step], String)])
  private func `silence ends at the deadline`(_ script: [Peer.Step], _ operation: String) async throws {
    // On a busy machine, the script may need longer than a limit to come to its silence.
    for limit in [300, 5_000, 60_000] as [Int64] {
      let peer = try peer(script)
      let begin = ContinuousClock.now
      let failure = try await bench.failure(within: .milliseconds(limit), Self.list)
      var isSilent = failure?.operation == operation
      do { _ = try await peer.heard() } catch { isSilent = false }
      guard isSilent || limit == 60_000 else {
        unsafe unlink(bench.socket)
        continue
      }
      #expect(
        failure
          == DeviceModelError(
            .timedOut, operation: operation, place: bench.socket, errno: ETIMEDOUT, detail: "it did not answer in time")
      )
      #expect(ContinuousClock.now - begin >= .milliseconds(limit))
      #expect(try bench.locks == [])
      return
    }
  }

  @Test func `a server that never stops talking is cut off at the deadline`() async throws {
    _ = try peer(Peer.hello + [.hear, .repeated(#"{"event": "RESET"}"# + "\r\n", .max)])
    let failure = try await bench.failure(within: .milliseconds(300), Self.list)
    // Or its limit came first.
    #expect(failure?.code == .timedOut || failure?.code == .malformed, "\(failure as Any)")
  }

  @Test(
    arguments: [
      ([.end], "connect"), ([Peer.greeting, .end], "qmp_capabilities"),
      ([Peer.greeting, .hear, .end], "qmp_capabilities"),
      (Peer.hello + [.hear, .end], "query-pci"), (Peer.hello + [.hear, .say(#"{"return": ["#), .end], "query-pci"),
    ] as [([Peer.Step], String)])
  private func `a server that ends in the middle of an answer is lost`(_ script: [Peer.Step], _ operation: String)
    async throws
  {
    _ = try peer(script)
    let failure = try await bench.failure(Self.list)
    #expect(failure?.code == .lost)
    #expect(failure?.operation == operation)
    #expect(failure?.place == bench.socket && failure?.detail?.hasPrefix("it ended") == true)
  }

  @Test func `an ended conversation sends nothing, and no signal ends the program`() async throws {
    let peer = try peer(Peer.hello + [.end])
    let codes = try await bench.talk { model in
      peer.waitForEnd()
      return (0..<3).map { _ in
        code { () throws(HostError) in
          try model.add(TestDevice.first, slot: nil, permissive: false)
        }
      }
    }
    #expect(try codes.get() == [.lost, .lost, .lost])
  }

  // MARK: Lies

  @Test(arguments: [
    ("not JSON", "beginning with not JSON"), (#"{"return": {}, "id": $id"#, "not QMP"), ("[]", "not QMP"),
    (#"{"return": [{"bus": 0}], "id": $id}"#, "not QMP"), (#"{"return": {}, "id": $id}"#, "not QMP"),
    (#"{"error": "no", "id": $id}"#, "not QMP"),
    (#"{"error": {"class": "GenericError", "desc": "JSON parse error"}}"#, "could not read the command: JSON parse"),
    (#"{"return": [{"devices": [{"slot": 32, "function": 0}]}], "id": $id}"#, "a device at 32.0"),
    (#"{"return": [{"devices": [{"slot": 1, "function": 8}]}], "id": $id}"#, "a device at 1.8"),
    (#"{"return": [{"devices": [{"slot": -1, "function": 0}]}], "id": $id}"#, "not QMP"),
    (String(repeating: "[", count: 65), "nested values more than 64 deep"),
    (String(repeating: #"{"a":"#, count: 65), "nested values more than 64 deep"),
  ])
  func `an answer that is not QMP is malformed`(_ line: String, _ text: String) async throws {
    _ = try peer(Peer.hello + [.hear, .say(line + "\r\n")])
    let failure = try await bench.failure { (model) throws(HostError) in
      let first = code { () throws(HostError) in _ = try model.devices() }
      #expect(first == .malformed)
      // No later answer can be trusted.
      _ = try model.devices()
    }
    #expect(failure?.code == .malformed)
    #expect(failure?.operation == "query-pci")
    #expect(failure?.detail?.contains(text) == true, "\(failure as Any)")
  }

  @Test func `a server without a greeting is malformed`() async throws {
    _ = try peer([.say(#"{"return": {}, "id": 1650786305}"# + "\r\n")])
    #expect(
      try await bench.failure()
        == DeviceModelError(.malformed, operation: "connect", place: bench.socket, detail: "it sent no greeting"))
  }

  @Test func `a line and a conversation have limits`() async throws {
    let endless = try peer(Peer.hello + [.hear, .repeated(String(repeating: " ", count: 4096), 4096)])
    var failure = try await bench.failure(Self.list)
    #expect(failure?.code == .malformed)
    #expect(failure?.detail?.contains("a line of more than 1048576 bytes") == true, "\(failure as Any)")
    _ = try await endless.heard()
    #expect(unsafe unlink(bench.socket) == 0)
    _ = try peer(Peer.hello + [.hear, .repeated(String(repeating: " ", count: 65536) + "\n", 1024)])
    failure = try await bench.failure(Self.list)
    #expect(failure?.code == .malformed)
    #expect(failure?.detail?.contains("more than 8388608 bytes") == true, "\(failure as Any)")
  }
}
