package import Model
package import Ports

/// dom0's kernel and all guests' kernels, with the time that each takes to react.
///
/// It has no clock and no file: the caller passes the changes in the store and the time.
package final class Simulation {
  package typealias Instant = ContinuousClock.Instant

  private enum KernelEvent: Hashable { case backEnd(DomainID), frontEnd(DomainID) }

  /// A guest's kernel, the events that it has not processed, and its unfinished reaction.
  private struct Machine {
    let guest: SimulatedGuest
    var delay: Duration
    var events: [(due: Instant, event: SimulatedGuest.Event)] = []
    var action: (due: Instant, action: SimulatedGuest.Action)?
    /// Whether the guest is paused, has not started or has shut down. Then nothing happens in it.
    var isStopped: Bool
    var nextDue: Instant? { isStopped ? nil : action?.due ?? events.first?.due }
  }

  package let kernel: SimulatedKernel
  /// How long dom0's kernel takes to react.
  package var kernelDelay: Duration = .zero
  private let store: any SimulatorStore
  private unowned let effects: any KernelEffects
  private var kernelEvents: [(due: Instant, event: KernelEvent)] = []
  private var machines: [DomainID: Machine] = [:]
  /// The domains whose kernels may have something to do. On a large host, a step looks only at them.
  private var busy: Set<DomainID> = []

  package init(store: any SimulatorStore, effects: any KernelEffects) {
    self.store = store
    self.effects = effects
    kernel = SimulatedKernel(store: store, effects: effects)
  }

  // MARK: Guests

  package func addGuest(_ domain: DomainID, answers: GuestAnswers, delay: Duration, isStopped: Bool) {
    let guest = SimulatedGuest(domain: domain, answers: answers, store: store) { [kernel] in kernel.bus(of: $0) }
    machines[domain] = Machine(guest: guest, delay: delay, isStopped: isStopped)
  }

  package func removeGuest(_ domain: DomainID) {
    machines[domain] = nil
    busy.remove(domain)
  }
  package func guest(_ domain: DomainID) -> SimulatedGuest? { machines[domain]?.guest }

  /// Stops or continues a guest. When it continues, it finds what happened meanwhile.
  package func setStopped(_ domain: DomainID, _ isStopped: Bool, at now: Instant) {
    machines[domain]?.isStopped = isStopped
    guard !isStopped else { return }
    post(.frontEndChanged, to: domain, at: now)
    post(.backEndChanged, to: domain, at: now)
  }

  package func setAnswers(_ domain: DomainID, _ answers: GuestAnswers, delay: Duration?, at now: Instant) {
    machines[domain]?.guest.answers = answers
    if let delay { machines[domain]?.delay = delay }
    // A guest that begins to answer processes what it has missed.
    post(.frontEndChanged, to: domain, at: now)
    post(.backEndChanged, to: domain, at: now)
  }

  // MARK: Events

  /// Handles a fired watch for this path.
  package func changed(_ path: String, at now: Instant) {
    let parts = path.split(separator: "/")
    guard parts.count > 2, parts[0] == "local", parts[1] == "domain", let number = UInt32(parts[2]) else { return }
    if number == 0 {
      backEndPathChanged(parts.dropFirst(3), at: now)
    } else if parts.count > 3, parts[3] == "device" {
      frontEndPathChanged(DomainID(number), parts.dropFirst(4), at: now)
    }
  }

  /// Handles `backend/pci/<domid>/0/…`, or a removed ancestor of it.
  private func backEndPathChanged(_ parts: ArraySlice<Substring>, at now: Instant) {
    let names = Array(parts)
    guard names.first == "backend", names.count < 2 || names[1] == "pci" else { return }
    guard names.count > 2 else {
      for domain in kernel.domainsWithObject { backEndChanged(domain, isState: true, at: now) }
      return
    }
    guard let number = UInt32(names[2]), names.count < 4 || names[3] == "0" else { return }
    // A guest watches only the state node. The removal of that node is also an event for it.
    backEndChanged(DomainID(number), isState: names.count < 5 || names[4] == "state", at: now)
  }

  private func backEndChanged(_ domain: DomainID, isState: Bool, at now: Instant) {
    post(.backEnd(domain), at: now)
    if isState { post(.backEndChanged, to: domain, at: now) }
  }

  /// Handles `pci/0/…` below a domain's `device`, or an ancestor of it.
  private func frontEndPathChanged(_ domain: DomainID, _ parts: ArraySlice<Substring>, at now: Instant) {
    let names = Array(parts)
    guard names.isEmpty || names[0] == "pci", names.count < 2 || names[1] == "0" else { return }
    if names.count < 3 || names[2] == "state" { post(.frontEnd(domain), at: now) }
    // The guest's own watch is above all devices. It ignores a path that is too short to name a device
    // (`xenbus_dev_changed`, drivers/xen/xenbus/xenbus_probe.c, Linux 6.1).
    if names.count > 1 { post(.frontEndChanged, to: domain, at: now) }
  }

  private func post(_ event: KernelEvent, at now: Instant) {
    // Handlers read the present state, so one of several equal events in a row is enough.
    guard kernelEvents.last?.event != event else { return }
    kernelEvents.append((now + kernelDelay, event))
  }

  private func post(_ event: SimulatedGuest.Event, to domain: DomainID, at now: Instant) {
    guard let machine = machines[domain], machine.events.last?.event != event else { return }
    machines[domain]?.events.append((now + machine.delay / 2, event))
    busy.insert(domain)
  }

  // MARK: Time

  /// Does everything that is due; returns the time of the next event.
  package func step(at now: Instant) throws(StoreError) -> Instant? {
    while let first = kernelEvents.first, first.due <= now {
      kernelEvents.removeFirst()
      try guarded { () throws(StoreError) in
        switch first.event {
        case .backEnd(let domain): try kernel.backEndChanged(domain)
        case .frontEnd(let domain): try kernel.frontEndChanged(domain)
        }
      }
    }
    for domain in busy.sorted() {
      try step(domain, at: now)
      if let machine = machines[domain], machine.action == nil, machine.events.isEmpty { busy.remove(domain) }
    }
    return ([kernelEvents.first?.due] + busy.map { machines[$0]?.nextDue }).compactMap { $0 }.min()
  }

  private func step(_ domain: DomainID, at now: Instant) throws(StoreError) {
    while let machine = machines[domain], let due = machine.nextDue, due <= now {
      if let (_, action) = machine.action {
        machines[domain]?.action = nil
        try guarded { () throws(StoreError) in try machine.guest.perform(action) }
        // A new front end looks at its other end for the first time.
        if action == .publish || action == .drop { post(.backEndChanged, to: domain, at: now) }
      } else {
        let (_, event) = machine.events[0]
        machines[domain]?.events.removeFirst()
        var action: SimulatedGuest.Action?
        try guarded { () throws(StoreError) in action = try machine.guest.begin(event) }
        if let action { machines[domain]?.action = (now + machine.delay / 2, action) }
      }
    }
  }

  /// Connects a domain's bus at once, without events or delays. Used to set up a host.
  package func connectNow(_ domain: DomainID) throws(StoreError) {
    try kernel.backEndChanged(domain)
    guard let machine = machines[domain], !machine.isStopped else { return }
    for event in [SimulatedGuest.Event.frontEndChanged, .backEndChanged] {
      if let action = try machine.guest.begin(event) { try machine.guest.perform(action) }
      try kernel.frontEndChanged(domain)
    }
  }

  /// Runs `body`. A kernel continues after an error of one request, but not without a store.
  private func guarded(_ body: () throws(StoreError) -> Void) throws(StoreError) {
    do {
      try body()
    } catch  where error.code != .lost && error.code != .unreachable {
      effects.kernelLog(
        priority: 3, "xenbus: \(error.operation) \(error.place ?? "") failed: \(error.errno)", device: nil)
    }
  }
}
