import FoundationEssentials
package import Model
import XenProtocol

/// A sandbox for one test, with the built `berth` to use on it as a person would.
package struct TestHost: Sendable {
  /// The xenstored that the sandbox runs.
  package enum Store: String, Sendable, CaseIterable {
    case c, ox
    /// oxenstored with an option that fails some commits on purpose.
    case failing
  }

  package let folder: TemporaryFolder
  package var directory: String { "\(folder.path)/host" }

  /// Starts a sandbox, passes it to `body`, and always ends it.
  package static func with<Result: Sendable>(
    _ scenario: String, _ store: Store = .c, isTracing: Bool = false,
    _ body: (TestHost) async throws -> Result
  ) async throws -> Result {
    await Places.forSandboxes.take()
    defer { Places.forSandboxes.free() }
    let host = TestHost(folder: try TemporaryFolder())
    try host.folder.write("scenario.yaml", scenario)
    var words = ["sandbox", "start", "\(host.folder.path)/scenario.yaml", "--store", store == .c ? "c" : "ox"]
    if store == .failing { words.append("--test-eagain") }
    if isTracing { words.append("--trace") }
    let start = try await host.berth(words)
    guard start.status == 0 else {
      throw Command.Failure(description: "the sandbox did not start: \(start.errors)\(start.output)")
    }
    let result: Swift.Result<Result, any Error>
    do {
      result = .success(try await body(host))
    } catch {
      result = .failure(error)
    }
    let stop = try await host.berth(["sandbox", "stop"])
    guard stop.status == 0 else { throw Command.Failure(description: "the sandbox did not stop: \(stop.errors)") }
    return try result.get()
  }

  // MARK: What a person types

  /// Runs `berth` on this sandbox.
  package func berth(
    _ words: [String], environment: [String: String] = [:], input: String? = nil,
    within deadline: Duration = .seconds(90)
  ) async throws -> Command.Result {
    try await Command.berth(
      words, environment: ["BERTH_SANDBOX": directory].merging(environment) { $1 }, input: input
    ).run(within: deadline)
  }

  package func berth(_ words: String...) async throws -> Command.Result { try await berth(words) }

  /// Changes something in the running sandbox: `pause net`, `answers net never`, …
  package func change(_ words: String...) async throws {
    let result = try await berth(["sandbox"] + words)
    guard result.status == 0 else { throw Command.Failure(description: "sandbox \(words): \(result.errors)") }
  }

  /// Writes a manifest that declares these domains' devices; returns the path of the file.
  package func manifest(
    _ domains: [String: [PCIAddress]], options: String? = nil, policy: String? = nil, name: String = "host.yaml"
  ) throws -> String {
    var text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n"
    if let policy { text += "  policy: \(policy)\n" }
    text += "  domains:\n"
    for (name, devices) in domains.sorted(by: { $0.key < $1.key }) {
      text += "    \(name):\n      devices:\(devices.isEmpty ? " []" : "")\n"
      for device in devices { text += "        - {address: \"\(device)\"\(options.map { ", " + $0 } ?? "")}\n" }
    }
    try folder.write(name, text)
    return "\(folder.path)/\(name)"
  }

  /// Returns Debian's own `xl` on this sandbox: not the wrapper in the path, which needs a real Xen.
  package func xl(_ words: String...) throws -> Command {
    try stock(xenProgram("xl"), words, isPreloaded: true)
  }

  /// Returns a stock Xen program on this sandbox's xenstored. With `isPreloaded` it also uses the sandbox's hypervisor
  /// and kernel.
  package func stock(_ program: String, _ words: [String], isPreloaded: Bool = false) throws -> Command {
    var environment = [
      "BERTH_SANDBOX": directory, "XENSTORED_PATH": "\(directory)/xenstored/socket",
      "XENSTORED_RUNDIR": "\(directory)/xenstored",
    ]
    if isPreloaded { environment["LD_PRELOAD"] = try builtFile("libBerthPreload.so") }
    return Command(program, words, environment: environment)
  }

  // MARK: The state of the host

  /// Returns how many requests that change something xenstored has served so far. The sandbox must have been started
  /// with a trace.
  package func storeChanges() throws -> Int {
    let changes = ["WRITE ", "MKDIR ", "RM ", "SET_PERMS "]
    return try storeRequests().count { request in changes.contains { request.hasPrefix($0) } }
  }

  /// Returns the requests that xenstored has served so far, such as `WRITE (/a 1)`. The sandbox must have been started with
  /// a trace.
  package func storeRequests() throws -> [Substring] {
    let trace = String(decoding: try folder.read("host/log/xenstored.trace"), as: UTF8.self)
    return trace.split(separator: "\n").compactMap { line in
      // `IN CONNECTION DATE TIME REQUEST (…)` in 4.17. Later releases begin with `io:`, and name the domain after the
      // connection: `io: IN CONNECTION (d0) DATE TIME REQUEST (…)` (`trace_io`, tools/xenstored/core.c, 4.20).
      var words = line.split(separator: " ", maxSplits: 7)[...]
      if words.first == "io:" { words.removeFirst() }
      guard words.popFirst() == "IN", words.popFirst() != nil else { return nil }
      if words.first?.hasPrefix("(") == true { words.removeFirst() }
      return words.dropFirst(2).first.map { line[$0.startIndex...] }
    }
  }

  /// Returns every node at and below a path of xenstore, with its value, as Debian's own client reads them.
  package func nodes(below path: String) async throws -> [String: String] {
    let listing = try await stock("/usr/bin/xenstore-ls", ["-f", path]).run()
    // Only the client's message shows that a path is missing.
    guard listing.status == 0 || listing.errors.contains("No such file") || listing.errors.contains("couldn't") else {
      throw Command.Failure(description: "xenstore-ls: \(listing.errors)")
    }
    var nodes: [String: String] = [:]
    for line in listing.output.split(separator: "\n") {
      guard let equals = line.firstRange(of: " = \"") else { continue }
      nodes[String(line[..<equals.lowerBound])] = String(line[equals.upperBound...].dropLast())
    }
    return nodes
  }

  package func write(_ path: String, _ value: String) async throws {
    let result = try await stock("/usr/bin/xenstore-write", ["--", path, value]).run()
    guard result.status == 0 else { throw Command.Failure(description: "xenstore-write: \(result.errors)") }
  }

  /// Waits until a node has a value.
  package func wait(for path: String, toBe value: String) async throws {
    try await wait(for: path, "become \(value)") { $0 == value }
  }

  /// Waits until a node has a number that is large enough. A smaller one may be gone before anybody has seen it.
  package func wait(for path: String, toReach least: Int) async throws {
    try await wait(for: path, "reach \(least)") { (Int($0) ?? 0) >= least }
  }

  /// Checks a node again and again. The limit is long, because other tests may delay this one.
  private func wait(for path: String, _ what: String, until isReached: (String) -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(120)
    let read = try stock("/usr/bin/xenstore-read", [path])
    while try await !isReached(String(read.run().output.dropLast())) {
      guard .now < deadline else { throw Command.Failure(description: "\(path) did not \(what)") }
    }
  }

  /// Returns the domains and devices as the simulated hypervisor, kernel and guests have them.
  package func status() async throws -> SandboxView {
    let result = try await berth(["sandbox", "status", "-o", "json"])
    guard result.status == 0 else { throw Command.Failure(description: "sandbox status: \(result.errors)") }
    return try JSONDecoder().decode(SandboxView.self, from: Data(result.output.utf8))
  }

  /// Returns the devices that libxl's saved configuration of a domain lists.
  package func savedDevices(of domain: SandboxView.Domain) throws -> [PCIAddress] {
    try saved(of: domain).map(\.address)
  }

  /// Returns the same devices with the slot at which QEMU is to show each: `0000:03:00.0@4`.
  package func savedPlaces(of domain: SandboxView.Domain) throws -> [String] {
    try saved(of: domain).map { "\($0.address)@\($0.options.virtualSlot.map(String.init) ?? "any")" }
  }

  private func saved(of domain: SandboxView.Domain) throws -> [SavedDevice] {
    let name = "host/root/var/lib/xen/userdata-d.\(domain.id).\(domain.uuid).libxl-json"
    return try SavedConfiguration(try folder.read(name)).devices
  }
}

