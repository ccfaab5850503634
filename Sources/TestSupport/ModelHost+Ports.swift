import Model
import Ports
import Synchronization

struct ModelHypervisor: HypervisorPort {
  let model: ModelHost

  private func check(_ operation: String) throws(HostError) {
    model.store.turns?.turn(.hypercall)
    model.store.turns?.note("calls Xen: \(operation)")
    if model.takeStep() { throw .hypervisor(HypervisorError(.unreachable, operation: operation)) }
    if let code = model.state.withLock({ $0.failures[operation] }) {
      throw .hypervisor(HypervisorError(code, operation: operation))
    }
  }

  func domains() -> [HypervisorDomain] {
    model.state.withLock { state in
      state.domains.values.sorted { $0.key.id < $1.key.id }.map { domain in
        HypervisorDomain(
          id: domain.key.id, uuid: domain.key.uuid, isHardwareVirtualised: domain.isHardwareVirtualised,
          isPaused: domain.isPaused, isShutDown: domain.isShutDown,
          shutdownCode: domain.isShutDown ? 3 : nil, cpuTime: domain.cpuTime)
      }
    }
  }

  func domain(_ id: DomainID) -> HypervisorDomain? { domains().first { $0.id == id } }
  func hostFacts() -> HypervisorFacts { HypervisorFacts(version: model.state.withLock(\.xenVersion), hasIOMMU: true) }

  func probe(_ device: PCIAddress, for domain: DomainID?) -> AssignmentProbe {
    model.store.turns?.turn(.hypercall)
    model.store.turns?.note("asks Xen whether \(device) is free")
    return model.state.withLock { state in
      if let domain, state.domains[domain]?.hasIOMMU != true { return .noIOMMU }
      return state.owners[device] == nil ? .free : .takenOrUnknown
    }
  }

  func companions(of device: PCIAddress) throws(HostError) -> [PCIAddress] {
    try check("companions")
    return model.state.withLock { $0.xenFacts.companions[device] ?? [] }
  }

  func reservedMemory(of device: PCIAddress) throws(HostError) -> [ClosedRange<UInt64>] {
    try check("reservedMemory")
    return model.state.withLock { $0.xenFacts.reservedMemory[device] ?? [] }
  }

  func assign(_ device: PCIAddress, to domain: DomainID, relaxed: Bool) throws(HostError) {
    try check("assign")
    let code = model.state.withLock { state -> HypervisorCode? in
      if domain == .quarantine {
        if state.owners[device] == nil { state.drivers.quarantined.insert(device) }
        return state.owners[device] == nil ? nil : .busy
      }
      guard state.domains[domain]?.hasIOMMU == true else { return .noIOMMU }
      guard state.owners[device] == nil else { return .busy }
      state.owners[device] = domain
      state.drivers.quarantined.remove(device)
      return nil
    }
    if let code { throw .hypervisor(HypervisorError(code, operation: "assign")) }
    model.afterAssign.take()?(())
  }

  func deassign(_ device: PCIAddress, from domain: DomainID) throws(HostError) {
    try check("deassign")
    let isOwner = model.state.withLock { state -> Bool in
      if domain == .quarantine { return state.drivers.quarantined.remove(device) != nil }
      guard state.owners[device] == domain else { return false }
      state.owners[device] = nil
      // Xen quarantines what a guest had (`deassign_device`, xen/drivers/passthrough/pci.c, 4.17).
      state.drivers.quarantined.insert(device)
      return true
    }
    if !isOwner { throw .hypervisor(HypervisorError(.notOwner, operation: "deassign")) }
  }

  private func set(_ grant: String, _ allowed: Bool) {
    model.state.withLock { state in
      if allowed { state.mapped.insert(grant) } else { state.mapped.remove(grant) }
    }
  }

