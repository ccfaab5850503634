import Daemon
import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// The daemon's loop on a simulated host and a virtual clock.
@Suite struct LoopTests {
  private let model = ModelHost()
  private let devices = (0..<3).map(Sample.address)
  private let net: DomainKey

  init() {
    for device in devices { model.addDevice(device) }
    net = model.addDomain(5, "net")
  }

  private func desired(_ numbers: [Int], required: Bool = true) -> DesiredState {
    DesiredState(
      domains: [
        DesiredDomain(
          name: "net", devices: numbers.map { DesiredDevice(address: devices[$0], isRequired: required) })
      ])
  }

  /// Removes a device as `xl pci-detach` does: Berth's record of it stays.
  private func detach(_ number: Int) {
    let others = model.exports(to: net.id.rawValue).subtracting([devices[number]])
    let wanted = DesiredState(
      domains: [DesiredDomain(name: "net", devices: others.sorted().map { DesiredDevice(address: $0) })])
    let options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(200), workers: 1)
    do throws(HostError) {
      let record = try Observer(host: model.host).observe(desired: nil).records.first { $0.uuid == net.uuid }
      let observation = try Observer(host: model.host).observe(desired: wanted)
      _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(
        makePlan(desired: wanted, observation: observation))
      if let record { model.put(record) }
    } catch { Issue.record("\(error)") }
  }

  @Test(arguments: Mode.allCases)
  func `what xl takes away comes back if the mode says so`(_ mode: Mode) throws {
    // A person applied the manifest before the daemon was started.
    let first = SimulatedDaemon(model, desired([0, 1]))
    first.run(.enforce, until: .seconds(10))
    #expect(model.exports(to: 5) == Set(devices.prefix(2)) && first.standing("net") == .inSync)

    let daemon = SimulatedDaemon(model, desired([0, 1]))
    daemon.at(.seconds(20)) {
      detach(1)
      return [.store]
    }
    daemon.run(mode, until: .seconds(30))
    let isBack = mode != .observe
    #expect(model.exports(to: 5) == Set(isBack ? [devices[0], devices[1]] : [devices[0]]))
    #expect(daemon.standing("net") == (isBack ? .inSync : .differing(1)))
    #expect((daemon.applies > 0) == isBack)
  }

  @Test(arguments: [Mode.heal, .enforce])
  func `a guest that restarts gets its devices again`(_ mode: Mode) throws {
    SimulatedDaemon(model, desired([0, 1])).run(.enforce, until: .seconds(10))
    let daemon = SimulatedDaemon(model, desired([0, 1]))
    daemon.at(.seconds(20)) {
      _ = model.restart(5, as: 6)
      return [.domains]
    }
    daemon.run(mode, until: .seconds(30))
    #expect(model.exports(to: 6) == Set(devices.prefix(2)) && daemon.standing("net") == .inSync)
  }

  @Test func `healing gives a guest that is there nothing new, and takes nothing away`() throws {
    SimulatedDaemon(model, desired([0, 1])).run(.enforce, until: .seconds(10))
    let daemon = SimulatedDaemon(model, desired([1, 2]))
    daemon.run(.heal, until: .seconds(30))
    #expect(model.exports(to: 5) == Set(devices.prefix(2)) && daemon.standing("net") == .differing(2))
    daemon.declare(desired([1, 2]))
    let enforcing = SimulatedDaemon(model, desired([1, 2]))
    enforcing.run(.enforce, until: .seconds(30))
    #expect(model.exports(to: 5) == Set(devices.suffix(2)) && enforcing.standing("net") == .inSync)
  }

  @Test func `healing gives a newcomer what it requires, and not what it does not`() throws {
    for isRequired in [true, false] {
      let model = ModelHost()
      for device in devices { model.addDevice(device) }
      let daemon = SimulatedDaemon(model, desired([0], required: isRequired))
      daemon.at(.seconds(5)) {
        model.addDomain(7, "net")
        return [.domains]
      }
      daemon.run(.heal, until: .seconds(20))
      #expect(model.exports(to: 7) == (isRequired ? [devices[0]] : []))
    }
  }

  @Test func `a change that keeps coming back is stopped, and said, until a person asks`() throws {
    SimulatedDaemon(model, desired([0, 1])).run(.enforce, until: .seconds(10))
    let daemon = SimulatedDaemon(model, desired([0, 1]))
    for round in 1...8 {
      daemon.at(.seconds(20 * round)) {
        detach(1)
        return [.store]
      }
    }
    daemon.run(.heal, until: .seconds(300))
    #expect(model.exports(to: 5) == [devices[0]])
    guard case .fighting(let changes)? = daemon.standing("net") else {
      Issue.record("\(String(describing: daemon.standing("net")))")
      return
    }
    #expect(changes == [RepeatedChange(domain: net, device: devices[1], kind: .attach): 3])
    let again = SimulatedDaemon(model, desired([0, 1]))
    again.at(.seconds(2)) { [.request] }
    again.run(.heal, until: .seconds(10))
    #expect(again.standing("net") == .inSync)
  }

  @Test func `a busy lock is tried again, later each time, and nothing is done meanwhile`() throws {
    model.setLockBusy(true)
    let daemon = SimulatedDaemon(model, desired([0]))
    daemon.at(.seconds(100)) {
      model.setLockBusy(false)
      return []
    }
    daemon.run(.enforce, until: .seconds(200))
    // 1, 2, 4, … seconds between the tries: six of them in 63 seconds, and the next one at 127.
    #expect(daemon.applies <= 9 && daemon.waits < 60, "\(daemon.applies) \(daemon.waits)")
    #expect(daemon.statuses.contains { $0.seen.domains.contains { $0.state.word == "backing-off" } })
    #expect(model.exports(to: 5) == [devices[0]] && daemon.standing("net") == .inSync)
  }

  @Test func `a host that does not answer is asked again, later each time`() throws {
    let error = HostError.hypervisor(HypervisorError(.timedOut, operation: "list", place: "Xen"))
    let daemon = SimulatedDaemon(model, desired([0]))
    daemon.fail(error)
    daemon.at(.seconds(1000)) {
      daemon.fail(nil)
      return []
    }
    daemon.run(.enforce, until: .seconds(2000))
    #expect(daemon.looks < 30 && daemon.waits < 60, "\(daemon.looks) \(daemon.waits)")
    #expect(daemon.statuses.contains { if case .stalled(error, _) = $0.host { true } else { false } })
    #expect(daemon.status?.host == .answering && model.exports(to: 5) == [devices[0]])
  }

  @Test func `without valid manifests the last good ones count, and that is said`() throws {
    let daemon = SimulatedDaemon(model, desired([0]))
    daemon.at(.seconds(10)) {
      daemon.declare(nil)
      return [.manifests]
    }
    daemon.at(.seconds(20)) {
      detach(0)
      return [.store]
    }
    daemon.at(.seconds(30)) {
      daemon.declare(desired([0, 1]))
      return [.manifests]
    }
    daemon.run(.enforce, until: .seconds(25))
    #expect(daemon.status?.hasInvalidManifests == true && model.exports(to: 5) == [devices[0]])
    let later = SimulatedDaemon(model, nil)
    later.run(.enforce, until: .seconds(25))
    #expect(later.looks == 0 && later.status?.hasInvalidManifests == true)
  }

  @Test func `nothing happens, and nothing is done but a look per interval`() throws {
    let daemon = SimulatedDaemon(model, desired([0]))
    daemon.run(.enforce, until: .seconds(86_400), interval: .seconds(300))
    // A day has 288 intervals; the first looks are those of the attach.
    #expect((288...292).contains(daemon.looks) && daemon.applies == 1, "\(daemon.looks)")
    #expect(daemon.waits <= 2 * daemon.looks + 4)
  }

  @Test func `a driver's step that fails is tried again, later each time`() throws {
    let device = Sample.address(7)
    model.drivers.addHostDevice(device)
    model.drivers.refuse(device, by: DriverBinding.pciback)
    let desired = DesiredState(
      domains: [DesiredDomain(name: "net", devices: [DesiredDevice(address: device)])])
    let daemon = SimulatedDaemon(model, desired)
    daemon.run(.enforce, until: .seconds(600))
    #expect((1...12).contains(daemon.applies) && daemon.waits < 80, "\(daemon.applies) \(daemon.waits)")
    #expect(model.exports(to: 5).isEmpty)
  }
}
