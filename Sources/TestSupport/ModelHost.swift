package import Model
package import Ports
import Synchronization
import XenProtocol

/// A host in memory: one state machine behind all ports. So tests assert the state of the host, not the calls that were
/// made.
// Size 72/0: all ports of one host, and what tests set on it.
package final class ModelHost: Sendable {
  package struct Domain: Sendable {
    package var key: DomainKey
    package var name: String
    package var hasIOMMU = true
    package var isHardwareVirtualised = false
    package var isPaused = false
    package var cpuTime: UInt64 = 1
    package var isShutDown = false
    /// Whether the guest answers. A paused guest does not, and neither does one without pcifront.
    package var answers = true
    /// Whether pciback reads this domain's marks: dom0's kernel may be busy with other watches.
    package var isMarkRead = true
  }

  // Size 0/32: one host in memory.
  struct State {
    /// What the hypervisor reports as its version.
    var xenVersion = XenVersion.simulated.description
    var domains: [DomainID: Domain] = [:]
    var owners: [PCIAddress: DomainID] = [:]
    var pciback: Set<PCIAddress> = []
    /// The devices that are bound to no driver.
    var driverless: Set<PCIAddress> = []
    /// What pciback's `permissive` lists.
    var permissive: Set<PCIAddress> = []
    /// The devices that have virtual functions.
    var physical: Set<PCIAddress> = []
    var present: Set<PCIAddress> = []
    var interrupts: [PCIAddress: UInt32] = [:]
    /// What Xen says of devices that share a requester id, and of memory that is reserved for devices.
    var xenFacts = ModelXenFacts()
    /// Cards that are not the usual one.
    var cards: [PCIAddress: ModelCard] = [:]
    /// Whether a reset reaches every device of the bus, as with kernels that have `do_flr`.
    var resetsSlots = false
    var mapped: Set<String> = []
    var exports: [DomainID: [PCIAddress: UInt8]] = [:]
    var objects: Set<DomainID> = []
    /// The back ends whose pciback has answered a round (8) and not yet completed it.
    var answered: Set<DomainID> = []
    var log: [ExportRecord] = []
    var saved: [DomainKey: [UInt8]] = [:]
    var records: [DomainUUID: OwnershipRecord] = [:]
    var intents: [String: Intent] = [:]
    /// Berth's own files that are damaged. What was written into them before is not read.
    var damaged: [DamagedFile] = []
    var failures: [String: HypervisorCode] = [:]
    var isLockBusy = false
    var isInterrupted = false
    /// The domains whose userdata lock is held; each has its own.
    var locks: Set<DomainID> = []
    /// The number of runs that sleep on the lock.
    var lockWaiters = 0
    var resetOrder: [PCIAddress] = []
    var hasInterfered = false
    /// The number of changes that the process under test may still make; nil for no limit, negative after one was
    /// refused.
    var stepsLeft: Int?
    /// Calls that fail for one device: `frames` of a memory range, …
    var failingGrants: Set<String> = []
    var deviceModels: [DomainID: ModelDeviceModel] = [:]
    var drivers = ModelDriverState()
  }

  let state = Mutex(State())
  let runLocks = Mutex(ModelRunLocks.State())
  package let store: ModelStore
  /// What happens once, when Xen has assigned a device.
  let afterAssign = Hook<Void, Void>()

  package init(rule: ModelStore.Rule = .c) {
    store = ModelStore(rule: rule)
    store.react.function = { [unowned self] store in self.step(store) }
    store.isCut.function = { [unowned self] _ in self.isKilled }
    store.takesStep.function = { [unowned self] _ in self.takeStep() }
  }

  /// The ports to this host.
  package var host: Host {
    Host(
      name: "model", stores: store, hypervisor: ModelHypervisor(model: self), tree: ModelTree(model: self),
      inventory: ModelInventory(model: self), usage: ModelUsage(model: self), drivers: ModelDrivers(model: self),
      preparations: ModelPreparations(model: self), boot: ModelBoot(),
      userdata: ModelUserdata(model: self),
      deviceModels: ModelDeviceModels(model: self),
      ownership: ModelOwnership(model: self), intents: ModelIntents(model: self),
      runLocks: ModelRunLocks(model: self),
      wallClock: { 1_000_000 }, isInterrupted: { [self] in state.withLock(\.isInterrupted) })
  }

  // MARK: Setting the scene

  /// Adds a PV domain with an empty saved configuration; it runs unless changed.
  @discardableResult
  package func addDomain(
    _ number: UInt32, _ name: String, uuid: DomainUUID? = nil, _ change: (inout Domain) -> Void = { _ in }
  ) -> DomainKey {
    let key = DomainKey(id: DomainID(number), uuid: uuid ?? Sample.uuid(Int(number)))
    var domain = Domain(key: key, name: name)
    change(&domain)
    state.withLock { [domain] state in
      state.domains[key.id] = domain
      state.saved[key] = Array("{\n    \"c_info\": {\n        \"type\": \"pv\"\n    }\n}\n".utf8) + [0]
    }
    store[StorePath.home(key.id).child("vm").text] = "/vm/\(key.uuid)"
    store[StorePath.home(key.id).child("name").text] = name
    store[StorePath.toolstack(key.id).child("type").text] = "pv"
    return key
  }

  package func change(_ number: UInt32, _ change: (inout Domain) -> Void) {
    state.withLock { state in
      guard var domain = state.domains[DomainID(number)] else { return }
      change(&domain)
      state.domains[DomainID(number)] = domain
    }
    store.settle()
  }

  /// Adds a device on pciback.
  package func addDevice(_ address: PCIAddress, interrupt: UInt32? = nil) {
    state.withLock { state in
      state.present.insert(address)
      state.pciback.insert(address)
      state.drivers.slots.insert(address)
      state.interrupts[address] = interrupt
    }
  }

  /// Takes a device from pciback, which releases it even if a guest uses it (`pcistub_remove`).
  package func removeFromPCIBack(_ address: PCIAddress) {
    state.withLock { state in
      state.pciback.remove(address)
      state.permissive.remove(address)
      for domain in Array(state.exports.keys) { state.exports[domain]?[address] = nil }
    }
  }
  /// Pulls a card out of the host: sysfs no longer shows it, Xen and pciback have dropped it (`pci_remove_device`,
  /// xen/drivers/passthrough/pci.c, Xen 4.17; `pcistub_remove`). The domain's rights stay.
  package func pull(_ address: PCIAddress) {
    removeFromPCIBack(address)
    state.withLock { state in
      state.present.remove(address)
      state.owners[address] = nil
    }
  }
  /// Puts another card in the place of a pulled one.
  package func plug(_ card: ModelCard, at address: PCIAddress, onPCIBack: Bool) {
    state.withLock { state in
      state.present.insert(address)
      state.cards[address] = card
      if onPCIBack { state.pciback.insert(address) }
    }
  }
  /// Whether a device has virtual functions.
  package func setVirtualFunctions(_ has: Bool, of address: PCIAddress) {
    state.withLock { state in
      if has { state.physical.insert(address) } else { state.physical.remove(address) }
    }
  }
  /// Does something once, when Xen has assigned a device.
  package func afterAssign(_ action: @escaping @Sendable () -> Void) { afterAssign.function = { _ in action() } }
  /// Sets the version that Xen reports.
  package func setXenVersion(_ version: String) { state.withLock { $0.xenVersion = version } }
  /// Whether resets reach the whole bus.
  package func setResetsSlots(_ resets: Bool) { state.withLock { $0.resetsSlots = resets } }
  package func setOwner(_ address: PCIAddress, _ domain: UInt32) {
    state.withLock { $0.owners[address] = DomainID(domain) }
  }
  package func fail(_ call: String, _ code: HypervisorCode) { state.withLock { $0.failures[call] = code } }
  package func heal(_ call: String) { state.withLock { $0.failures[call] = nil } }
  package func setLockBusy(_ isBusy: Bool) { state.withLock { $0.isLockBusy = isBusy } }
  package func setSaved(_ key: DomainKey, _ bytes: [UInt8]?) { state.withLock { $0.saved[key] = bytes } }
  package func put(_ record: OwnershipRecord) { state.withLock { $0.records[record.uuid] = record } }
  /// Damages a file of Berth's own; nil repairs all of them.
  package func damage(_ file: DamagedFile?) {
    state.withLock { state in state.damaged = file.map { state.damaged + [$0] } ?? [] }
  }
  package func set(_ facts: ModelXenFacts) { state.withLock { $0.xenFacts = facts } }
  package func put(_ intent: Intent) { state.withLock { $0.intents[intent.identifier] = intent } }

  // MARK: Looking

  package func owner(of address: PCIAddress) -> DomainID? { state.withLock { $0.owners[address] } }
  /// What pciback's `permissive` lists.
  package var permissive: Set<PCIAddress> { state.withLock(\.permissive) }
  package var resets: [PCIAddress] { state.withLock(\.resetOrder) }
  package func grantRecords(_ key: DomainKey) -> [GrantRecord] {
    state.withLock { $0.records[key.uuid]?.grants ?? [] }
  }
  package func claim(on address: PCIAddress) -> String? { store[StorePath.claim(address).text] }
  package func exports(to number: UInt32) -> Set<PCIAddress> {
    state.withLock { Set(($0.exports[DomainID(number)] ?? [:]).keys) }
  }
  package func node(_ number: UInt32, _ name: String) -> String? {
    store[StorePath.backEnd(DomainID(number)).child(name).text]
  }
  package func saved(_ key: DomainKey) -> [PCIAddress] {
    guard let bytes = state.withLock({ $0.saved[key] }) else { return [] }
    do { return try SavedConfiguration(bytes).devices.map(\.address) } catch { return [] }
  }
  package func recorded(_ key: DomainKey) -> [PCIAddress] { state.withLock { $0.records[key.uuid]?.devices ?? [] } }
  package var openIntents: [Intent] { state.withLock { $0.intents.values.sorted { $0.identifier < $1.identifier } } }
  /// The permissions and mappings that are granted now.
  package var granted: Set<String> { state.withLock(\.mapped) }
  /// Returns the devices that a domain's back end lists, in order of index.
  package func listed(_ number: UInt32) -> [PCIAddress] {
    let count = node(number, "num_devs").flatMap { Int($0) } ?? 0
    return (0..<count).compactMap { node(number, "dev-\($0)").flatMap { PCIAddress($0) } }
  }
}

