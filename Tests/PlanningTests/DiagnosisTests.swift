import Model
import Planning
import Ports
import TestSupport
import Testing
import XenProtocol

@Suite struct DiagnosisTests {
  private let device = Sample.address(1)

  /// Returns the findings of a host on which nothing is wrong until `change` damages it.
  private func names(_ change: (inout Examination) -> Void) -> [String] {
    var examination = Examination(
      hostName: "host", takenAt: 1000, hypervisor: .success(.init(version: "4.17.7", hasIOMMU: true)),
      store: .success([]), pciback: .success(.init(isLoaded: true, deviceCount: 1)), records: .success(0),
      intents: .success([]), locks: .success([]), observation: .success(observation()))
    change(&examination)
    return diagnose(examination).map { finding in
      let name =
        switch finding.kind {
        case .ailment(let ailment): ailment.rawValue
        case .drift(let drift): drift.name.rawValue
        }
      return finding.isNote ? "(\(name))" : name
    }
  }

  private func observation(_ change: (inout ObservedDomain) -> Void = { _ in }) -> Observation {
    var domain = Sample.domain(1, "net", [device])
    change(&domain)
    return Observation(
      host: HostFacts(name: "host", xenVersion: "4.17.7", hasIOMMU: true), domains: [domain],
      devices: [Sample.device(device, heldBy: 1)])
  }

  @Test func `a host in order has no findings`() { #expect(names { _ in } == []) }

  @Test func `each place that does not answer is reported, and the others are still examined`() {
    let xen = HostError.hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open", errno: 2))
    let store = HostError.store(StoreError(.unreachable, operation: "open", errno: 2))
    let tree = HostError.tree(DeviceTreeError(.notPermitted, operation: "list", place: "pciback", errno: 13))
    let record = HostError.record(RecordError(.damaged, operation: "read", place: "a.json"))
    let userdata = HostError.userdata(UserdataError(.notPermitted, operation: "list", place: "xen", errno: 13))
    #expect(
      names { examination in
        examination.hypervisor = .failure(xen)
        examination.store = .failure(store)
        examination.pciback = .failure(tree)
        examination.records = .failure(record)
        examination.intents = .failure(record)
        examination.locks = .failure(userdata)
        examination.observation = nil
      } == [
        "xen-unreachable", "xenstore-unreachable", "sysfs-unreadable", "record-unreadable", "intent-unreadable",
        "locks-unreadable",
      ])
    #expect(names { $0.observation = .failure(store) } == ["look-failed"])
    #expect(
      names { examination in
        examination.hypervisor = .failure(xen)
        examination.pciback = .success(.init(isLoaded: false, deviceCount: 0))
        examination.observation = nil
      } == ["xen-unreachable", "pciback-missing"])
  }

  @Test func `a host that is not prepared has problems`() {
    #expect(names { $0.hypervisor = .success(.init(version: "4.17.7", hasIOMMU: false)) } == ["no-iommu"])
    #expect(names { $0.pciback = .success(.init(isLoaded: false, deviceCount: 0)) } == ["pciback-missing"])
    #expect(
      names { $0.pciback = .success(.init(isLoaded: true, deviceCount: 1, isPermissiveForAll: true)) } == [
        "pciback-permissive"
      ])
  }

  @Test(arguments: [
    ("4.17.0", true), ("4.17.5", true), ("4.17.6-pre", true), ("4.17.6", false), ("4.17.10", false),
    ("4.18.5", true), ("4.18.6", false), ("4.19.3", true), ("4.19.4", false), ("4.20.1", true), ("4.20.2", false),
    ("4.21.0", false), ("4.16.5", false), ("4.17", false), ("4.17-unstable", false), ("", false), ("x.y.z", false),
  ])
  func `an advisory is reported for versions known to lack its correction`(_ version: String, _ isReported: Bool) {
    let found = names { $0.hypervisor = .success(.init(version: version, hasIOMMU: true)) }
    #expect(found == (isReported ? ["xen-advisory"] : []))
  }

  @Test(arguments: [("4.22.9", []), ("4.23.0", ["(xen-newer-than-known)"]), ("5.0.0-rc1", ["(xen-newer-than-known)"])])
  func `a release that the table lacks is noted`(_ version: String, _ expected: [String]) {
    #expect(names { $0.hypervisor = .success(.init(version: version, hasIOMMU: true)) } == expected)
  }

  @Test func `a lock is a problem once it is held for longer than any toolstack needs`() {
    func lock(isHeld: Bool, since: Int64, stranger: String? = nil) -> [String] {
      names { examination in
        examination.locks = .success([
          UserdataLock(
            domain: DomainKey(id: DomainID(1), uuid: Sample.uuid(1)), name: "domain-userdata-lock", path: "lock",
            isHeld: isHeld, holder: LockHolder(process: 12, command: "xl", stranger: stranger),
            since: since)
        ])
      }
    }
    #expect(lock(isHeld: true, since: 999) == ["(lock-held)"])
    #expect(lock(isHeld: true, since: 900) == ["lock-held"])
    #expect(lock(isHeld: false, since: 0) == ["(lock-left-over)"])
    #expect(lock(isHeld: true, since: 999, stranger: "nobody (65534)") == ["lock-held-by-other-user"])
    for moment in [Int64.min, .max] { #expect(lock(isHeld: false, since: moment) == ["(lock-left-over)"]) }
  }

  @Test func `each damaged file of Berth's own is a finding with its path`() {
    var examination = Examination(
      hostName: "host", takenAt: 1000, hypervisor: .success(.init(version: "4.17.7", hasIOMMU: true)),
      store: .success([]), pciback: .success(.init(isLoaded: true, deviceCount: 1)), records: .success(0),
      intents: .success([]), locks: .success([]), observation: nil)
    let kinds: [(DamagedFile.Kind, Ailment)] = [
      (.record, .recordUnreadable), (.intent, .intentUnreadable), (.runLock, .runLockUnreadable),
    ]
    for (kind, ailment) in kinds {
      examination.damaged = [
        DamagedFile(kind, .number(DomainID(7)), RecordError(.damaged, operation: "read", place: "/run/x"))
      ]
      let finding = diagnose(examination).first
      guard case .ailment(ailment)? = finding?.kind else { Issue.record("\(finding as Any)"); continue }
      #expect(finding?.subject == "/run/x" && finding?.isNote == false)
      #expect(
        finding?.evidence == "/run/x was not written by Berth, or is damaged; nothing is changed in domain 7")
    }
  }

  @Test func `an error node is a problem while the bus is not at rest`() {
    func nodes(_ state: XenbusState, _ front: XenbusState, isFrontEnd: Bool, _ text: String = "22 no") -> [String] {
      names { examination in
        examination.store = .success([.init(domain: DomainID(1), isFrontEnd: isFrontEnd, text: text)])
        examination.observation = .success(
          observation { $0.backEnd = Sample.bus($0.id, [device], state: state, front: front) })
      }
    }
    #expect(nodes(.connected, .connected, isFrontEnd: false) == ["(back-end-error)"])
    #expect(nodes(.closing, .reconfiguring, isFrontEnd: false) == ["back-end-error", "bus-closing"])
    #expect(nodes(.reconfiguring, .connected, isFrontEnd: true) == ["front-end-error"])
    #expect(
      nodes(.reconfiguring, .connected, isFrontEnd: true, "22 freeing event channel 9") == ["(front-end-error)"])
  }

  @Test func `drift is among the findings without a manifest`() {
    #expect(
      names { $0.observation = .success(observation { $0.saved = .corrupt("not JSON") }) }
        == ["corrupt-saved-configuration"])
  }
}
