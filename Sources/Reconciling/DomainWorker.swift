import Model
import Planning
import Ports
import XenProtocol

/// Changes one domain: its own connection, one thread, one step after the other.
///
/// The methods read like the protocol they carry out: claim, publish in one transaction under libxl's lock, wait
/// outside both, prove, and undo what this run did where that is safe.
final class DomainWorker {
  let host: Host
  let store: any StorePort
  let options: ApplyOptions
  let key: DomainKey
  let name: String
  /// The way the domain's devices take.
  let route: DeviceRoute
  /// Hot as soon as a domain that was planned as never started is found to run.
  private(set) var mode: ChangeMode
  let report: (RunEvent.Kind) -> Void
  var outcome: DomainOutcome
  /// Removals that may be finished here: this run's, a dead run's, or ones left longer than any toolstack waits.
  var finished: Set<PCIAddress> = []
  /// Devices this run has assigned or granted to the domain, whether or not the bus lists them yet.
  var holding: Set<PCIAddress> = []
  /// Devices this run took and could not give back.
  var unreturned: Set<PCIAddress> = []
  /// The intents this run has opened.
  var ownIntents: Set<String> = []
  /// Devices the domain had when it was planned.
  let known: Set<PCIAddress>
  /// Whether another toolstack was seen at work on this domain.
  var sawOthers = false
  /// Whether libxl's lock of the domain is held now.
  private var isLocked = false
  /// How long the domain had run when it was found paused as the lock was taken last; nil where it was awake.
  private var sleepAtLock: UInt64?
  /// The same, of the lock under which this run started its last round.
  private var sleepAtRound: UInt64?

  init(
    host: Host, store: any StorePort, options: ApplyOptions, key: DomainKey, name: String, route: DeviceRoute,
    mode: ChangeMode, known: Set<PCIAddress>, report: @escaping (RunEvent.Kind) -> Void
  ) {
    self.host = host
    self.store = store
    self.options = options
    self.key = key
    self.name = name
    self.route = route
    // A device model runs, and so does a stub domain, though the guest has not run yet: nothing is cold for them.
    self.mode = route.canBeCold ? mode : .hot
    self.known = known
    self.report = report
    outcome = DomainOutcome(name: name, id: key.id, uuid: key.uuid)
  }

  /// The domain whose PCI bus the devices are on: this one, or its stub domain.
  var busID: DomainID { busKey.id }
  /// The name that is written into that bus (`libxl__stub_dm_name`, libxl_dm.c, Xen 4.17).
  var busName: String { route.stubDomain == nil ? name : name + "-dm" }
  private var busKey: DomainKey { route.stubDomain ?? key }

  /// The domain as events name it.
  var eventDomain: RunEvent.Domain { RunEvent.Domain(name: name, uuid: key.uuid) }

  // MARK: The lock and the transaction

  /// Runs `body` under libxl's userdata lock, after proving that the number still means this domain.
  ///
  /// Throws `Stop.gone` where it does not. The time the lock was held is noted.
  func locked<Result>(
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(Stop) -> Result {
    let deadline = ContinuousClock.now + options.lockTimeout
    var held = Duration.zero
    let result: Result?
    do throws(HostError) {
      result = try host.userdata.withLock(of: key, until: deadline) { (userdata) throws(HostError) -> Result? in
        let start = ContinuousClock.now
        isLocked = true
        defer {
          isLocked = false
          held = ContinuousClock.now - start
        }
        guard try isRunnable() else { return nil }
        let result = try body(userdata)
        if userdata.hasWaiter() { sawOthers = true }
        return result
      }
    } catch {
      throw .failed(error)
    }
    outcome.longestLockMicroseconds = max(outcome.longestLockMicroseconds, held.microseconds)
    guard let result else { throw .gone }
    return result
  }

  /// Whether the hypervisor still has this very domain, neither shut down nor dying.
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
    sleepAtLock = driver.isPaused ? driver.cpuTime : nil
    return !domain.isShutDown && !domain.isDying
  }

  /// Notes that this run has started a round. The caller must have done so under the last lock it held.
  func noteRound() {
    outcome.rounds += 1
    sleepAtRound = sleepAtLock
  }

  /// Whether the domain has slept ever since before this run's last round, so that nothing of it can be at work on it.
  ///
  /// That it sleeps now is not enough: paused after it has read the round's state, a guest goes on from there when it
  /// wakes, whatever the state is by then.
  func hasSleptThroughRound() throws(HostError) -> Bool {
    guard let sleepAtRound else { return false }
    let domain = try host.hypervisor.domain(busID)
    return domain?.uuid == busKey.uuid && domain?.isPaused == true && domain?.cpuTime == sleepAtRound
  }

  /// Reads the domain in a transaction, lets `decide` choose the writes from those reads, and does them in it.
  ///
  /// `decide` runs again from fresh reads after each conflict. Nil edits abort. Throws `Stop.gone` where the domain's
  /// home no longer names it. The caller must hold the lock where edits are made.
  func transact<Decision>(
    claimsOn devices: [PCIAddress] = [], _ decide: (DomainView) -> (decision: Decision, edits: [StoreEdit])
  ) throws(HostError) -> Decision? {
    let object = try host.tree.hasBackEndObject(for: busID)
    return try store.transaction(isLocked ? .underLock : .unlocked) { (access) throws(HostError) in
      let view = try DomainView(of: key, route, claimsOn: devices, kernelObject: object, in: access)
      guard view.isAlive else { return .abort(nil) }
      let (decision, edits) = decide(view)
      guard !edits.isEmpty else { return .abort(decision) }
      for edit in edits { try edit.apply(to: access) }
      try view.prove(edits, in: access)
      return .commit(decision)
    }
  }

