import FoundationEssentials
import Model
import Planning
import TestSupport
import Testing

/// A sandbox for histories of concurrent runs, one history after the other.
struct HistoryHost {
  /// A planned run: what it declares, and when it begins.
  struct Wish {
    var delay: Duration
    var manifest: History.Manifest
  }

  /// After this number of violations, more histories would show nothing new.
  static let mostViolations = 5
  /// The exit statuses of runs that met others: done, blocked, stale, unknown, and a lock that was busy.
  private static let usualStatuses: Set<Int32> = [0, 3, 4, 7, 75]

  let host: TestHost
  let kind: Kind
  /// The names of the sandbox's domains.
  let domains: [String]
  let devices: [PCIAddress]
  /// Whether everything is known to be as an apply left it.
  private var isSound = true
  /// The number of runs that ended with each exit status.
  private(set) var statuses: [Int32: Int] = [:]

  init(_ host: TestHost, _ kind: Kind, _ domains: [String], devices: Int) {
    (self.host, self.kind, self.domains, self.devices) = (host, kind, domains, addresses(0..<devices))
  }

  /// Makes the runs in parallel, from the start that `start` declares for every domain.
  ///
  /// Returns the history, and everything that is wrong with the stores afterwards.
  mutating func meeting(from start: History.Manifest, _ wishes: [Wish]) async throws -> (History, [String]) {
    try await reset(to: start)
    let entries = try wishes.enumerated().map { number, wish in
      (delay: wish.delay, command: try apply(wish.manifest, name: "run-\(number).yaml"))
    }
    let ends = try await ProgramStarts(entries).run()
    let runs = try zip(wishes, ends).enumerated().map { number, run in
      let result = run.1.result
      return try History.Run(
        "\(number + 1)", run.1.time, wants: run.0.manifest, output: result.output, errors: result.errors,
        status: result.status)
    }
    for run in runs { statuses[run.status, default: 0] += 1 }
    let (end, findings) = try await look()
    isSound = findings.isEmpty && runs.allSatisfy { [0, 3, 4, 75].contains($0.status) }
    return (History(start: Self.placements(start), runs: runs, end: end), findings)
  }

  /// Calls `meeting`, and records an issue if the stores disagree, if no order explains the reports, if no run
  /// did anything, or if a run ended with an unusual exit status.
  ///
  /// Returns whether it recorded an issue.
  mutating func isViolated(_ what: String, from start: History.Manifest, _ wishes: [Wish]) async throws -> Bool {
    let (history, findings) = try await meeting(from: start, wishes)
    let isExplained = history.explain() != nil
    // The run that locks a domain first finds the state for which it was planned there. If all runs refused, any order
    // would explain them. A run may do one domain's part and come too late for another's, so it need not end with 0.
    let hasEffect = history.runs.contains { run in run.status == 0 || run.steps.contains { $0.result == .done } }
    let unusual = Set(history.runs.map(\.status)).subtracting(Self.usualStatuses).sorted()
    var faults: [String] = []
    if !isExplained { faults.append("no order of the runs explains") }
    if !hasEffect { faults.append("no run did anything") }
    if !findings.isEmpty { faults.append("the stores disagree") }
    if !unusual.isEmpty { faults.append("exit status \(unusual.map(String.init).joined(separator: ", "))") }
    guard !faults.isEmpty else { return false }
    isSound = false
    let summary = faults.joined(separator: "; ")
    Issue.record("\(what): \(summary):\n\(history.shortest())\nthe stores at rest: \(findings)")
    return true
  }

  // MARK: Pieces

  private func apply(_ manifest: History.Manifest, name: String) throws -> Command {
    var text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n"
    for (domain, devices) in manifest.sorted(by: { $0.key < $1.key }) {
      text += "    \(domain):\n      devices:\(devices.isEmpty ? " []" : "")\n"
      for (device, options) in devices.sorted(by: { $0.key < $1.key }) {
        text += "        - {address: \"\(device)\", permissive: \(options.permissive), "
        text += "msiTranslate: \(options.msiTranslate)}\n"
      }
    }
    try host.folder.write(name, text)
    // A domain that a wish leaves out is to lose its devices.
    let words = ["apply", "\(host.folder.path)/\(name)", "--yes", "--allow-removals", "-o", "json"]
    return try Command.berth(
      words + ["--wait-timeout", "20s", "--lock-timeout", "10m"], environment: ["BERTH_SANDBOX": host.directory])
  }

