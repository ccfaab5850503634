package import Model
package import Planning

/// The plans of many hosts, for people and for programs.
package struct FleetView: View {
  package let hosts: [FleetHost]
  package let status: ExitStatus
  /// The directory that previews have paths relative to; nil if it is not known.
  let directory: String?

  package init(hosts: [FleetHost], status: ExitStatus, directory: String?) {
    (self.hosts, self.status, self.directory) = (hosts, status, directory)
  }

  package var document: FleetDocument { FleetDocument(self) }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    for host in hosts {
      let size = host.failure == nil ? Words.size(domains: host.domainCount, devices: host.deviceCount) : host.place
      columns.row(
        host.state.mark, Model.cut(visible(host.name), to: Columns.widestName), size,
        host.failure == nil ? host.sentence : "not planned: \(host.sentence)",
        notes: host.failure?.hint.map { ["next: \($0)"] } ?? [])
    }
    var result: TerminalText = "\(style.printable(header))\n\n\(columns.rendered())"
    for case .text(let plan) in hosts.map(\.detail) { result += "\n\(plan)" }
    return result + "\n\(style.printable(summary))\n"
  }

  /// Returns the number of hosts in a state.
  func count(_ state: FleetHost.State) -> Int { hosts.count { $0.state == state } }

  /// `Fleet of 3 hosts · 4 domains, 11 devices`.
  var header: String {
    let size = Words.size(
      domains: hosts.reduce(0) { $0 + $1.domainCount }, devices: hosts.reduce(0) { $0 + $1.deviceCount })
    return "Fleet of \(Words.count(hosts.count, "host")) · \(size)"
  }

  /// `1 not planned, 2 with changes, 4 as declared`.
  var figures: String { Words.counts(FleetHost.State.allCases.map { (count($0), $0.words) }) }

  /// The result of all plans in one sentence.
  var summary: String { "Hosts: \(figures)." }
}

extension Words {
  /// `4 domains, 11 devices`.
  static func size(domains: Int, devices: Int) -> String {
    count(domains, "domain") + ", " + count(devices, "device")
  }
}

/// The plans of many hosts for programs: `{"formatVersion": 1, "kind": "FleetPlan", …}`.
///
/// Keys without a value are left out. docs/output.md describes each.
package struct FleetDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "FleetPlan", formatVersion: 1)
  let exitStatus: Int32
  let summary: Summary
  let hosts: [Host]

  /// How many hosts there are in each state.
  struct Summary: Encodable, Sendable {
    let notPlanned, blocked, changing, pending, asDeclared: Int
  }

  struct Host: Encodable, Sendable {
    let name: String
    let state: String
    let exitStatus: Int32
    /// Nil if there is no snapshot.
    let snapshot: String?
    /// Nil if the host was planned.
    let failure: FailureDocument?
    /// Nil if the host was not planned.
    let plan: WithHead<PlanDocument>?
  }

  struct FailureDocument: Encodable, Sendable {
    let message: String
    let remedy: String?
  }

  init(_ view: FleetView) {
    exitStatus = view.status.rawValue
    summary = Summary(
      notPlanned: view.count(.notPlanned), blocked: view.count(.blocked), changing: view.count(.changing),
      pending: view.count(.pending), asDeclared: view.count(.asDeclared))
    hosts = view.hosts.map { host in
      let plan: WithHead<PlanDocument>? = if case .document(let plan) = host.detail { plan } else { nil }
      return Host(
        name: host.name, state: host.state.rawValue, exitStatus: host.status.rawValue,
        snapshot: host.source.isEmpty ? nil : host.source,
        failure: host.failure.map { FailureDocument(message: $0.message, remedy: $0.hint) }, plan: plan)
    }
  }
}