  func setPorts(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try check("ports")
    set("\(domain) ports \(range)", allowed)
  }
  func setFrames(_ range: ClosedRange<UInt64>, of domain: DomainID, allowed: Bool) throws(HostError) {
    try check("frames")
    if allowed, model.state.withLock({ $0.failingGrants.contains("frames \(range)") }) {
      throw .hypervisor(HypervisorError(.other, operation: "frames"))
    }
    set("\(domain) frames \(range)", allowed)
  }
  func mapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    try check("map")
    set("\(domain) pirq \(gsi)", true)
  }
  func unmapInterrupt(_ gsi: UInt32, in domain: DomainID) throws(HostError) {
    try check("unmap")
    let wasMapped = model.state.withLock { $0.mapped.remove("\(domain) pirq \(gsi)") != nil }
    if !wasMapped { throw .hypervisor(HypervisorError(.invalid, operation: "unmap")) }
  }
  func setInterrupt(_ gsi: UInt32, of domain: DomainID, allowed: Bool) throws(HostError) {
    try check("interrupt")
    set("\(domain) irq \(gsi)", allowed)
  }
}

struct ModelTree: DeviceTreePort {
  let model: ModelHost
  func hasPCIBack() -> Bool { model.state.withLock { !$0.drivers.unloaded.contains(DriverBinding.pciback) } }
  func pcibackDevices() -> Set<PCIAddress> { model.state.withLock(\.pciback) }
  func facts(of device: PCIAddress) -> DeviceFacts? {
    model.state.withLock { state in
      guard state.present.contains(device) else { return nil }
      let card = state.cards[device] ?? ModelCard()
      return DeviceFacts(
        id: card.id, subsystem: card.subsystem, deviceClass: 0x020000,
        driver: ModelDrivers.driver(of: device, in: state),
        isOnPCIBack: state.pciback.contains(device))
    }
  }
  func memory(of device: PCIAddress) -> DeviceResource {
    let base =
      model.state.withLock { $0.cards[device]?.memory } ?? UInt64(0xF000_0000) + UInt64(device.sbdf) << 12
    return DeviceResource(space: .memory, range: base...base + 0xFFF)
  }
  func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants {
    guard model.state.withLock({ $0.present.contains(device) }) else {
      throw .tree(DeviceTreeError(.missing, operation: "read", place: "\(device)/resource"))
    }
    return DeviceGrants(resources: [memory(of: device)], interrupt: model.state.withLock { $0.interrupts[device] })
  }
  func serial(of device: PCIAddress) -> String? { model.state.withLock { $0.cards[device]?.serial } }
  func neighbours(of device: PCIAddress) -> Set<PCIAddress> {
    model.state.withLock { state in
      guard state.resetsSlots else { return [] }
      return state.present.filter { $0 != device && $0.segment == device.segment && $0.bus == device.bus }
    }
  }
  func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome {
    model.store.turns?.turn(.file)
    model.store.turns?.note("resets \(device)")
    if model.takeStep() { throw .tree(DeviceTreeError(.other, operation: "reset", place: "\(device)")) }
    let reached = alone ? [device] : [device] + neighbours(of: device).sorted()
    model.state.withLock { $0.resetOrder += reached }
    return .done
  }
  func setPermissive(_ device: PCIAddress) throws(HostError) {
    model.store.turns?.turn(.file)
    model.store.turns?.note("sets \(device) permissive")
    if model.takeStep() { throw .tree(DeviceTreeError(.other, operation: "permissive", place: "\(device)")) }
    model.state.withLock { state in
      if state.pciback.contains(device) { state.permissive.insert(device) }
    }
  }
  func permissiveDevices() -> Set<PCIAddress> { model.state.withLock(\.permissive) }
  func hasVirtualFunctions(_ device: PCIAddress) -> Bool { model.state.withLock { $0.physical.contains(device) } }
  func isPermissiveForAll() -> Bool { false }
  func hasBackEndObject(for domain: DomainID) -> Bool { model.state.withLock { $0.objects.contains(domain) } }
  func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    ModelLog(model: model, start: sinceBoot ? 0 : model.state.withLock { $0.log.count })
  }

  private struct ModelLog: ExportLog {
    let model: ModelHost
    let start: Int
    func exports() -> [ExportRecord]? { model.state.withLock { Array($0.log.dropFirst(start)) } }
  }
}

struct ModelUserdata: UserdataPort {
  let model: ModelHost

  func savedConfiguration(of domain: DomainKey) -> [UInt8]? { model.state.withLock { $0.saved[domain] } }

