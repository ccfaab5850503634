import Manifest
import Model
import XenProtocol

/// Reads a scenario's YAML. The error's message has every finding, with its location.
package func parseScenario(_ text: [UInt8], name: String) throws(SandboxError) -> Scenario {
  let report = Diagnostics()
  let source = SourceText(name: name, bytes: text)
  let documents = parseDeclaration(source, kind: "SandboxScenario", name: "a scenario", report: report)
  var scenario: Scenario?
  if let first = documents.first {
    scenario = ScenarioReader(report: report).read(first)
    if documents.count > 1 { report.error("a scenario must be one document", at: documents[1].mark) }
  } else if !report.hasErrors {
    report.error("\(name) contains no scenario", at: nil)
  }
  guard let scenario, !report.hasErrors else {
    let errors = report.sortedErrors
    throw SandboxError(
      .invalidScenario, errors.map(\.description).joined(separator: "\n"), findings: errors.map(\.text))
  }
  return scenario
}

/// Reads one scenario, and checks that its parts fit together.
private struct ScenarioReader {
  let report: Diagnostics

  func read(_ node: YAMLNode) -> Scenario? {
    guard var top = MappingReader(node, "a scenario", report) else { return nil }
    if let version = top.required("apiVersion", ScenarioTypes.locatedText), version.value != "berth/v1alpha1" {
      report.error("a scenario's apiVersion must be berth/v1alpha1", at: version.mark)
    }
    if let kind = top.required("kind", ScenarioTypes.locatedText), kind.value != "SandboxScenario" {
      report.error("a scenario's kind must be SandboxScenario", at: kind.mark)
    }
    var name: String?
    if let metadata = top.optional("metadata", .node), var reader = MappingReader(metadata, "'metadata'", report) {
      name = reader.optional("name", .text)
      reader.finish()
    }
    let specification = top.required("spec", .node)
    top.finish()
    guard let specification, var reader = MappingReader(specification, "'spec'", report) else { return nil }
    let host = reader.optional("host", .node).flatMap { self.host($0) } ?? ScenarioHost()
    let devices = (reader.optional("devices", .list(of: .node)) ?? []).compactMap { node in
      device(node).map { Located($0, at: node.mark) }
    }
    let domains = self.domains(reader.optional("domains", .list(of: .node)) ?? [])
    check(devices, domains)
    let faults = reader.optional("faults", .node).flatMap { self.faults($0, domains.map(\.value)) } ?? ScenarioFaults()
    reader.finish()
    var scenario = Scenario(host: host, devices: devices.map(\.value), domains: domains.map(\.value), faults: faults)
    if let name { scenario.host.name = name }
    return scenario
  }

  private func host(_ node: YAMLNode) -> ScenarioHost? {
    guard var reader = MappingReader(node, "'host'", report) else { return nil }
    var host = ScenarioHost()
    host.name = reader.optional("name", .text) ?? host.name
    host.xenVersion = reader.optional("xen", .text) ?? host.xenVersion
    host.hasIOMMU = reader.optional("iommu", .boolean) ?? host.hasIOMMU
    host.delay = reader.optional("delay", .duration) ?? host.delay
    host.introducesDomains = reader.optional("introduce", .boolean) ?? host.introducesDomains
    host.routes = reader.optional("routes", .list(of: ScenarioTypes.fileName)) ?? []
    reader.finish()
    return host
  }

