import Model
import Planning
import Ports
import TestSupport
import Testing

/// What `berth doctor` says of the devices that pciback takes when a host starts.
@Suite struct BootFindingTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func findings(
    drivers: [String?] = ["pciback", "pciback"], isBridge: Bool = false, slots: Set<PCIAddress> = [],
    _ change: (inout BootFacts) -> Void
  ) -> [Finding] {
    var facts = BootFacts()
    change(&facts)
    let functions = zip([one, two], drivers).map { address, driver in
      var function = PCIFunction(name: FunctionName(address))
      (function.driver, function.deviceClass) = (driver, isBridge ? 0x060400 : 0x020000)
      return function
    }
    var examination = Examination(
      hostName: "host", takenAt: 1000, hypervisor: .success(.init(version: "4.17.7", hasIOMMU: true)),
      store: .success([]), pciback: .success(.init(isLoaded: true, deviceCount: 1)), records: .success(0),
      intents: .success([]), locks: .success([]),
      observation: .success(
        Observation(
          host: HostFacts(name: "host", hasIOMMU: true),
          devices: [Sample.device(one), Sample.device(two, heldBy: 7)])))
    examination.boot = BootExamination(facts: facts, inventory: Inventory(functions: functions, facts: []))
    examination.boot?.slots = slots
    // A claim without a domain is another finding.
    return diagnose(examination).filter { if case .ailment = $0.kind { true } else { false } }
  }

  private func names(_ findings: [Finding]) -> [String] {
    findings.map { finding in
      guard case .ailment(let ailment) = finding.kind else { return "drift" }
      return (finding.isNote ? "(\(ailment.rawValue))" : ailment.rawValue)
        + (finding.subject.isEmpty ? "" : " \(finding.subject)")
    }
  }

  private func options(_ hide: String, at time: Int64 = 100) -> BootFacts.ModuleOptions {
    BootFacts.ModuleOptions(path: "berth.conf", hide: hide, changedAt: time)
  }

  @Test func `what is configured and in force needs nothing`() {
    let found = findings { facts in
      facts.moduleOptions = [options("(\(two))")]
      facts.hideParameter = "(\(two))"
      facts.image = BootFacts.DatedFile(path: "initrd", changedAt: 100)
      facts.isPCIBackBuiltIn = false
      facts.commandLine = "quiet"
    }
    #expect(names(found) == [])
    #expect(names(findings { _ in }) == [])
  }

  @Test func `what is configured and not in force, and the other way round`() {
    let missing = findings { facts in
      facts.moduleOptions = [options("(\(two))(\(one))")]
      facts.hideParameter = "(\(two))(0000:7f:00.0)"
    }
    #expect(names(missing) == ["boot-hide-missing \(one)", "boot-hide-extra 0000:7f:00.0"])
    // Whoever loads pciback by hand may name devices, too.
    #expect(names(findings { $0.hideParameter = "(\(two))" }) == ["(boot-hide-extra) \(two)"])
    // The kernel's command line counts as a file does.
    let line = findings { facts in
      facts.commandLine = "quiet xen_pciback.hide=(\(two)) xen-pciback.permissive"
      facts.hideParameter = "(\(two))"
    }
    #expect(names(line) == [])
    // Without pciback, nothing is known to be in force.
    #expect(names(findings { $0.moduleOptions = [options("(\(two))")] }) == [])
  }

  @Test func `a list with an error is named with its place`() {
    let found = findings { facts in
      facts.moduleOptions = [options("(\(one)),(\(two))")]
      facts.hideParameter = "(\(one)"
      facts.commandLine = "xen-pciback.hide=03:00.0"
    }
    #expect(
      names(found) == [
        "boot-hide-unparsable berth.conf", "boot-hide-unparsable dom0's command line",
        "boot-hide-unparsable the parameter `hide` of xen-pciback",
      ])
    #expect(found.first?.evidence == "the error is at \",(\(two))\"")
  }

  @Test func `an image that is older than the options`() {
    func found(_ image: Int64) -> [String] {
      names(
        findings { facts in
          facts.moduleOptions = [options("(\(two))", at: 50), options("(\(two))", at: 100)]
          facts.hideParameter = "(\(two))"
          facts.image = BootFacts.DatedFile(path: "initrd", changedAt: image)
        })
    }
    #expect(found(99) == ["boot-image-older initrd"])
    #expect(found(100) == [])
  }

  @Test func `a driver that came first, a bridge, and a hidden device without quarantine are findings`() {
    func found(_ drivers: [String?], isBridge: Bool = false) -> [String] {
      names(
        findings(drivers: drivers, isBridge: isBridge) { facts in
          facts.moduleOptions = [options("(\(one))(\(two))")]
          facts.hideParameter = "(\(one))(\(two))"
        })
    }
    #expect(found(["igb", nil]) == ["native-driver-first \(one)"])
    // A domain has the second device, so only the first one may never have been assigned.
    #expect(found(["pciback", "pciback"]) == ["(hidden-unquarantined) \(one)"])
    #expect(found([nil, nil], isBridge: true) == ["bridge-in-slots \(one)", "bridge-in-slots \(two)"])
  }

  @Test func `a bridge that pciback was given since the start is a finding`() {
    #expect(names(findings(isBridge: true, slots: [one]) { _ in }) == ["bridge-in-slots \(one)"])
    #expect(names(findings(slots: [one]) { _ in }) == [])
    let both = findings(drivers: [nil, nil], isBridge: true, slots: [one]) { facts in
      facts.moduleOptions = [options("(\(one))")]
      facts.hideParameter = "(\(one))"
    }
    #expect(names(both) == ["bridge-in-slots \(one)"])
  }

  @Test func `a long command line, and a pciback without options`() {
    func line(_ count: Int) -> [String] { names(findings { $0.commandLine = String(repeating: "a", count: count) }) }
    #expect(line(900) == [])
    #expect(line(901) == ["(cmdline-near-limit)"])
    #expect(line(1022) == ["(cmdline-near-limit)"])
    #expect(line(1023) == ["cmdline-near-limit"])
    let builtIn = findings { facts in
      facts.isPCIBackBuiltIn = true
      facts.moduleOptions = [options("(\(two))")]
      facts.hideParameter = "(\(two))"
    }
    #expect(names(builtIn) == ["pciback-builtin berth.conf"])
    #expect(names(findings { $0.isPCIBackBuiltIn = true }) == [])
  }

  @Test func `a restart is required if something is not in force`() {
    func restart(_ change: @escaping (inout BootFacts) -> Void) -> RebootRequired? {
      var examination = Examination(
        hostName: "host", takenAt: 0, hypervisor: .success(.init(version: "4.17.7", hasIOMMU: true)),
        store: .success([]), pciback: .success(.init(isLoaded: true, deviceCount: 0)), records: .success(0),
        intents: .success([]), locks: .success([]), observation: nil)
      var facts = BootFacts()
      facts.bootID = "b-1"
      change(&facts)
      examination.boot = BootExamination(facts: facts, inventory: nil)
      return RebootRequired(examination, diagnose(examination))
    }
    let required = restart { facts in
      facts.moduleOptions = [options("(\(one))(\(two))")]
      facts.hideParameter = ""
    }
    #expect(required?.reasons == [.bootHideMissing] && required?.bootID == "b-1")
    #expect(restart { $0.hideParameter = "(\(one))" } == nil)
    #expect(restart { _ in } == nil)
  }
}
