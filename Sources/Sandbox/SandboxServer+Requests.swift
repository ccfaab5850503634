import FoundationEssentials
import Glibc
import Model
import Ports

extension SandboxServer {
  /// Returns the reply to one line: a hypercall or a control request.
  func answer(_ line: String) -> String {
    noticeWrittenFiles()
    let words = line.split(separator: " ")
    do throws(SandboxError) {
      if let reply = try control(words) { return reply }
    } catch {
      return "error \(error.errno == 0 ? EIO : error.errno) "
        + error.message.split(separator: "\n").joined(separator: "; ")
    }
    return hypervisor.answer(words) ?? "error \(ENOSYS) no such request"
  }

  /// The longest delay of a guest, in milliseconds: a day.
  private static let longestDelay = 86_400_000

  /// Answers requests that no hypervisor has, and the hypercalls that start or stop guests.
  private func control(_ words: [Substring]) throws(SandboxError) -> String? {
    guard let verb = words.first else { return nil }
    switch verb {
    case "name": return "ok " + scenario.host.name
    case "status":
      try catchUp()
      return "ok " + (try statusText())
    case "shutdown": isStopping = true
    case "pause":
      let domain = try find(words)
      hypervisor.domains[domain.key.id]?.pause()
      setStopped(domain.key.id, true)
    case "unpause", "start":
      if verb == "start", let absent = absentDomain(words) {
        try create(running(absent))
        break
      }
      let domain = try find(words)
      hypervisor.domains[domain.key.id]?.unpause()
      setStopped(domain.key.id, isStopped(domain.key.id))
    case "shut-down":
      let domain = try find(words)
      hypervisor.domains[domain.key.id]?.shutDown(code: 0)
      setStopped(domain.key.id, true)
    case "create":
      guard let absent = absentDomain(words) else {
        throw SandboxError(.notFound, "the scenario has no absent domain of this name", errno: ENOENT)
      }
      try create(absent.lifecycle == .absent ? running(absent) : absent)
    case "destroy": try destroy(try find(words).key)
    case "kill": try kill(try find(words).key.id)
    case "answers":
      let domain = try find(words)
      guard words.count > 2, let answers = GuestAnswers(rawValue: String(words[2])) else {
        throw SandboxError(
          .system, "expected one of \(GuestAnswers.allCases.map(\.rawValue).joined(separator: ", "))", errno: EINVAL)
      }
      let milliseconds = words.count > 3 ? Int(words[3]) ?? -1 : nil
      guard (0...Self.longestDelay).contains(milliseconds ?? 0) else {
        throw SandboxError(.system, "a delay has at most \(Self.longestDelay) milliseconds", errno: EINVAL)
      }
      let delay = milliseconds.map { Duration.milliseconds($0) }
      domains[domain.key.id]?.scenario.answers = answers
      if let model = deviceModels[domain.key.id] {
        model.machine.setAnswers(answers, delay: delay, at: .now)
      } else {
        simulation.setAnswers(domain.key.id, answers, delay: delay, at: .now)
      }
    case "device-model": try setDeviceModel(words)
    case "restart-stub": try restartStub(of: try find(words))
    case "restart-store": try restartStore()
    case "lock": try hold(try find(words).key)
    case "unlock": heldLocks.removeValue(forKey: try find(words).key.id)?.release()
    default: return nil
    }
    if ["create", "start", "restart-stub"].contains(verb) { try watchNewDomains() }
    return "ok"
  }

  /// Returns the domain as running: a domain that is created on request runs, whatever its lifecycle in the scenario.
  private func running(_ domain: ScenarioDomain) -> ScenarioDomain {
    var domain = domain
    domain.lifecycle = .running
    return domain
  }

  private func watchNewDomains() throws(SandboxError) {
    try storeCall { () throws(StoreError) in
      try watchDeviceModels()
      for domain in domains.keys {
        do throws(StoreError) {
          try store.watch(domain.home + "/device")
        } catch  where error.errno == EEXIST {
          continue
        }
      }
    }
  }

