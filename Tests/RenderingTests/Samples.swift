import Model
import Planning
import Ports
import Rendering
import XenProtocol

/// Values made by hand in place of the planner's and the engine's results.
enum Samples {
  static func address(_ text: String) throws -> PCIAddress { try unwrap(PCIAddress(text), text) }
  static func id(_ text: String) throws -> DeviceID { try unwrap(DeviceID(text), text) }
  static func uuid(_ digit: Character) throws -> DomainUUID {
    let text = "\(digit)0000000-0000-4000-8000-00000000000\(digit)"
    return try unwrap(DomainUUID(text), text)
  }

  struct NotAValue: Error { let text: String }
  private static func unwrap<Value>(_ value: Value?, _ text: String) throws -> Value {
    guard let value else { throw NotAValue(text: text) }
    return value
  }

  static let naming: @Sendable (DeviceID) -> String? = { id in
    switch id.description {
    case "8086:1533": "Intel Corporation I210 Gigabit Network Connection"
    case "10ec:8125": "Realtek Semiconductor Co., Ltd. RTL8125 2.5GbE Controller"
    case "10de:2504": "NVIDIA Corporation GA106 [GeForce RTX 3060 Lite Hash Rate]"
    case "144d:a80a": "Samsung Electronics Co Ltd NVMe SSD Controller PM9A1"
    default: nil
    }
  }

  static let host = HostFacts(name: "host17", xenVersion: "4.17.7", hasIOMMU: true, hasPCIBack: true)

  /// Returns a running PV domain that gets or loses devices.
  static func target(_ name: Name, _ digit: Character) throws -> DomainTarget {
    let id = DomainID(UInt32(digit.wholeNumberValue ?? 0))
    return DomainTarget(key: DomainKey(id: id, uuid: try uuid(digit)), name: name, route: .frontEnd, mode: .hot)
  }

  /// A step that changes something in such a domain.
  static func step(
    _ device: String, _ change: Change, id: String? = nil, label: String? = nil, before: DeviceOptions? = nil,
    after: DeviceOptions? = nil, holder: DomainTarget? = nil, evidence: String? = nil, effects: [String] = []
  ) throws -> DeviceStep {
    DeviceStep(
      domain: .name("any"), device: try address(device), deviceID: try id.map { try Samples.id($0) }, label: label,
      kind: .change(change, in: try target("any", "2")), before: before, after: after, holder: holder,
      evidence: evidence, effects: effects)
  }

  /// A step that changes nothing.
  static func step(
    _ device: String, _ kind: DeviceStep.Kind, id: String? = nil, isRequired: Bool = true, evidence: String? = nil
  ) throws -> DeviceStep {
    DeviceStep(
      domain: .name("any"), device: try address(device), deviceID: try id.map { try Samples.id($0) }, kind: kind,
      isRequired: isRequired, evidence: evidence)
  }

