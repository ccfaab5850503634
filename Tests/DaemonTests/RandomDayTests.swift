import Daemon
import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing

/// Days of random events: guests that restart, another tool, busy locks, and a host that does not answer.
@Suite struct RandomDayTests {
  private static let devices = (0..<4).map(Sample.address)
  private static let desired = DesiredState(
    domains: [
      DesiredDomain(name: "net", devices: devices[..<2].map { DesiredDevice(address: $0) }),
      DesiredDomain(name: "usb", devices: devices[2...].map { DesiredDevice(address: $0) }),
    ])

  @Test(arguments: UInt64(0)..<24)
  func `after a day of trouble the host is as declared, and nothing was done too often`(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let model = ModelHost()
    for device in Self.devices { model.addDevice(device) }
    model.addDomain(1, "net")
    model.addDomain(2, "usb")
    let mode: Mode = seed.isMultiple(of: 2) ? .heal : .enforce
    SimulatedDaemon(model, Self.desired).run(.enforce, until: .seconds(10))

    let daemon = SimulatedDaemon(model, Self.desired)
    let trouble = Trouble(model)
    var now = Moment.seconds(10)
    var events = 0
    while now < .seconds(20_000) {
      now += .seconds(Int.random(in: 1...120, using: &random))
      let kinds = Trouble.Kind.allCases + [.detach, .detach, .detach, .answer, .answer]
      let kind = kinds.randomElement(using: &random) ?? .answer
      let (name, number) = Bool.random(using: &random) ? ("net", 0) : ("usb", 2)
      daemon.at(now) { trouble.make(kind, of: name, Self.devices[number], daemon) }
      events += 1
    }
    // Everything answers again, and the guests start once more, so that nothing is stopped any more.
    for (second, name) in [(20_700, "net"), (20_701, "usb")] {
      daemon.at(.seconds(second)) {
        _ = trouble.make(.answer, of: name, Self.devices[0], daemon)
        return trouble.make(.restart, of: name, Self.devices[0], daemon)
      }
    }
    daemon.run(mode, until: .seconds(22_000))
    #expect(daemon.status?.host == .answering && daemon.status?.seen.domains.allSatisfy { $0.state == .inSync } == true)
    for (name, range) in [("net", 0..<2), ("usb", 2..<4)] {
      let number = trouble.number(of: name)
      #expect(model.exports(to: number) == Set(Self.devices[range]), "\(name) \(seed)")
    }
    // A look per event and per apply, per interval, and per try after a failure.
    #expect(daemon.looks < 6 * events + 22_000 / 300 + 200, "\(daemon.looks) of \(events)")
    #expect(daemon.waits < 3 * daemon.looks + 2 * events, "\(daemon.waits) of \(daemon.looks)")
    // Three were given by this daemon, and one by the one before it.
    #expect((1...4).contains(trouble.mostTaken), "\(trouble.mostTaken)")
  }
}

/// What happens to a host behind the daemon's back.
private final class Trouble: Sendable {
  enum Kind: CaseIterable { case detach, restart, busy, free, silence, answer }

  private struct State {
    var numbers: [String: UInt32] = ["net": 1, "usb": 2]
    var next: UInt32 = 3
    /// When another tool took a device that the daemon had given to one life of a domain.
    var taken: [RepeatedChange: [Moment]] = [:]
  }

  private let model: ModelHost
  private let state = Mutex(State())

  init(_ model: ModelHost) { self.model = model }

  func number(of name: String) -> UInt32 { state.withLock { $0.numbers[name] ?? 0 } }

  /// How often one device was taken within ten minutes, at most: each time the daemon had given it again.
  var mostTaken: Int {
    state.withLock { state in
      state.taken.values.flatMap { times in
        times.map { time in times.count { $0 <= time && $0 + .seconds(600) > time } }
      }.max() ?? 0
    }
  }

  func make(_ kind: Kind, of name: String, _ device: PCIAddress, _ daemon: SimulatedDaemon) -> Set<Trigger> {
    switch kind {
    case .detach: return detach(device, from: number(of: name), at: daemon.now) ? [.store] : []
    case .restart:
      let (old, new) = state.withLock { state in
        let old = state.numbers[name] ?? 0
        state.numbers[name] = state.next
        state.next += 1
        return (old, state.next - 1)
      }
      _ = model.restart(old, as: new)
      return [.domains]
    case .busy:
      model.setLockBusy(true)
      return []
    case .free:
      model.setLockBusy(false)
      return [.store]
    case .silence:
      daemon.fail(.hypervisor(HypervisorError(.timedOut, operation: "list", place: "Xen")))
      return [.store]
    case .answer:
      model.setLockBusy(false)
      daemon.fail(nil)
      return []
    }
  }

  /// Removes a device as `xl pci-detach` does: Berth's record stays. Returns whether the domain had it.
  private func detach(_ device: PCIAddress, from number: UInt32, at now: Moment) -> Bool {
    guard model.exports(to: number).contains(device) else { return false }
    do throws(HostError) {
      let before = try Observer(host: model.host).observe(desired: nil)
      guard let domain = before.domains.first(where: { $0.id == DomainID(number) }) else { return false }
      let record = before.records.first { $0.uuid == domain.uuid }
      let others = model.exports(to: number).subtracting([device]).sorted()
      var wanted = DesiredState(
        domains: [DesiredDomain(name: domain.name, devices: others.map { DesiredDevice(address: $0) })])
      wanted.completeness = .stated
      let options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(200), workers: 1)
      _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(
        makePlan(desired: wanted, observation: try Observer(host: model.host).observe(desired: wanted)))
      if let record { model.put(record) }
      // The lock may have been busy.
      guard !model.exports(to: number).contains(device) else { return false }
      let change = RepeatedChange(domain: domain.key, device: device, kind: .attach)
      state.withLock { $0.taken[change, default: []].append(now) }
      return true
    } catch { return false }
  }
}
