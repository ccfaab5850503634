import Model
import Planning
import Ports
import Rendering
import TestSupport
import Testing

@Suite struct FailureTests {
  private let host = HostPlace(sandbox: nil, userID: 1000)
  private let root = HostPlace(sandbox: nil, userID: 0)
  private let sandbox = HostPlace(sandbox: "/tmp/box", userID: 1000)

  @Test func `a missing xenstored is unreachable, with what was tried and what to do`() throws {
    let failure = root.failure(
      for: .store(StoreError(.unreachable, operation: "connect", place: "/run/xenstored/socket", errno: 2)))
    #expect(failure.status == .unreachable)
    #expect(failure.message.contains("/run/xenstored/socket"))
    #expect(failure.message.contains("ENOENT"))
    let hint = try #require(failure.hint)
    #expect(hint.contains("dom0") && hint.contains("--sandbox"))
  }

  @Test func `a sandbox that does not run is reported as a sandbox`() throws {
    let failure = sandbox.failure(for: .store(StoreError(.unreachable, operation: "connect")))
    #expect(try #require(failure.hint).contains("berth sandbox start --sandbox /tmp/box"))
  }

  @Test func `a missing Xen is unreachable`() {
    #expect(
      root.failure(for: .hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open"))).status
        == .unreachable)
  }

  @Test func `Xen of another release than berth is named, and nobody is told to become root`() throws {
    let failure = host.failure(
      for: .hypervisor(
        HypervisorError(
          .otherRelease, operation: "xc_physinfo", errno: 13, detail: "Xen 4.20 runs, and berth was built for Xen 4.17")
      ))
    #expect(failure.status == .unreachable)
    #expect(failure.message.contains("Xen 4.20 runs, and berth was built for Xen 4.17"))
    #expect(try #require(failure.hint).contains("the Xen that runs"))
    #expect(!(failure.message + (failure.hint ?? "")).contains("root"))
  }

  @Test func `a missing permission names the user and the remedy`() throws {
    let errors: [HostError] = [
      .store(StoreError(.notPermitted, operation: "read", place: "/libxl")),
      .hypervisor(HypervisorError(.notPermitted, operation: "xc_interface_open", errno: 13)),
      .tree(DeviceTreeError(.notPermitted, operation: "reset", place: "/sys/x", errno: 13)),
      .userdata(UserdataError(.notPermitted, operation: "open", place: "/var/lib/xen/x", errno: 13)),
      .record(RecordError(.notPermitted, operation: "write", place: "/var/lib/berth/x", errno: 13)),
    ]
    for error in errors {
      let failure = host.failure(for: error)
      #expect(failure.status == .notPermitted)
      let hint = try #require(failure.hint)
      #expect(hint.contains("uid 1000") && hint.contains("root"))
    }
    #expect(try #require(root.failure(for: errors[0]).hint).contains("as root"))
  }

  @Test func `a busy lock names its holder`() {
    let failure = host.failure(
      for: .userdata(
        UserdataError(
          .busy, operation: "lock", place: "/var/lib/xen/u",
          holder: LockHolder(process: 4711, command: "xl pci-attach vm 03:00.0"))))
    #expect(failure.status == .lockBusy)
    #expect(failure.message.contains("4711 (xl pci-attach vm 03:00.0)"))
  }