  /// Returns the domain with the given number or name.
  func find(_ words: [Substring]) throws(SandboxError) -> LiveDomain {
    guard words.count > 1 else { throw SandboxError(.system, "no domain was given", errno: EINVAL) }
    let word = words[1]
    if let number = UInt32(word), let domain = domains[DomainID(number)] { return domain }
    if let domain = domains.values.first(where: { Name($0.scenario.name) == Name(word) }) { return domain }
    throw SandboxError(.notFound, "there is no domain \(word)", errno: ENOENT)
  }

  private func absentDomain(_ words: [Substring]) -> ScenarioDomain? {
    guard words.count > 1 else { return nil }
    return scenario.domains.first { domain in
      Name(domain.name) == Name(words[1]) && !domains.values.contains { Name($0.scenario.name) == Name(domain.name) }
    }
  }

  private func statusText() throws(SandboxError) -> String {
    let status = SandboxStatus(
      host: scenario.host.name, store: description.store, storeProcess: daemon.process,
      domains: domains.values.sorted { $0.key.id < $1.key.id }.map(status),
      devices: scenario.devices.sorted { $0.address < $1.address }.map(status))
    return String(decoding: try encoded(status), as: UTF8.self)
  }

  private func status(_ domain: LiveDomain) -> SandboxStatus.Domain {
    let id = domain.key.id
    let known = hypervisor.domains[id]
    return SandboxStatus.Domain(
      id: id, name: domain.scenario.name, uuid: domain.key.uuid, kind: domain.scenario.kind,
      isPaused: known?.isPaused ?? false, isShutDown: known?.shutdownCode != nil,
      answers: domain.scenario.kind == .hvm ? domain.scenario.answers : simulation.guest(id)?.answers ?? .noDriver,
      guestDevices: simulation.guest(id)?.devices ?? [:],
      exported: simulation.kernel.bus(of: id).devices,
      assigned: hypervisor.owners.filter { $0.value == .guest(id) }.map(\.key).sorted(),
      mappedInterrupts: (known?.mappedInterrupts ?? []).sorted(),
      grantedRanges: (known?.ports.count ?? 0) + (known?.frames.count ?? 0),
      hasBackEndObject: simulation.kernel.hasObject(for: id), isLockHeld: heldLocks[id] != nil,
      stubDomain: domains.values.first { $0.target == id }?.key.id, target: domain.target,
      deviceModel: deviceModels[id].map(status))
  }

  private func status(_ model: DeviceModelServer) -> SandboxStatus.DeviceModel {
    SandboxStatus.DeviceModel(
      isRunning: model.isRunning, faults: model.faults.filter { $0.times != 0 }.map(\.kind),
      devices: model.machine.devices.map {
        SandboxStatus.Emulated(
          name: $0.id, address: $0.host, slot: $0.slot, function: $0.function, isPermissive: $0.isPermissive,
          isLeaving: $0.isLeaving)
      })
  }

  private func status(_ device: ScenarioDevice) -> SandboxStatus.Device {
    let owner =
      switch hypervisor.owners[device.address] {
      case .guest(let id): "\(id)"
      case .quarantine: "quarantine"
      case .dom0: "dom0"
      case nil: "none"
      }
    return SandboxStatus.Device(
      address: device.address, id: device.id, driver: drivers.bound[device.address], owner: owner,
      isPermissive: drivers.permissive.contains(device.address), resets: resets[device.address] ?? 0)
  }
}

/// Returns a document's bytes, keys sorted, on one line.
func encoded(_ value: some Encodable) throws(SandboxError) -> [UInt8] {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
  do {
    return Array(try encoder.encode(value))
  } catch {
    throw SandboxError(.system, "writing a document: \(error)", errno: EINVAL)
  }
}

/// Reads a document that `encoded` wrote.
func decoded<Value: Decodable>(_ type: Value.Type, from bytes: some Sequence<UInt8>) throws(SandboxError) -> Value {
  do {
    return try JSONDecoder().decode(type, from: Data(bytes))
  } catch {
    throw SandboxError(.system, "reading a document: \(error)", errno: EINVAL)
  }
}
