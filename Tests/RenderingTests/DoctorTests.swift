import Model
import Planning
import Ports
import Rendering
import Testing
import XenProtocol

@Suite struct DoctorTests {
  private func view(isDown: Bool) throws -> DoctorView {
    var examination = Examination(
      hostName: "host17", takenAt: 10_000,
      hypervisor: .success(.init(version: "4.17.5", hasIOMMU: false, library: XenRelease(4, 17))),
      store: .success([
        .init(domain: DomainID(3), isFrontEnd: false, text: "22 Couldn't locate PCI device"),
        .init(domain: DomainID(3), isFrontEnd: true, text: "\u{1B}[2J"),
      ]), pciback: .success(.init(isLoaded: false, deviceCount: 0)), records: .success(2),
      intents: .failure(.record(RecordError(.damaged, operation: "read", place: "intents/17-4.json"))),
      locks: .success([
        UserdataLock(
          domain: DomainKey(id: DomainID(2), uuid: try Samples.uuid("2")), name: "domain-userdata-lock",
          path: "userdata-l.2", isHeld: true, holder: LockHolder(process: 4711, command: "xl pci-attach"), since: 6_400),
        UserdataLock(
          domain: DomainKey(id: DomainID(3), uuid: try Samples.uuid("3")), name: "qmp-socket-lock",
          path: "userdata-l.3", isHeld: false, since: 9_000),
      ]), observation: .success(try Samples.observation()))
    if isDown {
      examination.hypervisor = .failure(
        .hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open", errno: 2)))
      examination.store = .failure(.store(StoreError(.unreachable, operation: "open", errno: 2)))
      examination.locks = .success([])
      examination.intents = .success([])
      examination.observation = nil
    }
    return DoctorView(
      examination: examination, findings: diagnose(examination), place: HostPlace(sandbox: nil, userID: 0))
  }

  @Test(arguments: ViewGoldenTests.styles.indices)
  func `a sick host`(_ index: Int) throws {
    let (suffix, style) = ViewGoldenTests.styles[index]
    let text = try rendered(try view(isDown: false), as: .table, style: style)
    try expectGolden(text, "everything/doctor.\(suffix)")
    for line in text.split(separator: "\n") { #expect(!line.hasSuffix(" "), "\(line)") }
  }

  @Test func `a sick host as a document`() throws {
    try expectGolden(try rendered(try view(isDown: false), as: .json, style: TextStyle()), "everything/doctor.json")
  }

  @Test func `a host that does not answer`() throws {
    try expectGolden(try rendered(try view(isDown: true), as: .table, style: TextStyle()), "everything/doctor.down.txt")
  }

  @Test func `a file that the caller may not read need not be moved away`() throws {
    let error = RecordError(.notPermitted, operation: "read", place: "domains/a.json", errno: 13)
    var examination = try view(isDown: true).examination
    examination.records = .failure(.record(error))
    let view = DoctorView(
      examination: examination, findings: diagnose(examination), place: HostPlace(sandbox: nil, userID: 1000))
    let finding = try #require(view.document.findings.first { $0.name == "record-unreadable" })
    #expect(finding.next?.contains("sudo") == true, "\(finding)")
  }

  @Test func `a host that has to be started again`() throws {
    var examination = try view(isDown: true).examination
    var facts = BootFacts()
    facts.bootID = "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11"
    facts.hideParameter = "(0000:03:00.0)"
    facts.commandLine = String(repeating: "a", count: 950)
    facts.moduleOptions = [
      BootFacts.ModuleOptions(path: "modprobe.d/berth.conf", hide: "(0000:03:00.0)(0000:04:00.0)", changedAt: 200),
      BootFacts.ModuleOptions(path: "modprobe.d/\u{1B}[1m.conf", hide: "\u{1B}[2J", changedAt: 100),
    ]
    facts.image = BootFacts.DatedFile(path: "boot/initrd.img-6.1.0", changedAt: 100)
    examination.boot = BootExamination(facts: facts, inventory: nil)
    let view = DoctorView(
      examination: examination, findings: diagnose(examination), place: HostPlace(sandbox: nil, userID: 0))
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "boot/doctor.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "boot/doctor.json")
  }
}
