import Model
import Planning
import Ports
import XenProtocol

/// What a run notes about its own work on a domain.
struct RunCounts {
  /// The rounds that this run has started.
  var rounds = 0
  /// The longest time for which libxl's lock was held.
  var longestLock = Duration.zero
}

/// One domain for the length of one run: a connection of its own, and the proof that it is still the same domain.
///
/// A session reads. What writes to the domain is in `LockedDomain`, which exists only inside `locked`.
final class DomainSession {
  let host: Host
  private let store: any StorePort
  let options: ApplyOptions
  let target: DomainTarget
  /// Hot as soon as a domain that was planned as never started is found to run.
  private(set) var mode: ChangeMode
  private(set) var counts = RunCounts()
  /// Whether another toolstack was seen at work on this domain.
  private(set) var hasSeenOthers = false
  private var witness = SleepWitness()

  init(host: Host, store: any StorePort, options: ApplyOptions, target: DomainTarget) {
    self.host = host
    self.store = store
    self.options = options
    self.target = target
    // A device model runs, and so does a stub domain, though the guest has not run yet: nothing is cold for them.
    mode = target.route.canBeCold ? target.mode : .hot
  }

  var key: DomainKey { target.key }
  var name: Name { target.name }
  /// The way the domain's devices take.
  var route: DeviceRoute { target.route }
  /// The domain whose PCI bus the devices are on: this one, or its stub domain.
  var busID: DomainID { busKey.id }
  /// The name that is written into that bus (`libxl__stub_dm_name`, libxl_dm.c, Xen 4.17).
  var busName: String { route.stubDomain == nil ? name.text : name.text + "-dm" }
  private var busKey: DomainKey { route.stubDomain ?? key }

  /// The nodes that change when the bus comes to rest.
  var busNodes: [StorePath] {
    // If no front end answers, pciback shows what it did in the entries only.
    route.hasFrontEndDriver
      ? [StorePath.backEnd(busID).child("state"), StorePath.frontEnd(busID).child("state")] : [.backEnd(busID)]
  }

  // MARK: The lock

  /// Lends the domain under libxl's userdata lock, after proving that the number still means this domain.
  ///
  /// Throws `domainGone` if it does not. The body must not wait.
  func locked<Result>(
    _ body: (borrowing LockedDomain) throws(HostError) -> Result
  ) throws(EngineError) -> Result {
    let deadline = ContinuousClock.now + options.lockTimeout
    let result: Result?
    do throws(HostError) {
      result = try host.userdata.withLock(of: key, until: deadline) { (userdata) throws(HostError) -> Result? in
        let start = ContinuousClock.now
        defer { counts.longestLock = max(counts.longestLock, ContinuousClock.now - start) }
        guard try isRunnable() else { return nil }
        let result = try LockedDomain.lend(self, store, userdata, to: body)
        if userdata.hasWaiter() { noteOthers() }
        return result
      }
    } catch {
      throw .host(error)
    }
    guard let result else { throw .domainGone }
    return result
  }

  /// Returns whether the hypervisor still has this very domain, neither shut down nor dying.
  private func isRunnable() throws(HostError) -> Bool {
    let domain = try host.hypervisor.domain(key.id)
    guard let domain, domain.uuid == key.uuid else { return false }
    if mode == .cold, !domain.isPaused || domain.cpuTime > 0 { mode = .hot }
    var driver = domain
    if let stub = route.stubDomain {
      let found = try host.hypervisor.domain(stub.id)
      guard let found, found.uuid == stub.uuid, !found.isShutDown, !found.isDying else { return false }
      driver = found
    }
    witness.lockTaken(sleepingAt: driver.isPaused ? driver.cpuTime : nil)
    return !domain.isShutDown && !domain.isDying
  }

  /// Records that this run has started a round; only a lock holder can know, so `LockedDomain` calls it.
  func roundStarted() {
    counts.rounds += 1
    witness.roundStarted()
  }

  /// Records that another toolstack was seen at work on this domain.
  func noteOthers() { hasSeenOthers = true }

