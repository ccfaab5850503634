import Model
import Planning
import Rendering

/// Fleets in tests.
enum FleetSamples {
  /// Returns a fleet with a host in each state, for one form.
  static func everything(_ format: OutputFormat, style: TextStyle = TextStyle()) throws -> FleetView {
    func host(_ name: String, _ plan: Plan, _ status: ExitStatus, warnings: [String] = []) -> FleetHost {
      var plan = plan
      plan.host.name = name
      let view = PlanView(
        plan: plan, warnings: warnings, fingerprint: "sha256:" + String(repeating: "0", count: 64),
        naming: Samples.naming,
        declarations: PreviewSamples.declarations)
      return FleetHost(
        source: "fleet/\(name).json", place: "\(name).json", view: view, status: status, format: format, style: style)
    }
    var refused = try Samples.everything()
    refused.refusal = .tooManyRemovals(planned: 5, allowed: 4)
    let hosts = [
      host(
        "host01",
        try plan(
          try Samples.step("0000:03:00.0", .detach(DeviceOptions(), because: .notDeclared), effects: ["it is gone"])),
        .changesPending, warnings: ["look here"]),
      host("host02", try plan(try Samples.step("0000:03:00.0", .unchanged)), .done, warnings: ["look here"]),
      host("host03", try plan(try Samples.step("0000:03:00.0", .pending(.domainAbsent))), .done),
      host("host04", try Samples.everything(), .blocked), host("host05", refused, .blocked),
      FleetHost(
        name: "host06", source: "fleet/host06.json", place: "host06.json",
        failure: Failure(.invalidManifest, "fleet/host06.json is empty", hint: "`berth snapshot` writes one")),
      FleetHost(name: "host07", source: "", place: "", failure: Failure(.noManifest, "no snapshot")),
    ]
    return FleetView(hosts: hosts, status: .failed, directory: "/repo")
  }

  /// Returns a fleet in which a text stands wherever a text from outside can stand.
  static func filled(with text: String, _ format: OutputFormat) throws -> FleetView {
    var view = try PreviewSamples.filled(with: text)
    view.plan.host.name = text
    var refused = view
    refused.plan.refusal = .notRunning(count: 1)
    let failure = FleetHost(name: text, source: text, place: text, failure: Failure(.failed, text, hint: text))
    let hosts = [view, refused].map {
      FleetHost(
        source: text, place: text, view: $0, status: .blocked, format: format, style: TextStyle(isVerbose: true))
    }
    return FleetView(hosts: hosts + [failure], status: .failed, directory: nil)
  }

  private static func plan(_ step: DeviceStep) throws -> Plan {
    Plan(
      host: HostFacts(name: "host"), domainCount: 1, deviceCount: 1, policy: Policy(),
      domains: [
        DomainPlan(
          name: "web", id: DomainID(4), kind: .pv, lifecycle: .running,
          steps: [step])
      ])
  }
}