  /// One consistent look, with no writes and no lock. Advisory: nothing read here may be written on.
  func look(claimsOn devices: [PCIAddress] = []) throws(Stop) -> DomainView {
    let view: DomainView?
    do throws(HostError) {
      view = try transact(claimsOn: devices) { ($0, []) }
    } catch {
      throw .failed(error)
    }
    guard let view else { throw .gone }
    return view
  }

  // MARK: The saved configuration

  /// libxl's saved configuration, for changing. The caller must hold the lock.
  func savedConfiguration(
    _ userdata: borrowing any LockedUserdata & ~Copyable
  ) throws(HostError) -> SavedState {
    guard let bytes = try userdata.savedConfiguration() else {
      return .absent
    }
    do throws(SavedConfigurationError) {
      return .present(try SavedConfiguration(bytes))
    } catch {
      return .corrupt(error.description)
    }
  }

  /// Writes `new` where it differs. The caller must hold the lock.
  func save(
    _ new: SavedConfiguration, over old: SavedConfiguration, _ userdata: borrowing any LockedUserdata & ~Copyable
  ) throws(HostError) {
    guard new.bytes != old.bytes else { return }
    try userdata.replaceSavedConfiguration(new.bytes)
  }

  /// Adds devices to a saved configuration. Throws a failure of libxl's file if its content cannot be edited.
  func adding(_ devices: [SavedDevice], to saved: SavedConfiguration) throws(HostError) -> SavedConfiguration {
    do throws(SavedConfigurationError) { return try saved.adding(devices) } catch { throw unusable(error) }
  }

  /// Removes devices from a saved configuration. Throws a failure of libxl's file if its content cannot be edited.
  func removing(_ devices: Set<PCIAddress>, from saved: SavedConfiguration) throws(HostError) -> SavedConfiguration {
    do throws(SavedConfigurationError) { return try saved.removing(devices) } catch { throw unusable(error) }
  }

  private func unusable(_ error: SavedConfigurationError) -> HostError {
    .userdata(UserdataError(.malformed, operation: "change", place: "libxl-json", detail: error.description))
  }

  // MARK: Records

  /// Changes Berth's record of this domain; a failure is the domain's.
  func record(_ change: (inout Set<PCIAddress>) -> Void) throws(Stop) {
    let (uuid, name) = (key.uuid, name)
    do throws(HostError) {
      try host.ownership.update(uuid) { record in
        var devices = Set(record?.devices ?? [])
        change(&devices)
        guard !devices.isEmpty else {
          record = nil
          return
        }
        var changed = record ?? OwnershipRecord(uuid: uuid, name: name, devices: [])
        changed.devices = devices.sorted()
        changed.exports.removeAll { !devices.contains($0.device) }
        record = changed
      }
    } catch {
      throw .failed(error)
    }
  }

  /// Writes down where the guest sees its devices, for putting an entry back that somebody overwrites.
  func recordExports(_ entries: [BackEndEntry]) throws(Stop) {
    let (uuid, domain) = (key.uuid, busID)
    let exports = entries.compactMap { entry in
      entry.device.flatMap { device in
        entry.virtualAddress.map { ExportRecord(device: device, domain: domain, slot: $0.device) }
      }
    }
    do throws(HostError) {
      try host.ownership.update(uuid) { record in
        let devices = Set(exports.map(\.device))
        record?.exports.removeAll { devices.contains($0.device) || $0.domain != domain }
        record?.exports += exports
        record?.exports.sort { $0.device < $1.device }
      }
    } catch {
      throw .failed(error)
    }
  }

  /// Strikes out that the guest has these devices, before their entries go: whoever finds the entries gone and no
  /// record of an export knows that the guest has let go.
  func forgetExports(_ devices: Set<PCIAddress>) throws(Stop) {
    do throws(HostError) {
      try host.ownership.update(key.uuid) { $0?.exports.removeAll { devices.contains($0.device) } }
    } catch {
      throw .failed(error)
    }
  }

  /// Notes an outcome for each of `devices`.
  func conclude(
    _ steps: [some DeviceWork], _ result: StepResult, _ detail: OutcomeDetail? = nil, evidence: [String] = [],
    isUndone: Bool = false
  ) {
    for step in steps {
      outcome.steps.append(
        StepOutcome(
          device: step.device, action: step.kind, result: result, detail: detail, evidence: evidence,
          isUndone: isUndone, isRequired: step.isRequired))
    }
  }
}

/// Why a domain's work ends early.
enum Stop: Error {
  /// The domain went away, or is going.
  case gone
  case failed(HostError)

  /// Whether libxl's lock could not be had in time.
  var isLockBusy: Bool {
    if case .failed(.userdata(let error)) = self { error.code == .busy } else { false }
  }
}

/// libxl's saved configuration as a lock holder finds it.
enum SavedState {
  /// There is none: libxl is still building the domain, or the domain is not libxl's.
  case absent
  case present(SavedConfiguration)
  case corrupt(String)
}

extension Duration {
  /// Whole microseconds, rounded down.
  var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}