  func locks() -> [UserdataLock] { [] }

  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    guard model.takeLock(of: domain.id, waiting: ContinuousClock.now.duration(to: deadline)) else {
      throw .userdata(
        UserdataError(
          .busy, operation: "lock", place: "lock", holder: LockHolder(process: 1234, command: "xl pci-attach")))
    }
    defer { model.releaseLock(of: domain.id) }
    return try body(Locked(model: model, key: domain))
  }

  private struct Locked: ~Copyable, LockedUserdata {
    let model: ModelHost
    let key: DomainKey
    init(model: ModelHost, key: DomainKey) { (self.model, self.key) = (model, key) }
    borrowing func savedConfiguration() -> [UInt8]? { model.state.withLock { $0.saved[key] } }
    borrowing func replaceSavedConfiguration(_ bytes: [UInt8]) throws(HostError) {
      model.store.turns?.turn(.file)
      model.store.turns?.note("writes libxl-json")
      if model.takeStep() { throw .userdata(UserdataError(.other, operation: "write", place: "libxl-json")) }
      model.state.withLock { $0.saved[key] = bytes }
    }
    borrowing func hasWaiter() -> Bool {
      model.store.turns?.turn(.lock)
      let hasWaiter = model.state.withLock { $0.lockWaiters > 0 }
      model.store.turns?.note(hasWaiter ? "sees another waiting for the lock" : "sees nobody waiting for the lock")
      return hasWaiter
    }
  }
}

struct ModelOwnership: OwnershipPort {
  let model: ModelHost
  func readRecords() -> OwnFiles<OwnershipRecord> {
    model.store.turns?.turn(.record)
    model.store.turns?.note("reads Berth's records")
    let damaged = damage()
    return OwnFiles(
      model.state.withLock { state in
        state.records.values.filter { record in !damaged.contains { $0.concern == .uuid(record.uuid) } }
          .sorted { $0.uuid < $1.uuid }
      }, damaged: damaged)
  }
  func record(of domain: DomainUUID) throws(HostError) -> OwnershipRecord? {
    model.store.turns?.turn(.record)
    model.store.turns?.note("reads Berth's record of one domain")
    if let damage = damage().first(where: { $0.concern == .uuid(domain) }) { throw .record(damage.error) }
    return model.state.withLock { $0.records[domain] }
  }
  private func damage() -> [DamagedFile] { model.state.withLock { $0.damaged.filter { $0.kind == .record } } }
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    model.store.turns?.turn(.record)
    model.store.turns?.note("writes Berth's record")
    if model.takeStep() { throw .record(RecordError(.other, operation: "write", place: "record")) }
    model.state.withLock { change(&$0.records[domain]) }
  }
  func sweep() {}
}

struct ModelIntents: IntentPort {
  let model: ModelHost

  func open(_ intent: Intent) throws(HostError) -> any OpenIntent {
    model.store.turns?.turn(.record)
    model.store.turns?.note("writes the intent \(intent.identifier)")
    if model.takeStep() { throw .record(RecordError(.other, operation: "write", place: "intent")) }
    model.state.withLock { $0.intents[intent.identifier] = intent }
    return Open(model: model, identifier: intent.identifier)
  }
  func readIntents() -> OwnFiles<Intent> {
    model.store.turns?.turn(.record)
    model.store.turns?.note("reads the intents")
    return OwnFiles(model.openIntents, damaged: model.state.withLock { $0.damaged.filter { $0.kind == .intent } })
  }
  func discard(identifier: String) throws(HostError) {
    model.store.turns?.turn(.record)
    model.store.turns?.note("strikes an intent out")
    if model.takeStep() { throw .record(RecordError(.other, operation: "discard", place: "intent")) }
    model.state.withLock { $0.intents[identifier] = nil }
  }
  func sweep() {}

  /// An intent that its writer releases without closing it has no holder, as with the file's lock.
  private final class Open: OpenIntent {
    let model: ModelHost
    let identifier: String
    init(model: ModelHost, identifier: String) { (self.model, self.identifier) = (model, identifier) }
    deinit { model.state.withLock { $0.intents[identifier]?.isLive = false } }
    func close() throws(HostError) {
      model.store.turns?.turn(.record)
      model.store.turns?.note("strikes its intent out")
      if model.takeStep() { throw .record(RecordError(.other, operation: "close", place: "intent")) }
      model.state.withLock { $0.intents[identifier] = nil }
    }
  }
}