/// The part of a sandbox's status that tests check.
package struct SandboxView: Decodable, Sendable {
  package struct Domain: Decodable, Sendable {
    package var id: DomainID
    package var name: String
    package var uuid: DomainUUID
    /// The devices that the guest's kernel has on its bus, by the guest's address.
    package var guestDevices: [PCIAddress: PCIAddress]
    package var exported: [PCIAddress: PCIAddress]
    package var assigned: [PCIAddress]
    package var mappedInterrupts: [UInt32]
    package var grantedRanges: Int
    package var stubDomain: DomainID?
    package var deviceModel: DeviceModel?
  }
  package struct DeviceModel: Decodable, Sendable {
    package var isRunning: Bool
    package var devices: [Emulated]
  }
  package struct Emulated: Decodable, Sendable {
    /// The host's device; nil for a bridge.
    package var address: PCIAddress?
    package var slot: UInt8
    package var isPermissive: Bool
    package var isLeaving: Bool
  }
  package struct Device: Decodable, Sendable {
    package var address: PCIAddress
    package var owner: String
    package var resets: Int
  }
  package var domains: [Domain]
  package var devices: [Device]

  package func domain(_ name: String) throws -> Domain {
    guard let domain = domains.first(where: { $0.name == name }) else {
      throw Command.Failure(description: "the sandbox has no domain \(name)")
    }
    return domain
  }
}

extension Command {
  /// Returns a command that runs the built `berth`.
  package static func berth(
    _ words: [String], environment: [String: String] = [:], input: String? = nil
  ) throws -> Command {
    // Variables of the person who runs the tests must not affect the results.
    let neutral = ["LC_ALL": "C.UTF-8", "NO_COLOR": "1", "BERTH_SANDBOX": "", "BERTH_MANIFEST": ""]
    return Command(try builtFile("berth"), words, environment: neutral.merging(environment) { $1 }, input: input)
  }

}
