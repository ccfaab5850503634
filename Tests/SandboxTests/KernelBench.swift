import Model
import Ports
import Sandbox
import TestSupport
import XenProtocol

/// dom0's kernel and one guest's kernel on a store in memory, with a clock of their own.
final class KernelBench: KernelEffects {
  let store = MemoryStore()
  private(set) var log: [String] = []
  private(set) var objects: Set<DomainID> = []
  private(set) var now = ContinuousClock.now
  private var built: Simulation?
  let domain = DomainID(5)

  var simulation: Simulation {
    if let built { return built }
    let new = Simulation(store: store, effects: self)
    built = new
    return new
  }

  /// Creates a guest that answers after `delay`, with devices 0…7 of `Sample` on pciback.
  init(answers: GuestAnswers = .normal, delay: Duration = .zero, isStopped: Bool = false) {
    for number in 0..<8 { simulation.kernel.bind(Sample.address(number)) }
    simulation.addGuest(domain, answers: answers, delay: delay, isStopped: isStopped)
    log = []
  }

  func backEndObject(of domain: DomainID, isThere: Bool) {
    if isThere { objects.insert(domain) } else { objects.remove(domain) }
  }

  func kernelLog(priority: Int, _ text: String, device: PCIAddress?) {
    log.append((device.map { "\($0) " } ?? "") + text)
  }

  /// Lets time pass until nothing more happens, or for `limit`.
  func settle(for limit: Duration = .seconds(60)) throws {
    let end = now + limit
    while true {
      for path in store.takeEvents() { simulation.changed(path, at: now) }
      let next = try simulation.step(at: now)
      let events = store.takeEvents()
      for path in events { simulation.changed(path, at: now) }
      if !events.isEmpty { continue }
      guard let next else { return }
      guard next <= end else {
        now = end
        return
      }
      now = max(now, next)
    }
  }

  // MARK: What a toolstack does

  var back: String { StorePath.backEnd(domain).text }
  var front: String { StorePath.frontEnd(domain).text }

  /// Makes one commit: entries after the existing ones and, if `state` is given, the back end's new state.
  func append(_ devices: [PCIAddress], state: String?) {
    let count = store[back + "/num_devs"].flatMap { Int($0) } ?? 0
    for (offset, device) in devices.enumerated() {
      store.write("\(back)/dev-\(count + offset)", "\(device)")
      store.write("\(back)/key-\(count + offset)", "\(device)")
      store.write("\(back)/state-\(count + offset)", "1")
    }
    store.write(back + "/num_devs", "\(count + devices.count)")
    if let state { store.write(back + "/state", state) }
  }

  /// Makes a new bus with these devices.
  func create(_ devices: [PCIAddress]) {
    for (name, value) in [("frontend", front), ("frontend-id", "\(domain)"), ("online", "1"), ("state", "1")] {
      store.write("\(back)/\(name)", value)
    }
    for (name, value) in [("backend", back), ("backend-id", "0"), ("state", "1")] {
      store.write("\(front)/\(name)", value)
    }
    append(devices, state: nil)
  }

  /// Makes a bus, and waits until the guest has it.
  func connect(_ devices: [PCIAddress]) throws {
    create(devices)
    try settle()
  }

  var states: String { "\(store[back + "/state"] ?? "-")/\(store[front + "/state"] ?? "-")" }
  func entry(_ index: Int) -> String? { store["\(back)/state-\(index)"] }
  func place(_ index: Int) -> String? { store["\(back)/vdev-\(index)"] }
  var error: String? { store[StorePath.backEndError(domain).text] }
  /// The host devices in the guest, by the guest's slot.
  var guestDevices: [UInt8: PCIAddress] {
    Dictionary(
      (simulation.guest(domain)?.devices ?? [:]).map { ($0.key.device, $0.value) },
      uniquingKeysWith: { first, _ in first })
  }
}
