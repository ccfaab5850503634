import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// What the tests of `berth pull` have in common.
enum PullTrial {
  static let devices = [Sample.address(0), Sample.address(1)]
  static let record = "host/root/var/lib/berth/pull/accepted.json"

  /// Returns a manifest that declares these devices for `net`.
  static func manifest(_ devices: [PCIAddress], host: String = "test") -> String {
    let list = devices.map { "{address: \"\($0)\", id: \"8086:1533\"}" }.joined(separator: ", ")
    return """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      metadata: {name: "\(host)"}
      spec:
        domains:
          net: {devices: [\(list)]}

      """
  }

  /// Calls `body` with a sandbox, and with a repository whose first commit declares the first device.
  static func with(
    _ scenario: String = TestScenario.host(), _ body: (TestHost, TestRepository) async throws -> Void
  ) async throws {
    try await TestHost.with(scenario, isTracing: true) { host in
      let repository = try await TestRepository(in: host.folder)
      try await repository.commit("first", ["hosts/test.yaml": manifest([devices[0]])])
      try await body(host, repository)
    }
  }

  static func words(_ repository: TestRepository) -> [String] {
    ["pull", "--from", repository.url, "--branch", "main", "--directory", "hosts"]
  }

  /// Pulls, and expects a status and some words.
  @discardableResult
  static func pull(
    _ host: TestHost, _ repository: TestRepository, _ more: String..., status: Int32 = 0, says words: String = "",
    environment: [String: String] = [:], _ place: SourceLocation = #_sourceLocation
  ) async throws -> Command.Result {
    let answer = try await host.berth(Self.words(repository) + more, environment: environment)
    #expect(
      answer.status == status && (answer.errors + answer.output).contains(words), "\(words): \(answer)",
      sourceLocation: place)
    return answer
  }

  /// Expects that `body` changes neither the host nor the record.
  static func expectUntouched(_ host: TestHost, _ body: () async throws -> Void) async throws {
    func record() throws -> [UInt8]? {
      FileManager.default.fileExists(atPath: host.folder.path + "/" + Self.record)
        ? try host.folder.read(Self.record) : nil
    }
    let before = (try host.storeChanges(), try record())
    try await body()
    #expect(try host.storeChanges() == before.0)
    #expect(try record() == before.1)
  }

  /// Waits until git's processes about a repository are gone. All of them were sent a signal that none can ignore, but
  /// only their leader is this program's to wait for: the kernel ends the others in its own time.
  static func expectEnd(ofProcessesNaming text: String) throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      let left = try processes(naming: text)
      if left.isEmpty { return }
      try #require(.now < deadline, "still alive: \(left)")
    }
  }

  /// Returns the processes of git whose command line has a text.
  static func processes(naming text: String) throws -> [Int32] {
    try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap(Int32.init).filter { process in
      let file = unsafe open("/proc/\(process)/cmdline", O_RDONLY | O_CLOEXEC)
      guard file >= 0 else { return false }
      defer { close(file) }
      var bytes = [UInt8](repeating: 0, count: 4096)
      let line = String(decoding: bytes[..<max(0, unsafe read(file, &bytes, bytes.count))], as: UTF8.self)
      return line.contains(text) && line.contains("git") && !line.contains("berth\0")
    }
  }
}