  @Test func `a lock that a process of another user holds is no toolstack's, and the hint says what to do`() {
    let holder = LockHolder(process: 4711, command: "sleep 60", stranger: "nobody (65534)")
    let errors: [HostError] = [
      .userdata(UserdataError(.busy, operation: "lock", place: "/var/lib/xen/u", holder: holder)),
      .deviceModel(DeviceModelError(.busy, operation: "lock", place: "/var/lib/xen/q", holder: holder)),
      .record(RecordError(.busy, operation: "lock", place: "/var/lib/xen/r", holder: holder)),
    ]
    for error in errors {
      let failure = root.failure(for: error)
      #expect(failure.status == .lockBusy)
      #expect(failure.message.hasSuffix("held by 4711 (sleep 60) of user nobody (65534)"))
      #expect(
        failure.hint
          == "no toolstack runs as user nobody (65534): end process 4711, or remove the user's right to read "
          + "/var/lib/xen")
    }
  }

  @Test func `a lock of a record that stays busy is worth another run`() {
    let busy = HostError.record(RecordError(.busy, operation: "lock", place: "/var/lib/berth/domains/x.lock"))
    let failures = ApplyOutcome(hostFailures: [OutcomeDetail(.recordsFailed, busy)])
    #expect(root.exitStatus(of: failures, .failed) == .lockBusy)
    #expect(
      root.exitStatus(of: ApplyOutcome(hostFailures: [OutcomeDetail(.hostRepairFailed, "a", busy)]), .failed) == .failed
    )
  }

  @Test(
    arguments: [
      (24, "too many open files (EMFILE)", "ulimit -n"),
      (23, "too many open files on this machine (ENFILE)", "file-max"),
      (12, "out of memory (ENOMEM)", "ulimit -v"),
    ] as [(Int32, String, String)])
  func `what the process or the machine is short of is named by every port`(
    _ number: Int32, _ cause: String, _ next: String
  ) {
    let errors: [HostError] = [
      .store(StoreError(.unreachable, operation: "open", place: "p", errno: number)),
      .tree(DeviceTreeError(errno: number, operation: "open", place: "p")),
      .userdata(UserdataError(errno: number, operation: "open", place: "p")),
      .record(RecordError(errno: number, operation: "open", place: "p")),
      .deviceModel(DeviceModelError(errno: number, operation: "open", place: "p")),
    ]
    for error in errors {
      let failure = root.failure(for: error)
      #expect(failure.status == .failed && failure.message == "open: p: \(cause)")
      #expect(failure.hint?.contains(next) == true)
    }
  }

  @Test(arguments: [("domains", "foreign"), ("intents", "berth status --drift"), ("locks", "no run of Berth")])
  func `a damaged file of Berth's own is named with what to do about it`(_ folder: String, _ next: String) {
    let place = "/run/berth/\(folder)/x"
    let error = RecordError(.damaged, operation: "read", place: place, detail: "is a named pipe")
    let failure = root.failure(for: .record(error))
    #expect(failure.status == .failed && failure.message == "read: \(place) is a named pipe")
    #expect(failure.hint?.contains(next) == true)
  }

  @Test(arguments: [
    (StoreCode.unreachable, Planning.ExitStatus.unreachable), (.notPermitted, .notPermitted), (.conflict, .lockBusy),
    (.refused, .failed), (.lost, .unreachable), (.other, .failed),
  ])
  func `each store failure has its status`(_ code: StoreCode, _ status: Planning.ExitStatus) {
    let failure = host.failure(for: .store(StoreError(code, operation: "read", place: "/a", errno: 5)))
    #expect(failure.status == status)
  }

  @Test func `a connection that breaks during a look leaves nothing open`() throws {
    let failure = root.failure(for: .store(StoreError(.lost, operation: "read", place: "/libxl", errno: 104)))
    #expect(failure.message.hasPrefix("the connection to xenstored broke during read /libxl"))
    #expect(failure.hint == "nothing was changed; run again when xenstored answers")
  }

  @Test func `a missing IOMMU is the host's, or the domain's`() throws {
    let failure = root.failure(
      for: .hypervisor(HypervisorError(.noIOMMU, operation: "xc_assign_device", errno: 95)))
    #expect(
      failure.message == "Xen assigns no devices here: the host uses no IOMMU, or the domain was created without "
        + "passthrough (xc_assign_device)")
    #expect(failure.hint == "`berth doctor` says whether the host has an IOMMU")
  }

  @Test(arguments: [
    (HypervisorCode.noIOMMU, Planning.ExitStatus.hostNotPrepared), (.busy, .failed), (.notOwner, .failed),
    (.noDomain, .failed), (.otherRelease, .unreachable), (.invalid, .failed), (.other, .failed),
  ])
  func `each hypervisor failure has its status`(_ code: HypervisorCode, _ status: Planning.ExitStatus) {
    #expect(host.failure(for: .hypervisor(HypervisorError(code, operation: "xc_x", errno: 22))).status == status)
  }

  @Test(
    arguments: [
      (28, Planning.ExitStatus.hostNotPrepared, "no space left (ENOSPC)", "make room"),
      (122, .hostNotPrepared, "disk quota exceeded (EDQUOT)", "make room"),
      (30, .notPermitted, "read-only file system (EROFS)", "writable"),
    ] as [(Int32, Planning.ExitStatus, String, String)])
  func `a file system that takes nothing is named`(
    _ number: Int32, _ status: Planning.ExitStatus, _ cause: String, _ next: String
  ) throws {
    let path = "/var/lib/berth/domains/x.json"
    let errors: [HostError] = [
      .record(RecordError(errno: number, operation: "write", place: path)),
      .userdata(UserdataError(errno: number, operation: "write", place: path)),
    ]
    for error in errors {
      let failure = root.failure(for: error)
      #expect(failure.status == status)
      #expect(failure.message == "write: \(path): \(cause)")
      #expect(try #require(failure.hint).contains(next) && failure.hint?.contains(path) == true)
      let domain = DomainOutcome(name: "net", steps: [], failure: OutcomeDetail(error))
      #expect(root.exitStatus(of: ApplyOutcome(domains: [domain, domain]), .failed) == status)
      #expect(root.exitStatus(of: ApplyOutcome(hostFailures: [OutcomeDetail(error)]), .failed) == status)
      #expect(root.exitStatus(of: ApplyOutcome(domains: [domain]), .partlyApplied) == .partlyApplied)
      // Another failure beside it, with or without an error of a port.
      let other = DomainOutcome(name: "vm", steps: [], failure: OutcomeDetail(.domainGone))
      #expect(root.exitStatus(of: ApplyOutcome(domains: [domain, other]), .failed) == .failed)
      #expect(
        root.exitStatus(of: ApplyOutcome(domains: ApplyOutcome.of(.failed).domains + [domain]), .failed) == .failed)
    }
  }

  @Test func `a failure is one message and one hint`() {
    let failure = Failure(.failed, "a\nb", hint: "do\u{1B} this")
    #expect(failure.text(TextStyle()).description == "berth: error: a\\nb\n  do\\u{1b} this\n")
  }
}