  private func device(_ node: YAMLNode) -> ScenarioDevice? {
    guard var reader = MappingReader(node, "a device", report) else { return nil }
    let address = reader.required("address", ScenarioTypes.address)
    let id = reader.required("id", ScenarioTypes.identity)
    // A note for readers of the scenario.
    _ = reader.optional("name", .text)
    let driver = reader.optional("driver", .text) ?? ScenarioDevice.pciback
    var device = ScenarioDevice(
      address: address ?? PCIAddress(sbdf: 0), id: id ?? DeviceID(vendor: 0, device: 0),
      subsystem: reader.optional("subsystem", ScenarioTypes.identity),
      deviceClass: reader.optional("class", ScenarioTypes.deviceClass) ?? 0x020000,
      driver: driver == "none" ? nil : driver,
      resources: reader.optional("resources", .list(of: ScenarioTypes.resource)) ?? [],
      interrupt: UInt32(reader.optional("irq", .integer(0...1023)) ?? 0),
      canReset: reader.optional("reset", .boolean) ?? true,
      isVirtualFunction: reader.optional("virtualFunction", .boolean) ?? false)
    device.ownDriver = reader.optional("ownDriver", ScenarioTypes.fileName) ?? device.ownDriver
    device.bridge = reader.optional("behind", ScenarioTypes.address)
    device.revision = UInt8(reader.optional("revision", .integer(0...255)) ?? 0)
    device.slot = reader.optional("slot", ScenarioTypes.fileName)
    device.serial = reader.optional("serial", ScenarioTypes.serial)
    device.requester = reader.optional("requester", ScenarioTypes.address)
    device.reservedMemory = reader.optional("reservedMemory", .list(of: ScenarioTypes.reservedMemory)) ?? []
    device.interface = reader.optional("interface", .node).flatMap { interface($0) }
    device.disk = reader.optional("disk", .node).flatMap { disk($0) }
    device.controller = reader.optional("nvme", .node).flatMap { controller($0) }
    reader.finish()
    if driver.contains("/") || driver.hasPrefix(".") {
      report.error("'driver' must be a driver's name", at: reader.mark(ofValueAt: "driver"))
    }
    return address == nil || id == nil ? nil : device
  }

  private func interface(_ node: YAMLNode) -> ScenarioDevice.Interface? {
    guard var reader = MappingReader(node, "'interface'", report) else { return nil }
    let name = reader.required("name", ScenarioTypes.fileName)
    let address = reader.required("mac", ScenarioTypes.mac)
    reader.finish()
    guard let name, let address else { return nil }
    return ScenarioDevice.Interface(name: name, address: address)
  }

  private func disk(_ node: YAMLNode) -> ScenarioDevice.Disk? {
    guard var reader = MappingReader(node, "'disk'", report) else { return nil }
    let name = reader.required("name", ScenarioTypes.fileName)
    let mount = reader.optional("mount", ScenarioTypes.folder)
    reader.finish()
    return name.map { ScenarioDevice.Disk(name: $0, mount: mount) }
  }

  private func controller(_ node: YAMLNode) -> ScenarioDevice.Controller? {
    guard var reader = MappingReader(node, "'nvme'", report) else { return nil }
    let name = reader.required("name", ScenarioTypes.fileName)
    let serial = reader.required("serial", .text)
    let model = reader.optional("model", .text) ?? "Simulated NVMe"
    reader.finish()
    guard let name, let serial else { return nil }
    return ScenarioDevice.Controller(name: name, serial: serial, model: model)
  }

  /// Checks that each device's bridge is one, and that bridges are not behind each other in a circle.
  private func checkBridges(_ devices: [Located<ScenarioDevice>]) {
    let known = Dictionary(devices.map { ($0.value.address, $0.value) }, uniquingKeysWith: { first, _ in first })
    for device in devices {
      guard let first = device.value.bridge else { continue }
      guard known[first]?.isBridge == true else {
        report.error("\(first) is no bridge of the scenario (class 0604)", at: device.mark)
        continue
      }
      var bridge: PCIAddress? = first
      var seen: Set<PCIAddress> = [device.value.address]
      while let next = bridge {
        guard seen.insert(next).inserted else {
          report.error("\(device.value.address) is behind itself", at: device.mark)
          break
        }
        bridge = known[next]?.bridge
      }
      if device.value.address.segment != first.segment || device.value.address.bus <= first.bus {
        report.error(
          "\(device.value.address) cannot be behind \(first): its bus must have a higher number", at: device.mark)
      }
    }
  }

