import CLinux
import Glibc
import Model
import Ports

/// The one process of a sandbox: it simulates dom0's kernel, the guests and the hypervisor, and has xenstored as its
/// child.
///
/// It has one thread and one event loop, which serves every client, watch and written file in turn.
// Size 47/9: one event loop for all that the sandbox simulates.
final class SandboxServer {
  /// A program that makes hypercalls or control requests.
  final class Client {
    let socket: Descriptor
    var received: [UInt8] = []
    var pending: [UInt8] = []
    init(_ socket: consuming Descriptor) { self.socket = socket }
  }

  /// A domain that exists now.
  struct LiveDomain {
    var scenario: ScenarioDomain
    var key: DomainKey
    /// The guest whose stub domain this is.
    var target: DomainID?
  }

  let directory: SandboxDirectory
  let scenario: Scenario
  let description: SandboxDescription
  let sysfs: SysfsTree
  var daemon: StoreDaemon
  let store: StoreLink
  let toolstack: Toolstack
  let files: FileWatch
  let effects: HostEffects
  let simulation: Simulation
  var paths: SandboxPaths { directory.paths }
  var hypervisor: SimulatedHypervisor
  var domains: [DomainID: LiveDomain] = [:]
  /// The numbers in use so far. No number is used again: a real toolstack also waits before it reuses one.
  var usedNumbers: Set<DomainID> = []
  let drivers: SimulatedDrivers
  var resets: [PCIAddress: Int] = [:]
  var heldLocks: [DomainID: HeldLock] = [:]
  /// The device models of HVM guests, by guest.
  var deviceModels: [DomainID: DeviceModelServer] = [:]
  var isStopping = false
  private var clients: [Int32: Client] = [:]

  /// Builds the host: the tree, the store, its nodes and the domains. It serves no request yet.
  init(
    directory: SandboxDirectory, scenario: Scenario, description: SandboxDescription,
    until deadline: ContinuousClock.Instant
  ) throws(SandboxError) {
    self.directory = directory
    self.scenario = scenario
    self.description = description
    sysfs = SysfsTree(directory: directory, devices: scenario.devices)
    hypervisor = SimulatedHypervisor(version: scenario.host.xenVersion, hasIOMMU: scenario.host.hasIOMMU)
    files = try FileWatch()
    daemon = try StoreDaemon.start(
      description.store, in: directory, preload: description.preload, isTracing: description.isTracing,
      testEagain: description.testEagain, until: deadline)
    do {
      store = try storeCall { () throws(StoreError) in try StoreLink(path: directory.paths.storeSocket) }
    } catch {
      daemon.stop()
      throw error
    }
    toolstack = Toolstack(directory: directory, store: store)
    effects = HostEffects(directory: directory)
    simulation = Simulation(store: store, effects: effects)
    drivers = SimulatedDrivers(
      directory: directory, sysfs: sysfs, kernel: simulation.kernel, effects: effects, scenario: scenario)
    do {
      try setUp()
    } catch {
      daemon.stop()
      throw error
    }
  }

  // MARK: Serving

  /// Serves until a request ends it or `stop` becomes readable. Then it ends xenstored and removes its sockets.
  func run(stop: Int32, isReady: () -> Void) throws(SandboxError) {
    defer { end() }
    let listener = try directory.listen(paths.hypervisorSocket)
    _ = fcntl(listener.number, F_SETFL, O_NONBLOCK)
    try watchStore()
    try markReady()
    isReady()
    try serve(listener: listener.number, stop: stop)
  }

  /// Sets the kernels' watches on a new connection.
  func watchStore() throws(SandboxError) {
    try storeCall { () throws(StoreError) in
      try store.watch("/local/domain/0/backend/pci")
      for domain in domains.keys.sorted() { try store.watch(domain.home + "/device") }
      try watchDeviceModels()
    }
  }