  /// Gives the domains their devices at the start; replaces the guests if the old ones may be damaged.
  private mutating func reset(to start: History.Manifest) async throws {
    if !isSound {
      for domain in domains { try await host.change("destroy", domain) }
      for domain in domains { try await host.change("start-domain", domain) }
    }
    let result = try await apply(start, name: "start.yaml").run(within: .seconds(120))
    guard result.status == 0 else { throw Odd(description: "the start: \(result.output)\(result.errors)") }
    isSound = true
  }

  private static func placements(_ manifest: History.Manifest) -> History.Placements {
    var places: History.Placements = [:]
    for (domain, devices) in manifest {
      for (device, options) in devices { places[device] = History.Placement(domain, options) }
    }
    return places
  }

  /// Returns where each device is now, and what the stores disagree about.
  private func look() async throws -> ([PCIAddress: History.Found], [String]) {
    let (view, report) = (try await host.status(), try await report())
    var found: [PCIAddress: History.Found] = [:]
    for device in devices { found[device] = try place(of: device, view, report) }
    var findings = report.findings
    for domain in domains {
      let numbers = devices.indices.filter { number in
        guard case .placed(let place?) = found[devices[number]] else { return false }
        return place.domain == domain
      }
      findings += try await host.findings(domain, kind, numbers)
    }
    return (found, findings + (try host.intents().map { "intent \($0)" }))
  }

  /// Returns where a device is if the hypervisor, pciback, the guest and Berth's record agree.
  private func place(of device: PCIAddress, _ view: SandboxView, _ report: Report) throws -> History.Found {
    var holders: [String: [String]] = [:]
    for name in domains {
      let guest = try view.domain(name)
      let bus = try kind.hasStub ? view.domain(name + "-dm") : guest
      if guest.assigned.contains(device) { holders["assigned to", default: []].append(name) }
      if bus.exported.values.contains(device) { holders["exported to", default: []].append(name) }
      let shown =
        kind.hasDeviceModel
        ? guest.deviceModel?.devices.compactMap(\.address) ?? [] : Array(guest.guestDevices.values)
      if shown.contains(device) { holders["seen by", default: []].append(name) }
      if report.entry(device, name)?.isOwned == true { holders["on record for", default: []].append(name) }
    }
    let names = Set(holders.values)
    if holders.isEmpty { return .placed(nil) }
    guard holders.count == 4, names.count == 1, let name = names.first?.first, names.first?.count == 1 else {
      let words = holders.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.joined(separator: " and "))" }
      return .torn(words.joined(separator: ", "))
    }
    return .placed(History.Placement(name, report.entry(device, name)?.deviceOptions ?? DeviceOptions()))
  }

  /// The part of a Status document that the test reads.
  private struct Report: Decodable {
    struct Domain: Decodable {
      var name: String
      var devices: [Entry]
    }
    struct Entry: Decodable {
      struct Device: Decodable { var address: PCIAddress }
      struct Options: Decodable { var permissive, msiTranslate: Bool }
      var device: Device
      var attachment: String
      var options: Options?
      var isOwned: Bool

      var deviceOptions: DeviceOptions {
        DeviceOptions(permissive: options?.permissive == true, msiTranslate: options?.msiTranslate == true)
      }
    }
    struct Anomaly: Decodable, CustomStringConvertible {
      var domain, device: String?
      var reason, evidence: String
      var description: String { "\(reason) \(domain ?? "") \(device ?? ""): \(evidence)" }
    }
    var domains: [Domain]
    var anomalies: [Anomaly]

    func entry(_ device: PCIAddress, _ domain: String) -> Entry? {
      domains.first { $0.name == domain }?.devices.first { $0.device.address == device }
    }

    /// What `berth status` itself reports as wrong.
    var findings: [String] {
      anomalies.map(\.description)
        + domains.flatMap { domain in
          domain.devices.filter { $0.attachment != "attached" }
            .map { "\(domain.name) \($0.device.address): \($0.attachment)" }
        }
    }
  }

  private func report() async throws -> Report {
    let result = try await host.berth("status", "-o", "json")
    guard result.status == 0 else { throw Odd(description: "status: \(result.errors)") }
    return try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
  }
}
