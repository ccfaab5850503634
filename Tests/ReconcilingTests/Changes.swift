import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

extension ApplyOptions {
  /// Options for a host in memory, whose kernels act at once: a longer wait has no effect. One domain runs after the
  /// other, so that the order of steps is the same each time.
  static let hasty = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(5), workers: 1)
}

/// Returns a host with a PV domain, `net`, that has the first two of three devices on one interrupt line.
func makeAttachedHost() throws -> (model: ModelHost, key: DomainKey, run: Run) {
  let model = ModelHost()
  let key = model.addDomain(5, "net")
  for number in 1...3 { model.addDevice(Sample.address(number), interrupt: 17) }
  let run = Run(model: model)
  try run.apply(Sample.desired(["net": [Sample.address(1), Sample.address(2)]]))
  return (model, key, run)
}

extension ModelHost {
  /// Removes a device that the domain has from the domain's saved configuration.
  func loseSavedLine(of device: PCIAddress, _ key: DomainKey) throws {
    let saved = try SavedConfiguration(try #require(try host.userdata.savedConfiguration(of: key)))
    setSaved(key, try saved.removing([device]).bytes)
  }
}

/// Returns the disagreements of all stores about a domain's devices; empty if all is well.
///
/// `bus` is the number of the domain whose bus the devices are on, if it is another domain: a stub domain.
func disagreements(
  _ model: ModelHost, _ key: DomainKey, _ devices: [PCIAddress], among all: [PCIAddress] = (1...4).map(Sample.address),
  bus: UInt32? = nil, hasDeviceModel: Bool = false
) -> [String] {
  var found: [String] = []
  func expect(_ what: String, _ value: some Equatable, _ wanted: some Equatable) {
    if "\(value)" != "\(wanted)" { found.append("\(what): \(value), not \(wanted)") }
  }
  let guest = key.id.rawValue
  let number = bus ?? guest
  expect("listed", model.listed(number).sorted(), devices.sorted())
  expect("exported", model.exports(to: number).sorted(), devices.sorted())
  expect("saved", model.saved(key).sorted(), devices.sorted())
  expect("recorded", model.recorded(key).sorted(), devices.sorted())
  expect("granted on record", Set(model.grantRecords(key).map(\.device)).sorted(), devices.sorted())
  expect("assigned", all.filter { model.owner(of: $0) == key.id }, devices.sorted())
  expect("claimed", all.filter { model.claim(on: $0) == key.id.description }, devices.sorted())
  expect(
    "states", Set(devices.indices.map { model.node(number, "state-\($0)") ?? "none" }), Set(devices.map { _ in "3" }))
  if hasDeviceModel {
    expect("emulated", model.emulated(guest), devices.map { DeviceModelName($0).description }.sorted())
  }
  expect("intents", model.openIntents.map(\.identifier), [String]())
  if devices.isEmpty {
    expect(
      "granted", model.granted.filter { $0.hasPrefix("\(number) ") || $0.hasPrefix("\(guest) ") }.sorted(), [String]())
    expect("bus", model.node(number, "state") ?? "none", "none")
  } else {
    for domain in Set([number, guest]) {
      expect("granted", model.granted.filter { $0.hasPrefix("\(domain) frames") }.count, devices.count)
      expect("interrupt", model.granted.contains("\(domain) irq 17"), true)
    }
  }
  return found
}

/// Returns what a further run would still change, or cannot change.
func unrest(_ plan: Plan) -> [String] {
  plan.steps.filter { $0.isChange || $0.action == .blocked || $0.action == .drift }.map {
    "again \($0.action) \($0.device) \($0.kind.name)"
  } + plan.bookkeeping.map { "again \($0)" } + plan.hostSteps.map { "again \($0.evidence)" }
    + plan.driverSteps.map { "again \($0.kind) \($0.device)" }
}

/// Returns what an apply reports as not done.
func failures(_ outcome: ApplyOutcome) -> [String] {
  outcome.domains.flatMap { domain in
    domain.steps.filter { $0.result != .done && $0.result != .unchanged }
      .map { "\($0.action) \($0.device) \($0.result): \($0.detail?.plain ?? "")" }
      + [domain.failure.map { "\(domain.name): \($0.plain)" }].compactMap(\.self)
  } + outcome.hostFailures.map(\.plain)
    + outcome.drivers.filter { $0.result != .done && $0.result != .unchanged }
    .map { "\($0.step.kind) \($0.step.device) \($0.result): \($0.detail?.plain ?? "")" }
}

/// A change that is interrupted, and the declaration afterwards.
struct Change: CustomTestStringConvertible, Sendable {
  enum Kind: String {
    case pv = ""
    case deviceModel = "HVM: "
    case stubDomain = "stub domain: "
    case traditional = "qemu-traditional: "
  }
  var testDescription: String
  var before: [Name: [PCIAddress]]
  /// The devices that the interrupted run wants.
  var killed: [Name: [PCIAddress]]
  var after: [Name: [PCIAddress]]
  var isReattach = false
  /// Whether the first device is permissive at first, and no longer so for the interrupted run.
  var isPermissive = false
  var isCold = false
  var isSilent = false
  /// Whether a driver of dom0 has the devices at first, and gets them back when no domain is to have them.
  var isOnHost = false
  /// Whether the devices are the functions of a card, all of which are declared.
  var isCard = false
  var kind = Kind.pv

