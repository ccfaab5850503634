import Model

/// Combines the documents that apply to one host, and reports contradictions between them.
struct Assembly {
  private let report: Diagnostics
  private var definitions: [Name: Named<DeviceDefinition>] = [:]
  /// The first names of `definitions`, among which a misspelt one is looked for. Empty until there is a misspelt one.
  private var suggestions: [String] = []
  private var hasUnreadDefinitions = false
  private var holders = Holders()

  /// Returns the desired state of a host to which all of the documents apply.
  static func desiredState(of documents: [ManifestDocument], _ report: Diagnostics) -> DesiredState {
    var assembly = Assembly(report: report)
    let policy = assembly.policy(of: documents)
    assembly.hasUnreadDefinitions = documents.contains(where: \.spec.hasUnreadDefinitions)
    assembly.define(documents.flatMap(\.spec.definitions))
    let domains = assembly.domains(documents.flatMap(\.spec.domains))
    let set = assembly.agreed(documents.compactMap(\.set), on: "set")
    return DesiredState(set: set ?? DesiredState.defaultSet, policy: policy, domains: domains)
  }

  private init(report: Diagnostics) { self.report = report }

  // MARK: Policy

  private func policy(of documents: [ManifestDocument]) -> Policy {
    let policies = documents.compactMap(\.spec.policy)
    var result = Policy()
    if let prune = agreed(policies.compactMap(\.prune), on: "prune") { result.prune = prune }
    result.maxRemovals = agreed(policies.compactMap(\.maxRemovals), on: "maxRemovals")
    if let drivers = agreed(policies.compactMap(\.hostDrivers), on: "hostDrivers") { result.hostDrivers = drivers }
    if let after = agreed(policies.compactMap(\.afterDetach), on: "afterDetach") { result.afterDetach = after }
    return result
  }

  private func agreed<Value: Equatable>(_ values: [Located<Value>], on key: String) -> Value? {
    guard let first = values.first else { return nil }
    for other in values.dropFirst() where other.value != first.value {
      report.error(
        "'\(key)' is \(other.value) here and \(first.value) in another document for the same host", at: other.mark,
        notes: [.init("first", at: first.mark)])
    }
    return first.value
  }

  // MARK: Named devices

  private mutating func define(_ all: [Named<DeviceDefinition>]) {
    var names: [PCIAddress: Located<Name>] = [:]
    for definition in all {
      let name = definition.name
      if let earlier = definitions[name.value] {
        report.error(
          "the device name \(quoted(name.value)) is defined twice", at: name.mark,
          notes: [.init("first given", at: earlier.name.mark)])
        continue
      }
      definitions[name.value] = definition
      guard let selector = definition.value.selector, selector.isPlain, let address = definition.value.address else {
        continue
      }
      if let earlier = names[address.value] {
        report.warning(
          "device \(address.value) has two names, \(quoted(earlier.value)) and \(quoted(name.value))",
          at: address.mark, notes: [.init("first named", at: earlier.mark)])
      } else {
        names[address.value] = name
      }
      if !definition.value.saysID { warnOfMissingID(address.value, at: address.mark) }
    }
  }

  /// Warns about names that no document uses, including documents for other hosts.
  static func warnOfUnusedNames(in documents: [ManifestDocument], _ report: Diagnostics) {
    // An unreadable reference may be the use of a name.
    guard !report.hasErrors else { return }
    var uses = DeviceUses()
    uses.add(documents)
    uses.warnOfUnused(report)
  }

  private func warnOfMissingID(_ address: PCIAddress, at mark: SourceMark) {
    report.warning(
      "the id of device \(address) is not given", at: mark,
      hint: "add the id that lspci -n -s \(address) prints: Berth then leaves another card at this address alone")
  }

  // MARK: Domains