  /// Returns whether the domain has slept ever since before this run's last round, so that nothing of it can be at work
  /// on the round.
  func hasSleptThroughRound() throws(HostError) -> Bool {
    guard witness.sleptAtRound else { return false }
    let domain = try host.hypervisor.domain(busID)
    guard let domain, domain.uuid == busKey.uuid, domain.isPaused else { return false }
    return witness.hasSlept(until: domain.cpuTime)
  }

  // MARK: Looks

  /// Returns one consistent look at the domain, without the lock; nil if the domain's home no longer names it.
  ///
  /// Advisory: what is read here is read again in the transaction that writes.
  func view(claimsOn devices: [PCIAddress] = []) throws(HostError) -> DomainView? {
    try store.transaction(.unlocked) { (access) throws(HostError) in
      let object = try host.tree.hasBackEndObject(for: busID)
      let view = try DomainView(of: key, route, claimsOn: devices, kernelObject: object, in: access)
      return .abort(view.isAlive ? view : nil)
    }
  }

  /// Returns the same look. Throws `domainGone` if the domain's home no longer names it.
  func look(claimsOn devices: [PCIAddress] = []) throws(EngineError) -> DomainView {
    let found: DomainView?
    do throws(HostError) { found = try view(claimsOn: devices) } catch { throw .host(error) }
    guard let found else { throw .domainGone }
    return found
  }

  /// Returns one node's text. Advisory, as `look`.
  func read(_ path: StorePath) throws(EngineError) -> String? {
    do throws(HostError) { return try store.read(path) } catch { throw .host(error) }
  }

  /// Returns the first domain whose back end lists a device, or has its nodes beyond the count; nil if none does.
  /// Advisory, as `look`: a device that Xen has assigned to this domain is listed by no other toolstack.
  func lister(of device: PCIAddress) throws(HostError) -> DomainID? {
    let domains = (try store.list(.backEnds) ?? []).compactMap { decimal($0) }.map { DomainID(UInt32($0)) }
    // One transaction, so that no bus is seen in the middle of another toolstack's commit.
    return try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<DomainID?> in
      for domain in domains {
        let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
        if (bus.entries + bus.orphans).contains(where: { $0.device == device }) { return .abort(domain) }
      }
      return .abort(nil)
    }
  }

  /// Returns the text of the claim on a device. Advisory, as `look`.
  func claim(on device: PCIAddress) throws(HostError) -> String? { try store.read(.claim(device)) }

  // MARK: Waits

  /// When a guest that is asked now must have answered.
  func answerDeadline() -> ContinuousClock.Instant { .now + options.waitTimeout }

  /// Waits on `paths`, or on the bus's state nodes, with a condition that may find the domain gone.
  ///
  /// A wait is interruptible unless the user's stop would leave the domain without what it had.
  func wait<Result>(
    until deadline: ContinuousClock.Instant, watching paths: [StorePath]? = nil, isInterruptible: Bool = true,
    _ condition: () throws(EngineError) -> Result?
  ) throws(EngineError) -> WaitOutcome<Result> {
    var failure: EngineError?
    let outcome: WaitOutcome<Result?>
    do throws(HostError) {
      outcome = try store.wait(watching: paths ?? busNodes, until: deadline, isInterruptible: isInterruptible) {
        () throws(HostError) -> Result?? in
        do throws(EngineError) {
          guard let result = try condition() else { return nil }
          return .some(result)
        } catch {
          failure = error
          return .some(nil)
        }
      }
    } catch {
      throw .host(error)
    }
    if let failure { throw failure }
    switch outcome {
    case .satisfied(let result?): return .satisfied(result)
    case .satisfied(nil), .timedOut: return .timedOut
    case .interrupted: return .interrupted
    }
  }

  /// Waits on `paths` with a condition that only asks ports.
  func waitForPorts<Result>(
    until deadline: ContinuousClock.Instant, watching paths: [StorePath], _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    try store.wait(watching: paths, until: deadline, isInterruptible: true, condition)
  }

  /// Runs a transaction on the nodes of a device model, which libxl's lock does not guard.
  func talk(
    _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Bool>
  ) throws(EngineError) -> Bool {
    do throws(HostError) { return try store.transaction(.unlocked, body) } catch { throw .host(error) }
  }
}