  /// Checks that each requester is a device of the same segment.
  private func checkRequesters(_ devices: [Located<ScenarioDevice>]) {
    let known = Set(devices.map(\.value.address))
    for device in devices {
      guard let requester = device.value.requester else { continue }
      if !known.contains(requester) || requester.segment != device.value.address.segment {
        report.error("\(requester) is no device of the scenario in the same segment", at: device.mark)
      }
    }
  }

  private func domains(_ nodes: [YAMLNode]) -> [Located<ScenarioDomain>] {
    var domains = nodes.compactMap { node in domain(node).map { Located($0, at: node.mark) } }
    // A domain without a number gets the next free one, so that faults and people can refer to it.
    let taken = Set(domains.compactMap(\.value.id) + domains.compactMap(\.value.stubDomain?.id))
    var next: UInt32 = 1
    for position in domains.indices where domains[position].value.id == nil {
      while taken.contains(DomainID(next)) { next += 1 }
      domains[position].value.id = DomainID(next)
      next += 1
    }
    for position in domains.indices where domains[position].value.stubDomain != nil {
      guard domains[position].value.stubDomain?.id == nil else { continue }
      while used(DomainID(next), domains) { next += 1 }
      domains[position].value.stubDomain?.id = DomainID(next)
      next += 1
    }
    return domains
  }

  private func used(_ number: DomainID, _ domains: [Located<ScenarioDomain>]) -> Bool {
    domains.contains { $0.value.id == number || $0.value.stubDomain?.id == number }
  }

  private func stubDomain(_ node: YAMLNode, of name: String) -> ScenarioStubDomain? {
    guard var reader = MappingReader(node, "'stubDomain'", report) else { return nil }
    let id = reader.optional("domid", .integer(1...Int(DomainID.firstReserved) - 1)).map { DomainID(UInt32($0)) }
    let uuid = reader.optional("uuid", ScenarioTypes.uuid) ?? Self.uuid(for: name + "-dm")
    let answers = reader.optional("answers", .choice(GuestAnswers.self)) ?? .normal
    let delay = reader.optional("delay", .duration) ?? .milliseconds(1)
    reader.finish()
    return uuid.map { ScenarioStubDomain(uuid: $0, id: id, answers: answers, delay: delay) }
  }

  private func domain(_ node: YAMLNode) -> ScenarioDomain? {
    guard var reader = MappingReader(node, "a domain", report) else { return nil }
    let name = reader.required("name", .text)
    let uuid = reader.optional("uuid", ScenarioTypes.uuid)
    let id = reader.optional("domid", .integer(1...Int(DomainID.firstReserved) - 1)).map { DomainID(UInt32($0)) }
    let kind = reader.optional("kind", .choice(DomainKind.self)) ?? .pv
    let lifecycle = reader.optional("lifecycle", .choice(ScenarioDomain.Lifecycle.self)) ?? .running
    let devices = reader.optional("devices", .list(of: ScenarioTypes.attached)) ?? []
    guard let uuid = uuid ?? Self.uuid(for: name ?? "") else { return nil }
    let domain = ScenarioDomain(
      name: name ?? "", uuid: uuid, id: id, kind: kind, lifecycle: lifecycle,
      hasIOMMU: reader.optional("iommu", .boolean) ?? true, devices: devices.map(\.value),
      staleDevices: (reader.optional("staleDevices", .list(of: ScenarioTypes.attached)) ?? []).map(\.value),
      answers: reader.optional("answers", .choice(GuestAnswers.self)) ?? .normal,
      delay: reader.optional("delay", .duration) ?? .milliseconds(1),
      stubDomain: reader.optional("stubDomain", .node).flatMap { stubDomain($0, of: name ?? "") },
      deviceModel: reader.optional("deviceModel", .choice(ScenarioDeviceModel.self)) ?? .upstream)
    reader.finish()
    if domain.stubDomain != nil, kind != .hvm {
      report.error("only an HVM domain can have a stub domain", at: reader.mark(ofValueAt: "stubDomain"))
    }
    if domain.answers == .wrong, kind == .hvm {
      report.error(
        "an HVM domain's 'answers' must be normal, slow, never or no-driver", at: reader.mark(ofValueAt: "answers"))
    }
    if !devices.isEmpty, kind == .pvh || lifecycle == .building {
      report.error(
        "a PVH domain, or one that is building, cannot have devices at the start",
        at: reader.mark(ofValueAt: "devices"))
    }
    return name == nil ? nil : domain
  }