  private mutating func domains(_ all: [Named<DomainDeclaration>]) -> [DesiredDomain] {
    var first: [Name: SourceMark] = [:]
    var uuids: [DomainUUID: Located<Name>] = [:]
    var result: [DesiredDomain] = []
    for domain in all {
      let name = domain.name
      if let earlier = first[name.value] {
        report.error(
          "domain \(quoted(name.value)) is declared in two documents", at: name.mark,
          notes: [.init("first declared", at: earlier)], hint: "put all its devices into one of them")
        continue
      }
      first[name.value] = name.mark
      if let uuid = domain.value.uuid {
        if let earlier = uuids[uuid.value] {
          report.error(
            "domains \(quoted(earlier.value)) and \(quoted(name.value)) have the same UUID", at: uuid.mark,
            notes: [.init("first given to \(quoted(earlier.value))", at: earlier.mark)])
        } else {
          uuids[uuid.value] = Located(name.value, at: uuid.mark)
        }
      }
      let selections = domain.value.devices.compactMap { selection($0, of: name.value) }
      let devices = domain.value.devices.compactMap { device($0, of: name.value) }
      let named = selections.map { selection in
        SlotClaim(slot: selection.value.options.virtualSlot, name: quoted(selection.value.label), mark: selection.mark)
      }
      reportSharedSlots(of: name.value, devices.map(SlotClaim.init) + named)
      result.append(
        DesiredDomain(
          name: name.value, uuid: domain.value.uuid?.value, devices: devices.map(\.value),
          selections: selections.map(\.value)))
    }
    return result.sorted { $0.name < $1.name }
  }

  /// Returns what an entry of a domain selects; nil if the entry has a plain address, or an error.
  private mutating func selection(_ assignment: Assignment, of domain: Name) -> Located<DeviceSelection>? {
    guard case .name(let name) = assignment.reference, var selector = definitions[Name(name)]?.value.selector,
      !selector.isPlain
    else { return nil }
    if let id = assignment.id {
      if let there = selector.id, there != id.value { reportOtherID(id, name: name) }
      selector.id = selector.id ?? id.value
    }
    if let holder = holders.byName[Name(name)] {
      reportSecondUse(of: quoted(name), by: domain, at: assignment.mark, first: holder)
      return nil
    }
    holders.byName[Name(name)] = (domain, assignment.mark)
    if selector.takesAllFunctions, let mark = assignment.slotMark {
      report.error(
        "the functions of \(quoted(name)) cannot share one virtual slot: each becomes function 0 of its slot", at: mark,
        hint: "remove 'virtualSlot', and Xen chooses one for each")
      return nil
    }
    let selection = DeviceSelection(
      selector: selector, label: name, options: assignment.options, isRequired: assignment.isRequired)
    return Located(selection, at: assignment.slotMark ?? assignment.mark)
  }

  private func reportOtherID(_ here: Located<DeviceID>, name: String) {
    guard let there = definitions[Name(name)]?.value.id, here.value != there.value else { return }
    report.error(
      "device \(quoted(name)) cannot be \(here.value) here and \(there.value) by its definition", at: here.mark,
      notes: [.init("defined", at: there.mark)])
  }

  private mutating func device(_ assignment: Assignment, of domain: Name) -> Located<DesiredDevice>? {
    var id = assignment.id?.value
    let address: PCIAddress
    var label: String?
    switch assignment.reference {
    case .address(let given):
      address = given
      if !assignment.saysID { warnOfMissingID(given, at: assignment.mark) }
    case .name(let name):
      guard let definition = definitions[Name(name)] else {
        guard !hasUnreadDefinitions else { return nil }
        if suggestions.isEmpty { suggestions = definitions.keys.sorted().prefix(1000).map(\.text) }
        report.error(
          "no device is named \(quoted(name))", at: assignment.mark,
          hint: didYouMean(name, among: suggestions.filter { !differsInDigitsOnly($0, name) })
            ?? explainAddress(name)?.hint
            ?? "name it under 'spec.devices'")
        return nil
      }
      label = name
      if let selector = definition.value.selector, !selector.isPlain { return nil }
      if let here = assignment.id { reportOtherID(here, name: name) }
      id = id ?? definition.value.id?.value
      guard let found = definition.value.address else { return nil }
      address = found.value
    }
    guard claim(address, for: domain, at: assignment.mark) else { return nil }
    var device = DesiredDevice(
      address: address, id: id, label: label, options: assignment.options, isRequired: assignment.isRequired)
    device.hidesAtBoot = label.flatMap { definitions[Name($0)]?.value.selector?.hidesAtBoot } ?? false
    return Located(device, at: assignment.slotMark ?? assignment.mark)
  }