  /// Returns a plan with one step of each kind.
  static func everything() throws -> Plan {
    var permissive = DeviceOptions()
    permissive.permissive = true
    var plan = Plan(
      host: host, domainCount: 4, deviceCount: 11, policy: Policy(prune: .owned, maxRemovals: 4),
      domains: [
        DomainPlan(
          name: "build",
          steps: [try step("0000:04:00.0", .pending(.domainAbsent), id: "144d:a80a")]),
        DomainPlan(
          name: "gpu-vm", uuid: try uuid("4"), id: DomainID(4), kind: .hvm, lifecycle: .running,
          stubDomain: DomainID(5),
          steps: [
            try step(
              "0000:01:00.0", .reattach(from: DeviceOptions(), to: permissive, because: .optionsDiffer),
              id: "10de:2504", label: "gpu", before: DeviceOptions(), after: permissive,
              effects: ["the guest loses the device for a moment"]),
            try step(
              "0000:01:00.1", .blocked(.identityMismatch), id: "10de:228e",
              evidence: "the manifest says 10de:228e, but the device is 10de:228f"),
            try step("0000:02:00.0", .blocked(.deviceMissing), isRequired: false),
          ]),
        DomainPlan(
          name: "sys-net", uuid: try uuid("2"), id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [
            try step(
              "0000:03:00.0", .attach(DeviceOptions(), because: .declared), id: "8086:1533", after: DeviceOptions()),
            try step(
              "0000:05:00.0", .detach(DeviceOptions(), because: .notDeclared), id: "10ec:8125",
              before: DeviceOptions(), effects: ["guest link drops"]),
            try step(
              "0000:05:00.1", .move(from: try target("sys-usb", "3"), permissive), after: permissive,
              holder: try target("sys-usb", "3")),
            try step("0000:08:00.0", .adopt, evidence: "dev-1, state 3"),
            try step("0000:08:00.1", .unchanged),
          ]),
        DomainPlan(
          name: "sys-usb", uuid: try uuid("3"), id: DomainID(3), kind: .pv, lifecycle: .paused,
          steps: [
            try step("0000:09:00.0", .foreign),
            try step(
              "0000:06:00.0", .repair(.dropSavedEntry), evidence: "left by an xl pci-detach"),
            try step("0000:07:00.0", .drift(.duplicateEntry)),
          ]),
      ],
      hostSteps: [
        HostStep(.removeBackEnd(of: DomainID(9)), evidence: "domain 9 is gone, but its back end is still there"),
        HostStep(.drift(.staleClaim(try address("0a:00.0"), of: DomainID(9))), evidence: ""),
      ],
      bookkeeping: [
        .gone(try uuid("8"), since: 1_700_000_000), .forget(try uuid("2"), try address("0000:0e:00.0")),
        .discard(intent: "17-4"),
      ])
    plan.driverSteps = try driverSteps()
    var kept = try step(
      "0000:02:00.1", .blocked(.interlocked), id: "144d:a808",
      evidence: "root-file-system: 0000:02:00.1 → nvme0n1 → /")
    kept.interlocks = [
      Interlock(
        .rootFileSystem,
        chain: [.function(FunctionName(kept.device)), .init(.blockDevice, "nvme0n1"), .init(.mount, "/")])
    ]
    plan.domains[1].steps.append(kept)
    return plan
  }

  /// Steps about drivers: one of each kind.
  static func driverSteps() throws -> [DriverStep] {
    [
      DriverStep(
        .prepare, device: try address("0000:03:00.0"), deviceID: try id("8086:1533"), label: "lan0", driver: "igb",
        domain: "sys-net", loadsPCIBack: true),
      DriverStep(
        .release, device: try address("0000:0f:00.0"), driver: "e1000e", isResumed: true,
        evidence: "an ended run began to take it from its driver"),
    ]
  }

  /// Returns a plan in which everything is as declared.
  static func inSync() throws -> Plan {
    Plan(
      host: host, domainCount: 1, deviceCount: 2, policy: Policy(),
      domains: [
        DomainPlan(
          name: "sys-net", uuid: try uuid("2"), id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [
            try step("0000:03:00.0", .unchanged, id: "8086:1533"), try step("0000:05:00.0", .unchanged),
          ])
      ])
  }

  /// The machine itself, asked by root.
  static let place = HostPlace(sandbox: nil, userID: 0)

  private static let denied = HostError.store(StoreError(.notPermitted, operation: "commit", errno: 13))
  private static let locked = HostError.userdata(
    UserdataError(
      .busy, operation: "lock", place: "/var/lib/xen/u", holder: LockHolder(process: 4711, command: "xl pci-attach")))

  /// Every result a step can have.
  static func results() throws -> ApplyOutcome {
    var outcome = ApplyOutcome(
      domains: [
        DomainOutcome(
          name: "gpu-vm", id: DomainID(4), uuid: try uuid("4"),
          steps: [
            StepOutcome(
              device: try address("0000:01:00.0"), action: .reattach, result: .failed,
              detail: OutcomeDetail(.anotherDevice),
              evidence: ["dev-0 absent"], isUndone: true)
          ], rounds: 1, longestLockMicroseconds: 812),
        DomainOutcome(
          name: "locked", id: DomainID(6), failure: OutcomeDetail(locked), isLockBusy: true),
        DomainOutcome(
          name: "sys-net", id: DomainID(2), uuid: try uuid("2"),
          steps: [
            StepOutcome(
              device: try address("0000:03:00.0"), action: .attach, result: .done,
              evidence: ["dev-1 0000:03:00.0", "state-1 3", "back end 4, front end 4"],
              virtualAddress: try address("0000:00:01.0")),
            StepOutcome(
              device: try address("0000:05:00.0"), action: .detach, result: .unknown,
              detail: OutcomeDetail(.silentDetach, "7", "4")),
            StepOutcome(device: try address("0000:05:00.1"), action: .move, result: .interrupted),
            StepOutcome(device: try address("0000:08:00.0"), action: .adopt, result: .done),
            StepOutcome(
              device: try address("0000:09:00.0"), action: .attach, result: .blocked,
              detail: OutcomeDetail(.refused, "assigned-elsewhere", OutcomeDetail(.anotherGuestHasIt))),
          ], readopted: [try address("0000:0b:00.0")], rounds: 2, longestLockMicroseconds: 1204),
      ], hostRepairs: ["removed the back end of domain 9"],
      hostFailures: [OutcomeDetail(.hostRepairFailed, "stale-claim", denied)])
    let steps = try driverSteps()
    outcome.drivers = [
      DriverOutcome(
        steps[0], .done, evidence: ["driver pciback", "driver_override none", "Xen quarantined it"]),
      DriverOutcome(
        steps[1], .failed,
        OutcomeDetail(.putBack, OutcomeDetail(.driverKeeps, "pciback", ": the kernel's own words"), "pciback"),
        isUndone: true),
      DriverOutcome(
        steps[0], .blocked, OutcomeDetail(.refused, "interlocked", "default-route: 0000:03:00.0 → eth0"),
        obstacle: .interlocked),
    ]
    outcome.unshownDrivers = [steps[1]]
    return outcome
  }

