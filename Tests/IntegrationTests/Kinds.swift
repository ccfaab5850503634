import FoundationEssentials
import Model
import TestSupport
import Testing

/// A kind of domain, and the route of its devices.
enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
  case pv
  case hvm
  case stub
  case traditional
  case traditionalStub

  static let deviceModels: [Kind] = [.hvm, .stub, .traditional, .traditionalStub]
  static let upstream: [Kind] = [.hvm, .stub]
  static let stubs: [Kind] = [.stub, .traditionalStub]

  var testDescription: String {
    switch self {
    case .pv: "PV"
    case .hvm: "HVM"
    case .stub: "HVM with a stub domain"
    case .traditional: "qemu-traditional"
    case .traditionalStub: "qemu-traditional in a stub domain"
    }
  }

  var hasDeviceModel: Bool { self != .pv }
  var hasStub: Bool { self == .stub || self == .traditionalStub }
  var isTraditional: Bool { self == .traditional || self == .traditionalStub }

  /// A domain of a scenario. Its stub domain has the next number.
  func domain(_ name: String, _ number: Int, _ rest: String = "") -> String {
    var text = "{name: \(name), domid: \(number)"
    if hasDeviceModel { text += ", kind: hvm" }
    if hasStub { text += ", stubDomain: {domid: \(number + 1)}" }
    if isTraditional { text += ", deviceModel: qemu-traditional" }
    return text + (rest.isEmpty ? "" : ", \(rest)") + "}"
  }
}

/// Why a test cannot continue.
struct Odd: Error, CustomStringConvertible {
  var description: String
}

/// The two xenstoreds that a host can have.
let bothStores = [TestHost.Store.c, .ox]

/// `Sample`'s devices of these numbers.
func addresses(_ numbers: some Sequence<Int>) -> [PCIAddress] { numbers.map(Sample.address) }

/// The document of `berth apply -o json`.
struct Applied: Decodable, CustomStringConvertible {
  struct Step: Decodable {
    struct Device: Decodable { var address: PCIAddress }
    var device: Device
    var action: String
    var result: String
    var detail: String?
    var isUndone: Bool
  }
  struct Domain: Decodable {
    var name: String
    var steps: [Step]
    var failure: String?
    var rounds: Int
  }
  struct Plan: Decodable {
    struct Domain: Decodable {
      struct Step: Decodable {
        var device: Applied.Step.Device
        var action: String
        var reason: String
      }
      var name: String
      var steps: [Step]
    }
    var domains: [Domain]
  }
  var exitStatus: Int32
  var domains: [Domain]
  var plan: Plan
  /// The program's own exit code.
  var status: Int32 = -1
  var duration = Duration.zero

  private enum CodingKeys: String, CodingKey { case exitStatus, domains, plan }

  /// Returns the outcome of a device.
  func step(_ device: PCIAddress) -> Step? { domains.flatMap(\.steps).first { $0.device.address == device } }

  /// Everything that the document says about steps and domains, in one line for a failing test.
  var description: String {
    let steps = domains.flatMap { domain in
      domain.steps.map { "\(domain.name) \($0.device.address) \($0.action) \($0.result) \($0.detail ?? "")" }
        + [domain.failure.map { "\(domain.name): \($0)" }].compactMap(\.self)
    }
    let planned = plan.domains.flatMap { domain in
      domain.steps.map { "\(domain.name) \($0.device.address) \($0.action) \($0.reason)" }
    }
    return "\(status) \(duration): \(steps); planned: \(planned)"
  }
}

extension TestHost {
  /// Declares devices by their `Sample` numbers, and applies that.
  func apply(
    _ domains: [String: [Int]], options: String? = nil, wait: String = "60s", policy: String? = nil,
    name: String = "host.yaml"
  ) async throws -> Applied {
    let manifest = try manifest(domains.mapValues { addresses($0) }, options: options, policy: policy, name: name)
    return try await apply(manifest, wait: wait)
  }

  /// Applies a manifest, and returns its document. Throws if the output is not a document. The exit code must agree
  /// with the document.
  func apply(_ manifest: String, wait: String = "60s") async throws -> Applied {
    let result = try await berth(
      "apply", manifest, "--yes", "-o", "json", "--wait-timeout", wait, "--lock-timeout", "10m")
    let applied: Applied
    do {
      applied = try JSONDecoder().decode(Applied.self, from: Data(result.output.utf8))
    } catch {
      throw Odd(description: "apply: \(result.status) \(result.output)\(result.errors)")
    }
    guard applied.exitStatus == result.status else {
      throw Odd(description: "apply ends with \(result.status) and says \(applied.exitStatus)")
    }
    var whole = applied
    (whole.status, whole.duration) = (result.status, result.duration)
    return whole
  }

  /// Runs an apply, and does something else as soon as `condition` holds.
  func apply(
    _ domains: [String: [Int]], wait: String = "60s", once condition: @Sendable () async throws -> Bool,
    _ change: @Sendable () async throws -> Void
  ) async throws -> Applied {
    let manifest = try manifest(domains.mapValues { addresses($0) })
    async let applied = apply(manifest, wait: wait)
    do {
      try await poll(condition)
      try await change()
    } catch {
      _ = try await applied
      throw error
    }
    return try await applied
  }

  /// Repeats a look until the condition holds. Each look asks the sandbox at least once.
  func poll(_ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !condition() {
      guard .now < deadline else { throw Odd(description: "what a test waits for did not come") }
    }
  }

  /// Sets what is wrong with a domain's QEMU from now on.
  func disturb(_ domain: String, _ words: [String]) async throws {
    let result = try await berth(["sandbox", "device-model", domain] + words)
    guard result.status == 0 else { throw Odd(description: "device-model \(domain) \(words): \(result.errors)") }
  }

  /// Returns the intents that are on disk.
  func intents() throws -> [String] {
    let folder = "\(directory)/root/run/berth/intents"
    guard FileManager.default.fileExists(atPath: folder) else { return [] }
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }
}