  private mutating func claim(_ address: PCIAddress, for domain: Name, at mark: SourceMark) -> Bool {
    guard let holder = holders.byAddress[address] else {
      holders.byAddress[address] = (domain, mark)
      return true
    }
    reportSecondUse(of: "\(address)", by: domain, at: mark, first: holder)
    return false
  }

  private func reportSecondUse(of device: String, by domain: Name, at mark: SourceMark, first: Holders.Holder) {
    if first.domain == domain {
      report.error(
        "device \(device) is listed twice for \(quoted(domain))", at: mark,
        notes: [.init("first listed", at: first.mark)])
    } else {
      report.error(
        "device \(device) is assigned to both \(quoted(first.domain)) and \(quoted(domain))", at: mark,
        notes: [.init("first assigned", at: first.mark)])
    }
  }

  /// Reports devices of one domain that share a virtual slot.
  ///
  /// Functions of one physical slot cannot share one either: each gets function 0 of its slot in the guest, and QEMU
  /// refuses the second.
  private func reportSharedSlots(of domain: Name, _ devices: [SlotClaim]) {
    var first: [UInt8: SlotClaim] = [:]
    for device in devices {
      guard let slot = device.slot else { continue }
      guard let earlier = first[slot] else { first[slot] = device; continue }
      let isOneDevice = device.address != nil && earlier.address == device.address
      report.error(
        "virtual slot \(slot) of \(quoted(domain)) is given to both \(earlier.name) and \(device.name)"
          + (isOneDevice ? ", but each function becomes function 0 of its slot" : ""),
        at: device.mark, notes: [.init("first given", at: earlier.mark)],
        hint: isOneDevice ? "give the functions different slots, or none" : nil)
    }
  }
}

/// A device of a domain, and the virtual slot that it is to have.
private struct SlotClaim {
  let slot: UInt8?
  let name: String
  let mark: SourceMark
  /// The physical slot, without the function; nil if it is not known yet.
  var address: UInt32?

  init(slot: UInt8?, name: String, mark: SourceMark) { (self.slot, self.name, self.mark) = (slot, name, mark) }

  init(_ device: Located<DesiredDevice>) {
    self.init(slot: device.value.options.virtualSlot, name: "\(device.value.address)", mark: device.mark)
    address = device.value.address.sbdf >> 3
  }
}

/// The domain for which each device was first declared, and the location of that declaration.
private struct Holders {
  typealias Holder = (domain: Name, mark: SourceMark)
  var byAddress: [PCIAddress: Holder] = [:]
  /// The domains of devices that have no plain address.
  var byName: [Name: Holder] = [:]
}

/// The names that documents give to devices, and those that domains use.
struct DeviceUses: Sendable {
  private var used: Set<Name> = []
  /// The definitions that no domain used when they were added.
  private var unused: [Located<Name>] = []

  /// Adds documents.
  mutating func add(_ documents: [ManifestDocument]) {
    for assignment in documents.lazy.flatMap(\.spec.domains).flatMap(\.value.devices) {
      if case .name(let name) = assignment.reference { used.insert(Name(name)) }
    }
    unused = (unused + documents.flatMap(\.spec.definitions).map(\.name)).filter { !used.contains($0.value) }
  }

  /// Warns of each definition that no domain uses.
  func warnOfUnused(_ report: Diagnostics) {
    for name in unused { report.warning("no domain uses the device \(quoted(name.value))", at: name.mark) }
  }
}
