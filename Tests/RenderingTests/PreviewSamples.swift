import Model
import Planning
import Rendering

/// What previews are made of in tests.
enum PreviewSamples {
  /// Returns a plan with every kind of step, with what was not found and with a lock, beside its manifest.
  static func everything(refusal: PlanRefusal? = nil) throws -> PlanView {
    var plan = try Samples.everything()
    plan.refusal = refusal
    var selector = DeviceSelector()
    selector.nvmeSerial = "S4EVNX0R"
    plan.domains[2].unresolved = [
      UnresolvedStep(
        label: "disk", selector: selector, obstacle: .deviceMissing, evidence: "no device has nvmeSerial S4EVNX0R")
    ]
    plan.domains[2].steps += [
      try Samples.step("0000:08:00.2", .kept(.pruneNever)), try Samples.step("0000:08:00.3", .kept(.otherSet)),
    ]
    plan.domains[1].run = RunHolder(process: 4711, command: "berth apply")
    let lock = LockReport(
      path: "host17.lock.yaml", differences: [LockDifference(label: "lan1", kind: .notLocked)])
    return PlanView(
      plan: plan, warnings: ["the id of device 0000:04:00.0 is not given"], lock: lock, naming: Samples.naming,
      declarations: declarations)
  }

  /// The places of a manifest in which each domain has its line, and each device its column.
  static let declarations = Declarations(files: ["./hosts/host17.yaml"], directory: "/repo") { domain, label, address in
    let line = ["build": 8, "gpu-vm": 12, "sys-net": 20][domain.text] ?? 0
    return line == 0
      ? nil
      : ManifestPlace(
        file: "/repo/hosts/host17.yaml", line: line + Int(address?.function ?? 7) + 1, column: label == nil ? 11 : 13)
  }

  static let invalid = ValidationView(
    files: [], hosts: [],
    remarks: [
      Remark(
        severity: .warning, file: "hosts/host17.yaml", line: 9, column: 11,
        message: "the id of device 0000:03:00.0 is not given",
        hint: "add the id that lspci -n -s 0000:03:00.0 prints: Berth then leaves another card at this address alone"),
      Remark(
        severity: .error, file: "hosts/host17.yaml", line: 12, column: 7, message: "'domain' has no key 'devcies'",
        hint: "did you mean 'devices'?"),
      Remark(severity: .error, file: "hosts/other.yaml", line: 0, column: 0, message: "the text is larger than 1 byte"),
      Remark(severity: .error, file: "", line: 0, column: 0, message: "up to 7 more errors are not shown"),
    ])

  static let valid = ValidationView(
    files: ["hosts/host17.yaml"], hosts: [ValidatedHost(host: "host17", domainCount: 2, deviceCount: 3)], remarks: [])

  /// Returns a plan in which a text stands wherever a text from outside can stand.
  static func filled(with text: String) throws -> PlanView {
    let name = Name(text)
    func step(_ function: Int, _ kind: DeviceStep.Kind) throws -> DeviceStep {
      DeviceStep(
        domain: .name(name), device: try Samples.address("0000:03:00.\(function)"),
        deviceID: try Samples.id("8086:1533"), label: text, kind: kind, after: DeviceOptions(), evidence: text,
        remedy: text, effects: [text])
    }
    var selector = DeviceSelector()
    (selector.serial, selector.slot) = (text, text)
    var domain = DomainPlan(
      name: name, id: DomainID(4), kind: .pv, lifecycle: .running,
      steps: [
        try step(0, .blocked(.domainUnknown)), try step(1, .pending(.domainAbsent)), try step(2, .unchanged),
        try step(3, .change(.attach(DeviceOptions(), because: .declared), in: try Samples.target(name, "4"))),
        try step(4, .change(.repair(.saveEntry), in: try Samples.target(name, "4"))),
        try step(5, .drift(.duplicateEntry)), try step(6, .foreign),
      ],
      unresolved: [
        UnresolvedStep(label: text, selector: selector, obstacle: .selectorAmbiguous, evidence: text, remedy: text)
      ])
    domain.run = RunHolder(process: 1, command: text)
    var plan = Plan(
      host: HostFacts(name: text, xenVersion: text), domainCount: 1, deviceCount: 7, policy: Policy(),
      domains: [domain], refusal: .domainLeftOut(names: [text], planned: 1))
    plan.set = text
    plan.driverSteps = [
      DriverStep(
        .prepare, device: try Samples.address("0000:03:00.3"), label: text, driver: text, domain: name, evidence: text,
        override: InterlockOverride(reason: text, user: text))
    ]
    plan.hostSteps = [HostStep(.removeBackEnd(of: DomainID(9)), evidence: text)]
    return PlanView(
      plan: plan, warnings: [text],
      lock: LockReport(path: text, differences: [LockDifference(label: text, kind: .notLocked)]),
      naming: { _ in text },
      declarations: Declarations(files: [text]) { _, _, _ in ManifestPlace(file: text, line: 3, column: 5) })
  }

  /// Returns remarks in which a text stands wherever a text from outside can stand.
  static func remarks(filledWith text: String) -> ValidationView {
    ValidationView(
      files: [text], hosts: [ValidatedHost(host: text, domainCount: 1, deviceCount: 1)],
      remarks: [
        Remark(severity: .error, file: text, line: 3, column: 5, message: text, hint: text),
        Remark(severity: .warning, file: text, line: 0, column: 0, message: text, hint: text),
      ])
  }
}