  /// Returns a host with `net`, of this kind, and the PV domain `other`; four devices are on pciback, and none is
  /// attached.
  func makeHost(_ rule: ModelStore.Rule = .c) -> (model: ModelHost, keys: [String: DomainKey]) {
    let model = ModelHost(rule: rule)
    let keys = ["net": add(5, "net", to: model), "other": model.addDomain(6, "other")]
    for number in 1...4 {
      let device = Sample.address(number)
      model.addDevice(device, interrupt: 17)
      if isOnHost { model.drivers.giveToHost(device) }
    }
    if isCold {
      model.change(5) { domain in
        domain.isPaused = true
        domain.cpuTime = 0
      }
    }
    return (model, keys)
  }

  private func add(_ number: UInt32, _ name: String, to model: ModelHost) -> DomainKey {
    guard kind != .pv else { return model.addDomain(number, name) }
    let key = model.addHVMDomain(number, name)
    if kind == .traditional { model.setTraditional(number, in: 0) }
    guard kind == .stubDomain else { return key }
    let stub = model.addDomain(number + 10, name + "-dm") { $0.hasIOMMU = false }
    model.setSaved(stub, nil)
    model.setStubDomain(stub, of: key)
    return key
  }

  func desired(_ domains: [Name: [PCIAddress]], reattaching: Bool = false) -> DesiredState {
    var desired = Sample.desired(domains)
    if isOnHost { desired.policy.afterDetach = .restore }
    if reattaching {
      desired.domains[0].devices[0].options.msiTranslate = true
      desired.domains[0].devices[0].options.permissive = true
    }
    return isCard ? desired.withCards : desired
  }

  /// The declaration before the interrupted run.
  var initial: DesiredState {
    var desired = desired(before)
    if isPermissive { desired.domains[0].devices[0].options.permissive = true }
    return desired
  }

  /// The declaration for the interrupted run, and for those after it.
  var troubled: DesiredState { desired(killed, reattaching: isReattach) }
  var final: DesiredState { desired(after, reattaching: isReattach) }

  /// Returns the disagreements of the stores, compared with the declaration afterwards.
  func disagreements(_ model: ModelHost, _ keys: [String: DomainKey]) -> [String] {
    keys.flatMap { name, key in
      let isHVM = name == "net" && kind != .pv
      return ReconcilingTests.disagreements(
        model, key, after[Name(name)] ?? [], bus: isHVM && kind == .stubDomain ? 15 : nil, hasDeviceModel: isHVM
      ).map { "\(name) \($0)" }
    } + (isOnHost ? wrongDrivers(model) : [])
  }

  /// Returns what is wrong with the drivers of devices that dom0 had at first.
  private func wrongDrivers(_ model: ModelHost) -> [String] {
    let taken = Set(after.values.joined())
    return (1...4).map(Sample.address).flatMap { device in
      let isTaken = taken.contains(device)
      let found = model.drivers.driverState(of: device)
      let wanted = ModelDriverSettings.DriverState(
        driver: isTaken ? "pciback" : "e1000e", isRecorded: isTaken, hasDriverPath: isTaken, hasSlot: isTaken)
      return found == wanted ? [] : ["\(device): \(found)"]
    }
  }
}

/// Returns the plan that a person is shown of the host as it is now.
func show(_ desired: DesiredState, on model: ModelHost) throws -> ShownPlan {
  let observation = try Observer(host: model.host).observe(desired: desired)
  return ShownPlan(
    plan: makePlan(desired: desired, observation: observation), desired: desired, runs: observation.runs)
}

/// Carries out a plan that was shown before, with short waits.
func carryOut(
  _ shown: ShownPlan, on host: Host, report: @escaping @Sendable (RunEvent) -> Void = { _ in }
) throws -> AppliedPlan {
  try PlanRunner(host: host, options: .hasty, report: report).apply(shown)
}

/// Returns what became of each step, in one line per step.
func results(_ applied: AppliedPlan) -> [String] {
  applied.outcome.domains.flatMap { domain in
    domain.steps.map { "\(domain.name) \($0.action) \($0.device) \($0.result)" }
  }
}
