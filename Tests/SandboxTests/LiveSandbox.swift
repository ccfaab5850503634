import Glibc
import Model
import Ports
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// A sandbox for one test, served by a thread of the test program, with its real xenstored.
struct LiveSandbox: Sendable {
  let paths: SandboxPaths
  let preload: String

  /// Runs `body` with a new sandbox and always ends it.
  ///
  /// `directoryBytes` is the length of its directory's path.
  static func run(
    _ scenario: String, store: StoreKind = .c, testEagain: Bool = false, directoryBytes: Int? = nil,
    _ body: @Sendable (LiveSandbox) async throws -> Void
  ) async throws {
    await Places.forSandboxes.take()
    defer { Places.forSandboxes.free() }
    let top = try temporaryDirectory()
    let directory = directoryBytes.map { top + "/" + String(repeating: "d", count: $0 - top.utf8.count - 1) } ?? top
    let preload = try builtFile("libBerthPreload.so")
    let paths = try SandboxController().prepare(
      scenario: Array(scenario.utf8), scenarioName: "scenario.yaml", directory: directory, store: store,
      testEagain: testEagain, preload: preload)
    var ends: [Int32] = [0, 0]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw TestFailure("socketpair") }
    let (stop, stopper) = (ends[0], ends[1])
    let (ready, said) = AsyncStream<Void>.makeStream()
    let server = Task {
      defer { said.finish() }
      try await onThread { try serveSandbox(paths: paths, stop: stop) { said.yield() } }
    }
    var isReady = false
    for await _ in ready {
      isReady = true
      break
    }
    guard isReady else {
      close(stopper)
      try await server.value
      throw TestFailure("the sandbox ended before it was ready")
    }
    do {
      try await body(LiveSandbox(paths: paths, preload: preload))
    } catch {
      close(stopper)
      _ = await server.result
      throw error
    }
    close(stopper)
    try await server.value
    close(stop)
    try await onThread { try SandboxController().stop(directory: paths.directory, removeDirectory: true) }
    if directory != top { unsafe rmdir(top) }
  }

  static func temporaryDirectory() throws -> String {
    var template = Array("/tmp/berth-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw TestFailure("mkdtemp: \(errno)") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  func connect() throws -> StoreLink { try StoreLink(path: paths.storeSocket) }

  func status() throws -> SandboxStatus { try SandboxController().status(directory: paths.directory) }
  func domain(_ number: UInt32) throws -> SandboxStatus.Domain {
    try #require(try status().domains.first { $0.id == DomainID(number) })
  }
  @discardableResult func request(_ line: String) throws -> String {
    try SandboxController().request(line, directory: paths.directory)
  }

  /// Returns stock xl on this sandbox.
  func xl(_ arguments: String...) throws -> Command {
    Command(try xenProgram("xl"), arguments, environment: paths.environment(forXenTools: preload))
  }

  /// Waits, on watches, until every node has its value; nil means that the node does not exist.
  func wait(
    for nodes: [String: String?], within limit: Duration = .seconds(20), _ location: SourceLocation = #_sourceLocation
  ) throws {
    let link = try connect()
    for path in nodes.keys { try link.watch(path) }
    let end = ContinuousClock.now + limit
    while true {
      _ = try link.takeEvents()
      let wrong = try nodes.filter { try link.read($0.key) != $0.value }
      if wrong.isEmpty { return }
      let left = end - .now
      guard left > .zero else {
        let found = try wrong.map { "\($0.key) is \(try link.read($0.key) ?? "not there"), not \($0.value ?? "gone")" }
        Issue.record("\(found.sorted().joined(separator: "; "))", sourceLocation: location)
        throw TestFailure("timed out")
      }
      var entry = pollfd(fd: link.descriptor, events: Int16(POLLIN), revents: 0)
      if try !link.hasEvents() { _ = unsafe poll(&entry, 1, Int32(clamping: left.components.seconds * 1000 + 999)) }
    }
  }

  /// Returns all nodes at and below a path as `xenstore-ls -fp` prints them, sorted.
  func dump(_ path: String) throws -> [String] {
    let link = try connect()
    func lines(_ path: String) throws -> [String] {
      guard let value = try link.read(path), let names = try link.list(path) else { return [] }
      let permissions = try link.permissions(path) ?? ""
      return try ["\(path) = \"\(value)\"   (\(permissions))"] + names.flatMap { try lines(path + "/" + $0) }
    }
    return try lines(path).sorted()
  }
}

/// A toolstack's writes, made by the test.
struct Hand {
  let link: StoreLink
  let domain: DomainID
  var back: String { StorePath.backEnd(domain).text }
  var front: String { StorePath.frontEnd(domain).text }

  /// Makes a new bus with these devices, in one commit.
  func create(_ devices: [PCIAddress]) throws {
    try link.transaction { (inside: any SimulatorStore) throws(StoreError) in
      try inside.write(back, "")
      try inside.setPermissions(back, StorePermissions(owner: .zero, reader: domain))
      try inside.write(front, "")
      try inside.setPermissions(front, StorePermissions(owner: domain, reader: .zero))
      for (name, value) in [("frontend", front), ("frontend-id", "\(domain)"), ("online", "1"), ("state", "1")] {
        try inside.write("\(back)/\(name)", value)
      }
      for (name, value) in [("backend", back), ("backend-id", "0"), ("state", "1")] {
        try inside.write("\(front)/\(name)", value)
      }
      try write(devices, from: 0, inside)
      return true
    }
  }

  /// Adds entries after the existing ones, and starts a round. `state` is the back end's new state; nil does not change
  /// it.
  func append(_ devices: [PCIAddress], state: String? = "7") throws {
    try link.transaction { (inside: any SimulatorStore) throws(StoreError) in
      let count = try inside.read(back + "/num_devs").flatMap { Int($0) } ?? 0
      try write(devices, from: count, inside)
      if let state { try inside.write(back + "/state", state) }
      return true
    }
  }

  /// Marks entries as leaving, and starts a round.
  func detach(_ indices: [Int]) throws {
    try link.transaction { (inside: any SimulatorStore) throws(StoreError) in
      for index in indices { try inside.write("\(back)/state-\(index)", "5") }
      try inside.write(back + "/state", "7")
      return true
    }
  }

  func write(_ nodes: [String: String]) throws {
    try link.transaction { (inside: any SimulatorStore) throws(StoreError) in
      for (path, value) in nodes { try inside.write(path, value) }
      return true
    }
  }

  func remove(_ paths: [String]) throws {
    try link.transaction { (inside: any SimulatorStore) throws(StoreError) in
      for path in paths { try inside.remove(path) }
      return true
    }
  }

  private func write(_ devices: [PCIAddress], from first: Int, _ inside: any SimulatorStore) throws(StoreError) {
    for (offset, device) in devices.enumerated() {
      for (name, value) in [("dev", "\(device)"), ("key", "\(device)"), ("state", "1")] {
        try inside.write("\(back)/\(name)-\(first + offset)", value)
      }
    }
    try inside.write(back + "/num_devs", "\(first + devices.count)")
  }
}
