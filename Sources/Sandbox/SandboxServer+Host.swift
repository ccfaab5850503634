import Glibc
import Manifest
import Model
import Ports
import XenProtocol

extension SandboxServer {
  /// Creates the scenario's state on the host.
  func setUp() throws(SandboxError) {
    for path in [
      paths.userdata, paths.root + "/var/lib/berth", paths.root + "/run/berth", paths.root + "/run/xen",
      paths.root + "/run/lock", paths.root + "/var", paths.root + "/var/log/xen", paths.root + "/dev",
      paths.root + "/proc/xen", paths.root + "/proc/sys/kernel/random",
    ] { try directory.makeDirectories(path) }
    try directory.link(paths.root + "/var/run", to: "../run")
    try directory.write(paths.root + "/proc/xen/capabilities", "control_d\n")
    // Another start of the sandbox is another start of its dom0, as the numbers of its domains begin again.
    try directory.write(paths.root + "/proc/sys/kernel/random/boot_id", "\(makeBootID())\n")
    try directory.write(paths.kernelLog, "")
    simulation.kernelDelay = .zero
    effects.kernelLog(priority: 6, "xen_pciback: backend is vpci", device: nil)
    try sysfs.build(scenario.devices)
    try sysfs.writeMounts()
    try sysfs.writeNetwork(routes: scenario.host.routes)
    for device in scenario.devices { addDevice(device) }
    try watchFiles()
    try storeCall { () throws(StoreError) in try toolstack.prepareHost() }
    for domain in scenario.domains where domain.lifecycle != .absent { try create(domain) }
    for change in scenario.faults.store {
      try storeCall { () throws(StoreError) in
        if let value = change.value { try store.write(change.path, value) } else { try store.remove(change.path) }
      }
    }
    for fault in scenario.faults.deviceModels {
      guard let model = deviceModels[try domain(withFault: fault.domain).id] else {
        throw SandboxError(.invalidScenario, "\(quoted(fault.domain)) has no device model")
      }
      try model.add(fault.fault)
    }
    // From here on faults and delays apply.
    hypervisor.faults = scenario.faults.failingCalls
    simulation.kernel.failingExports = Set(scenario.faults.failingExports)
    simulation.kernelDelay = scenario.host.delay
    for name in scenario.faults.heldLocks { try hold(try domain(withFault: name)) }
  }

  private func domain(withFault name: String) throws(SandboxError) -> DomainKey {
    if let domain = domains.values.first(where: { Name($0.scenario.name) == Name(name) }) { return domain.key }
    throw SandboxError(.invalidScenario, "\(quoted(name)) does not exist at the start, so it cannot have this fault")
  }

  private func addDevice(_ device: ScenarioDevice) {
    drivers.begin(device)
    hypervisor.owners[device.address] = device.driver == ScenarioDevice.pciback ? .quarantine : .dom0
    hypervisor.ties.requesters[device.address] = device.requester
    if !device.reservedMemory.isEmpty {
      hypervisor.ties.reservedMemory[device.address] = device.reservedMemory.map(\.frames)
    }
    if device.interrupt != 0 { hypervisor.hostInterrupts.insert(device.interrupt) }
    if device.isVirtualFunction { simulation.kernel.virtualFunctions.insert(device.address) }
    if device.deviceClass >> 16 == 0x06 { simulation.kernel.bridges.insert(device.address) }
  }

  /// Builds a domain as a toolstack would, in the scenario's stage of its life.
  ///
  /// `target` makes it that guest's stub domain, which has no saved configuration.
  func create(_ domain: ScenarioDomain, for target: DomainID? = nil) throws(SandboxError) {
    let id = domain.id.flatMap { usedNumbers.contains($0) ? nil : $0 } ?? nextDomainID()
    usedNumbers.insert(id)
    let key = DomainKey(id: id, uuid: domain.uuid)
    let hasStarted = domain.lifecycle != .cold && domain.lifecycle != .building
    try directory.write(
      paths.domainFile(id), domain.lifecycle == .shutdown || domain.lifecycle == .crashed ? "shutdown\n" : "")
    domains[id] = LiveDomain(scenario: domain, key: key, target: target)
    hypervisor.domains[id] = SimulatedDomain(
      id: id, uuid: domain.uuid, isHardwareVirtualised: domain.kind == .hvm || domain.kind == .pvh,
      isPaused: !hasStarted, hasIOMMU: domain.hasIOMMU, cpuTime: hasStarted ? 1_000_000_000 : 0)
    simulation.addGuest(
      id, answers: domain.kind == .pv ? .normal : .noDriver, delay: domain.delay, isStopped: !hasStarted)
    try storeCall { () throws(StoreError) in
      try toolstack.build(domain, as: id)
      if let target { try toolstack.setTarget(target, of: id) }
      if isIntroduced(domain) { try store.introduce(id) }
    }
    var domain = domain
    var owner = (id: id, domain: domain)
    if domain.kind == .hvm {
      if let stub = domain.stub { owner = (try createStub(of: id, stub), stub) }
      let stubID = owner.id == id ? nil : owner.id
      domain.devices = try startDeviceModel(of: id, domain, in: stubID)
      domains[id]?.scenario.devices = domain.devices
    }
    for device in domain.devices {
      hypervisor.owners[device.address] = .guest(id)
      grant(device.address, to: id)
      if owner.id != id { grant(device.address, to: owner.id) }
    }
    try storeCall { () throws(StoreError) in
      try toolstack.attach(domain.devices, to: owner.domain, as: owner.id, claimedBy: id)
      if !domain.devices.isEmpty { try simulation.connectNow(owner.id) }
    }
    try drivers.permit(domain.devices.filter(\.options.permissive).map(\.address))
    if domain.lifecycle != .building, target == nil { try toolstack.save(domain, as: id) }
    settle(domain, as: id)
  }