  static func observation() throws -> Observation {
    let attached = try address("0000:03:00.0")
    let waiting = try address("0000:05:00.0")
    let saved = try address("0000:06:00.0")
    var observation = Observation(
      host: host,
      domains: [
        ObservedDomain(
          id: DomainID(2), uuid: try uuid("2"), name: "sys-net", kind: .pv, lifecycle: .running, hasIOMMU: true,
          backEnd: BackEnd(
            domain: DomainID(2), state: StateNode(.connected), frontEndState: StateNode(.connected), count: .number(2),
            online: "1", hasFrontEndPath: true,
            entries: [
              BackEndEntry(
                index: 0, device: attached, state: StateNode(.initialised),
                virtualAddress: try address("0000:00:00.00"),
                optionsText: "msitranslate=0,power_mgmt=0,permissive=1,rdm_policy=strict"),
              BackEndEntry(index: 1, device: waiting, state: StateNode(.initialising)),
            ]),
          saved: .devices([
            SavedDevice(address: attached, options: DeviceOptions()),
            SavedDevice(address: saved, options: DeviceOptions()),
          ])),
        ObservedDomain(
          id: DomainID(3), uuid: try uuid("3"), name: "evil\u{1B}[2Jname", kind: .hvm, lifecycle: .paused,
          backEnd: BackEnd(
            domain: DomainID(3), state: StateNode(.initialised), frontEndState: StateNode("9\u{07}"), count: .number(0),
            hasFrontEndPath: true), saved: .corrupt("not JSON")),
      ],
      devices: [
        ObservedDevice(
          address: attached, facts: DeviceFacts(id: try id("8086:1533"), driver: "pciback", isOnPCIBack: true),
          claim: DomainID(2), assignment: .assigned),
        ObservedDevice(
          address: waiting, facts: DeviceFacts(id: try id("10ec:8125"), driver: "pciback", isOnPCIBack: true),
          claim: DomainID(7), assignment: .assigned),
        ObservedDevice(
          address: saved, facts: DeviceFacts(id: nil, driver: "pciback", isOnPCIBack: true)),
        ObservedDevice(
          address: try address("0000:0c:00.0"), facts: DeviceFacts(id: try id("144d:a80a"), driver: "nvme"),
          assignment: .free),
        ObservedDevice(
          address: try address("0000:0d:00.0"), facts: DeviceFacts(isOnPCIBack: true), claim: DomainID(9),
          assignment: .free),
      ],
      leftoverBackEnds: [BackEnd(domain: DomainID(9), state: StateNode(.closed))],
      records: [
        OwnershipRecord(uuid: try uuid("2"), name: "sys-net", devices: [attached]),
        OwnershipRecord(uuid: try uuid("8"), name: "build", devices: [try address("0000:0d:00.0")]),
      ],
      intents: [
        Intent(
          identifier: "a", domain: DomainKey(id: DomainID(2), uuid: try uuid("2")), operation: .attach,
          devices: [waiting])
      ])
    observation.domains[0].otherSavedLines = [
      OtherSavedLine(oddity: .name("nic0"), text: #"{ "name": "nic0" }"#, address: nil),
      OtherSavedLine(oddity: .wholeSlot, text: #"{ "bus": 7, "vfunc_mask": 4294967295 }"#, address: nil),
    ]
    return observation
  }
}