  private func serve(listener: Int32, stop: Int32) throws(SandboxError) {
    while !isStopping {
      let next = try step()
      var entries = [listener, stop, store.descriptor, files.descriptor].map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      let known = clients.values.sorted { $0.socket.number < $1.socket.number }
      entries += known.map {
        pollfd(fd: $0.socket.number, events: Int16($0.pending.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
      }
      let models = deviceModels.values.sorted { $0.domain < $1.domain }
      entries += models.map(\.polled)
      let wait = next.map { Int32(clamping: max(0, ($0 - .now).wholeMilliseconds)) } ?? -1
      let count = unsafe poll(&entries, nfds_t(entries.count), wait)
      if count < 0, errno != EINTR { throw systemError("waiting for requests") }
      guard count > 0 else { continue }
      if entries[1].revents != 0 { return }
      noticeWrittenFiles()
      while let socket = Sockets.accept(listener) {
        let number = socket.number
        clients[number] = Client(socket)
      }
      for (client, entry) in zip(known, entries.dropFirst(4)) where entry.revents != 0 { serve(client) }
      for (model, entry) in zip(models, entries.dropFirst(4 + known.count)) where entry.revents != 0 {
        model.serve(at: .now)
      }
    }
  }

  /// Processes the changes in the store and does all that is due. Returns the time of the next event.
  private func step() throws(SandboxError) -> ContinuousClock.Instant? {
    try storeCall { () throws(StoreError) in
      while true {
        for path in try store.takeEvents() {
          simulation.changed(path, at: .now)
          try deviceModelChanged(path, at: .now)
        }
        try stepDeviceModels(at: .now)
        let next = try simulation.step(at: .now)
        if try !store.hasEvents() { return [next, nextDeviceModelEvent].compactMap(\.self).min() }
      }
    }
  }

  /// Processes everything that was committed to the store before now, so that an answer includes it.
  ///
  /// oxenstored may answer the program that commits before it notifies the watchers. It answers their later requests
  /// after that.
  func catchUp() throws(SandboxError) {
    _ = try storeCall { () throws(StoreError) in try store.read("/local/domain/0/domid") }
    _ = try step()
  }

  private func serve(_ client: Client) {
    let number = client.socket.number
    if let bytes = Sockets.receive(number) {
      guard !bytes.isEmpty else {
        clients[number] = nil
        return
      }
      client.received += bytes
    }
    while let end = client.received.firstIndex(of: UInt8(ascii: "\n")) {
      let line = String(decoding: client.received[..<end], as: UTF8.self)
      client.received.removeSubrange(...end)
      client.pending += (answer(line) + "\n").utf8
    }
    // A request is short. A client with a long one, or one that does not read its answers, is disconnected.
    guard client.received.count <= 4096, client.pending.count <= 1 << 24 else {
      clients[number] = nil
      return
    }
    if !Sockets.flush(&client.pending, to: number) { clients[number] = nil }
  }

  func markReady() throws(SandboxError) {
    var ready = description
    ready.simulatorProcess = getpid()
    ready.storeProcess = daemon.process
    try directory.content.save(ready)
  }

  private func end() {
    heldLocks.values.forEach { $0.release() }
    daemon.stop()
    let sockets = [paths.hypervisorSocket, paths.storeSocket] + deviceModels.keys.map(paths.deviceModelSocket)
    for socket in sockets {
      // The sandbox ends even if a file remains.
      do { try directory.remove(socket) } catch { HostEffects.note("\(error)") }
    }
  }
}

/// Converts a failure of the store into one of the sandbox.
func storeCall<Result>(_ body: () throws(StoreError) -> Result) throws(SandboxError) -> Result {
  do throws(StoreError) {
    return try body()
  } catch {
    let place = error.place.map { " of \($0)" } ?? ""
    let isGone = error.code == .lost || error.code == .unreachable
    let what = isGone ? "xenstored is gone" : "xenstored refused"
    throw SandboxError(
      isGone ? .ended : .system, "\(what): \(error.operation)\(place): \(ErrorNumber.text(of: error.errno))",
      errno: error.errno)
  }
}