  /// Returns whether xenstored knows the domain. A domain that is being built is introduced last.
  func isIntroduced(_ domain: ScenarioDomain) -> Bool {
    domain.lifecycle != .building && scenario.host.introducesDomains
  }

  /// Applies the domain's lifecycle after it was built and started.
  private func settle(_ domain: ScenarioDomain, as id: DomainID) {
    if domain.kind == .pv { simulation.guest(id)?.answers = domain.answers }
    switch domain.lifecycle {
    case .paused: hypervisor.domains[id]?.pause()
    case .shutdown: hypervisor.domains[id]?.shutdownCode = 0
    case .crashed: hypervisor.domains[id]?.shutdownCode = 3
    case .running, .cold, .building, .absent: break
    }
    if hypervisor.domains[id]?.shutdownCode != nil { hypervisor.domains[id]?.runningSince = nil }
    setStopped(id, isStopped(id))
  }

  func isStopped(_ id: DomainID) -> Bool {
    guard let domain = hypervisor.domains[id] else { return true }
    return domain.isPaused || domain.shutdownCode != nil
  }

  /// Does the hypervisor's part of an attach except for the device itself: allows its ranges and its interrupt.
  private func grant(_ address: PCIAddress, to id: DomainID) {
    guard let device = scenario.devices.first(where: { $0.address == address }) else { return }
    for resource in device.resources {
      if resource.space == .ports {
        hypervisor.domains[id]?.ports.insert(resource.range)
      } else {
        hypervisor.domains[id]?.frames.insert(resource.frames)
      }
    }
    guard device.interrupt != 0 else { return }
    hypervisor.domains[id]?.mappedInterrupts.insert(device.interrupt)
    hypervisor.domains[id]?.allowedInterrupts.insert(device.interrupt)
  }

  private func nextDomainID() -> DomainID {
    let named = scenario.domains.flatMap { [$0.id, $0.stubDomain?.id] }.compactMap(\.self)
    let highest = usedNumbers.union(named).max() ?? .zero
    return DomainID(highest.rawValue + 1)
  }

  /// Ends a domain: its nodes, its files, and then the domain itself.
  func destroy(_ key: DomainKey) throws(SandboxError) {
    setStopped(key.id, true)
    // A stub domain ends before its guest (`libxl__destroy_domid`, libxl_domain.c, Xen 4.17).
    for stub in domains.values.filter({ $0.target == key.id }) { try destroy(stub.key) }
    try storeCall { () throws(StoreError) in try toolstack.destroy(key) }
    try toolstack.forget(key)
    try kill(key.id)
  }

  /// Does the hypervisor's part of a domain's end, and notifies xenstored by VIRQ_DOM_EXC.
  func kill(_ id: DomainID) throws(SandboxError) {
    do {
      try hypervisor.destroy(id)
    } catch {
      throw SandboxError(.notFound, "no such domain", errno: error.errno)
    }
    if let lock = heldLocks.removeValue(forKey: id) { lock.release() }
    try endDeviceModels(with: id)
    simulation.removeGuest(id)
    domains[id] = nil
    try directory.remove(paths.domainFile(id))
    let channel = paths.store + "/evtchn"
    try Files.write([1, 0, 0, 0], to: try directory.open(channel, O_WRONLY, type: S_IFIFO), channel)
  }

  // MARK: Locks

  func hold(_ key: DomainKey) throws(SandboxError) {
    guard heldLocks[key.id] == nil else { return }
    heldLocks[key.id] = try HeldLock(in: directory, path: paths.userdata("l", of: key, "domain-userdata-lock"))
  }
}

/// A domain's userdata lock, held as libxl holds it (`libxl__lock_file`, Xen 4.17).
final class HeldLock {
  private let file: Descriptor
  private let directory: SandboxDirectory
  private let path: String

  init(in directory: SandboxDirectory, path: String) throws(SandboxError) {
    (self.directory, self.path) = (directory, path)
    file = try directory.open(path, O_RDWR | O_CREAT)
    guard flock(file.number, LOCK_EX | LOCK_NB) == 0 else { throw systemError("locking \(path)") }
  }

  /// Unlinks the file first, so that a waiter sees that its file is no longer the lock.
  func release() {
    do { try directory.remove(path) } catch { HostEffects.note("\(error)") }
    _ = flock(file.number, LOCK_UN)
  }
}

/// Returns a number as the kernel makes one for each start (`proc_do_uuid`, Linux drivers/char/random.c, 6.1).
private func makeBootID() -> String {
  DomainUUID(bytes: (0..<16).map { _ in UInt8.random(in: 0...255) })?.description ?? ""
}