  /// Returns a UUID that depends only on the name, so that a scenario gives the same host each time (FNV-1a, twice).
  private static func uuid(for name: String) -> DomainUUID? {
    func hash(_ seed: UInt64) -> UInt64 { name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }
    let words = [hash(0xCBF2_9CE4_8422_2325), hash(0x8422_2325_CBF2_9CE4)]
    let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64($0 * 8)) } }
    return DomainUUID(bytes: bytes)
  }

  private func check(_ devices: [Located<ScenarioDevice>], _ domains: [Located<ScenarioDomain>]) {
    var known: [PCIAddress: SourceMark] = [:]
    for device in devices {
      if let first = known.updateValue(device.mark, forKey: device.value.address) {
        report.error(
          "the device \(device.value.address) is given twice", at: device.mark, notes: [.init("first", at: first)])
      }
    }
    checkBridges(devices)
    checkRequesters(devices)
    let assignable = Set(devices.map(\.value).filter { $0.driver == ScenarioDevice.pciback }.map(\.address))
    var names: [Name: SourceMark] = [:]
    var numbers: [DomainID: SourceMark] = [:]
    var holders: [PCIAddress: String] = [:]
    for domain in domains {
      let value = domain.value
      for one in [value, value.stub].compactMap({ $0 }) {
        if let first = names.updateValue(domain.mark, forKey: Name(one.name)) {
          report.error(
            "two domains have the name \(quoted(one.name))", at: domain.mark, notes: [.init("first", at: first)])
        }
        if let id = one.id, let first = numbers.updateValue(domain.mark, forKey: id) {
          report.error("two domains have the number \(id)", at: domain.mark, notes: [.init("first", at: first)])
        }
      }
      for device in value.devices {
        if !assignable.contains(device.address) {
          report.error("\(device.address) is attached to \(quoted(value.name)) but is not on pciback", at: domain.mark)
        } else if let holder = holders.updateValue(value.name, forKey: device.address) {
          report.error(
            "\(device.address) is attached to \(quoted(holder)) and to \(quoted(value.name))", at: domain.mark)
        }
      }
    }
  }

  private func faults(_ node: YAMLNode, _ domains: [ScenarioDomain]) -> ScenarioFaults? {
    guard var reader = MappingReader(node, "'faults'", report) else { return nil }
    var faults = ScenarioFaults()
    for call in reader.optional("failingCalls", .list(of: .node)) ?? [] {
      if let fault = failingCall(call, domains) { faults.failingCalls.append(fault) }
    }
    faults.failingExports = reader.optional("failingExports", .list(of: ScenarioTypes.address)) ?? []
    for lock in reader.optional("heldLocks", .list(of: ScenarioTypes.locatedText)) ?? [] {
      if domain(named: lock, existingIn: domains) != nil { faults.heldLocks.append(lock.value) }
    }
    for fault in reader.optional("deviceModels", .list(of: .node)) ?? [] {
      if let fault = deviceModel(fault, domains) { faults.deviceModels.append(fault) }
    }
    for refusal in reader.optional("drivers", .list(of: .node)) ?? [] {
      if let refusal = driverRefusal(refusal) { faults.drivers.append(refusal) }
    }
    if let store = reader.optional("store", .node) {
      for entry in mappingEntries(store, "'store'", report) ?? [] {
        if let change = storeChange(entry) { faults.store.append(change) }
      }
    }
    reader.finish()
    return faults
  }

  private func failingCall(_ node: YAMLNode, _ domains: [ScenarioDomain]) -> HypercallFault? {
    guard var reader = MappingReader(node, "a failing call", report) else { return nil }
    let call = reader.required("call", .choice(HypercallFault.Call.self))
    let device = reader.optional("device", ScenarioTypes.address)
    let name = reader.optional("domain", ScenarioTypes.locatedText)
    let error = reader.required("error", ScenarioTypes.errorNumber)
    let times = reader.optional("times", .integer(1...1_000_000))
    reader.finish()
    let target = name.flatMap { domain(named: $0, domains) }
    guard let call, let error, name == nil || target != nil else { return nil }
    return HypercallFault(call: call, device: device, domain: target?.id, errno: error, times: times)
  }

  private func driverRefusal(_ node: YAMLNode) -> ScenarioFaults.DriverRefusal? {
    guard var reader = MappingReader(node, "a driver's fault", report) else { return nil }
    let device = reader.required("device", ScenarioTypes.address)
    let driver = reader.required("driver", ScenarioTypes.fileName)
    let refusal = reader.required("refuses", .choice(ScenarioFaults.DriverRefusal.Refusal.self))
    reader.finish()
    guard let device, let driver, let refusal else { return nil }
    return ScenarioFaults.DriverRefusal(device: device, driver: driver, refusal: refusal)
  }

  private func deviceModel(_ node: YAMLNode, _ domains: [ScenarioDomain]) -> ScenarioFaults.DeviceModel? {
    guard var reader = MappingReader(node, "a device model's fault", report) else { return nil }
    let name = reader.required("domain", ScenarioTypes.locatedText)
    let kind = reader.required("is", .choice(DeviceModelFault.Kind.self))
    let command = reader.optional("command", .text)
    let text = reader.optional("text", .text)
    let times = reader.optional("times", .integer(1...1_000_000))
    reader.finish()
    guard let name, let kind, let domain = domain(named: name, existingIn: domains) else { return nil }
    guard domain.kind == .hvm else {
      report.error("\(quoted(name.value)) has no device model: it is not an HVM domain", at: name.mark)
      return nil
    }
    return .init(
      domain: name.value, fault: DeviceModelFault(kind, command: command, text: text, times: times))
  }

  private func domain(named name: Located<String>, _ domains: [ScenarioDomain]) -> ScenarioDomain? {
    let all = domains + domains.compactMap(\.stub)
    if let domain = all.first(where: { Name($0.name) == Name(name.value) }) { return domain }
    report.error("the scenario has no domain \(quoted(name.value))", at: name.mark)
    return nil
  }

  /// Returns the domain if the host has it at the start. A domain that is created later begins without faults.
  private func domain(named name: Located<String>, existingIn domains: [ScenarioDomain]) -> ScenarioDomain? {
    guard let domain = domain(named: name, domains) else { return nil }
    let guest = domains.first { $0.stub.map { Name($0.name) } == Name(name.value) } ?? domain
    guard guest.lifecycle != .absent else {
      report.error(
        "\(quoted(name.value)) does not exist at the start, so it cannot have this fault", at: name.mark)
      return nil
    }
    return domain
  }

  /// Reads a node's path and its value; null removes the node.
  private func storeChange(_ entry: MappingEntry) -> ScenarioFaults.StoreChange? {
    guard entry.key.hasPrefix("/"), !entry.key.hasSuffix("/") else {
      report.error("a path in xenstore must begin with / and must not end with /", at: entry.mark)
      return nil
    }
    guard let scalar = entry.value.scalar else {
      report.error("a node's value must be a text, or null to remove the node", at: entry.value.mark)
      return nil
    }
    return .init(path: entry.key, value: scalar.isNull ? nil : scalar.text)
  }
}