/// What Xen says of a model host's devices.
package struct ModelXenFacts: Sendable {
  /// The devices of dom0 with the same requester id, by device.
  package var companions: [PCIAddress: [PCIAddress]] = [:]
  /// By 4 KiB frame.
  package var reservedMemory: [PCIAddress: [ClosedRange<UInt64>]] = [:]
  package init() {}
}

/// A card as sysfs shows it.
package struct ModelCard: Sendable {
  package var id = DeviceID(vendor: 0x8086, device: 0x1533)
  package var subsystem: DeviceID?
  package var serial: String?
  /// The first byte of its memory; nil for the one that follows from its address.
  package var memory: UInt64?
  package init(
    id: DeviceID = DeviceID(vendor: 0x8086, device: 0x1533), subsystem: DeviceID? = nil, serial: String? = nil,
    memory: UInt64? = nil
  ) {
    self.id = id
    self.subsystem = subsystem
    self.serial = serial
    self.memory = memory
  }
}

extension ModelHost {
  /// Returns all nodes of the store except empty ones, in order, and what pciback exports.
  package func dump() -> [(String, String)] {
    store.peek { state in
      state.nodes.filter { $0.value != "" }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    } + [("exports", state.withLock { "\($0.exports) \($0.objects)" })]
  }
}
