package import Model

extension DesiredState {
  /// Returns the state in which each selection has become the devices it means, or is unresolved. Without selections
  /// nothing changes, and no inventory is needed.
  ///
  /// Pure: the same inventory gives the same state. Two entries that mean one device are both unresolved.
  package func resolved(in inventory: Inventory?) -> DesiredState {
    guard domains.contains(where: { !$0.selections.isEmpty }) else { return self }
    // Without any function, sysfs was not there: nothing was read.
    let resolver = Resolver(inventory.flatMap { $0.functions.isEmpty ? nil : $0 })
    var state = self
    for index in state.domains.indices { state.domains[index].resolve(with: resolver) }
    state.settleContests()
    return state
  }

  /// Makes devices that several entries mean unresolved.
  private mutating func settleContests() {
    var labels: [PCIAddress: [String]] = [:]
    for domain in domains {
      for device in domain.devices { labels[device.address, default: []].append(device.label ?? "\(device.address)") }
    }
    let contested = labels.filter { $0.value.count > 1 }
    guard !contested.isEmpty else { return }
    for index in domains.indices { domains[index].leaveOpen(contested) }
  }
}

extension DesiredDomain {
  fileprivate mutating func resolve(with resolver: Resolver) {
    for selection in selections {
      switch resolver.resolve(selection.selector) {
      case .success(let functions):
        for function in functions {
          guard let address = function.address else { continue }
          var device = DesiredDevice(
            address: address, id: function.id ?? selection.selector.id, serial: function.serial,
            label: selection.label,
            options: selection.options, isRequired: selection.isRequired)
          device.hidesAtBoot = selection.selector.hidesAtBoot
          if selection.selector.takesAllFunctions { device.card = PCIAddress(sbdf: address.sbdf & ~7) }
          devices.append(device)
        }
      case .failure(let failure):
        unresolved.append(UnresolvedDevice(selection: selection, problem: failure.problem))
      }
    }
    selections = []
  }

  fileprivate mutating func leaveOpen(_ contested: [PCIAddress: [String]]) {
    let open = devices.filter { contested[$0.address] != nil }
    // A card is taken as a whole: its other functions are left open with the contested one, as candidates of it.
    let cards = Set(open.compactMap(\.card))
    devices.removeAll { device in contested[device.address] != nil || device.card.map(cards.contains) ?? false }
    unresolved += open.map { device in
      var selector = DeviceSelector(address: device.address, id: device.id)
      selector.takesAllFunctions = device.card != nil
      let label = device.label ?? "\(device.address)"
      var others = contested[device.address] ?? []
      if let own = others.firstIndex(of: label) { others.remove(at: own) }
      return UnresolvedDevice(
        selection: DeviceSelection(
          selector: selector, label: label, options: device.options, isRequired: device.isRequired),
        problem: .contested(device.address, with: others))
    }
  }
}

/// Finds the functions that selectors mean.
struct Resolver {
  /// A problem as an error, so that a result can have it.
  struct Failure: Error { let problem: SelectionProblem }

  /// Nil if no function could be read.
  private let inventory: Inventory?

  init(_ inventory: Inventory?) { self.inventory = inventory }

  private var functions: [PCIFunction] { inventory?.functions ?? [] }

  /// Returns the functions that a selector means: one, or all of one slot.
  func resolve(_ selector: DeviceSelector) -> Result<[PCIFunction], Failure> {
    guard inventory != nil else {
      return .failure(Failure(problem: .unproven([], selector.keys.first ?? .address)))
    }
    switch selector.address.map({ find(selector, at: $0) }) ?? find(selector) {
    case .failure(let failure): return .failure(failure)
    case .success(let function):
      let meant =
        selector.takesAllFunctions ? functions.filter { $0.name.isInSlot(of: function.name) } : [function]
      for function in meant {
        if function.isBridge == true { return .failure(Failure(problem: .bridge(function.name))) }
        if function.address == nil { return .failure(Failure(problem: .segmentTooLarge(function.name))) }
      }
      return .success(meant)
    }
  }

  /// What fits a selector among some functions, and what may.
  private struct Fits {
    var found: [PCIFunction] = []
    var unknown: [(function: PCIFunction, key: DeviceSelector.Key)] = []

    init(_ selector: DeviceSelector, _ functions: some Sequence<PCIFunction>) {
      for function in functions {
        switch selector.match(function) {
        case .yes: found.append(function)
        case .no: break
        case .unknown(let key): unknown.append((function, key))
        }
      }
    }

    /// Whether all that fit, or may fit, are functions of one slot.
    var isOneSlot: Bool {
      guard let first = found.first else { return false }
      return (found + unknown.map(\.function)).allSatisfy { $0.name.isInSlot(of: first.name) }
    }
  }

  /// Looks for a device whose address is expected.
  private func find(_ selector: DeviceSelector, at address: PCIAddress) -> Result<PCIFunction, Failure> {
    let here = functions.first { $0.address == address }
    let match = here.map { selector.match($0) }
    if let here, match == .yes { return .success(here) }
    // Another card is here, or none, or one that cannot be read. Only what goes with the card proves that it is elsewhere.
    if let key = selector.keys.first(where: \.movesWithCard) {
      let fits = Fits(selector.withoutPlace, functions.filter { $0.address != address })
      if let other = elsewhere(fits, function: address.function) {
        if selector.follows { return .success(other) }
        return .failure(Failure(problem: .moved(from: address, to: other.name, by: key)))
      }
      if fits.found.count > 1 {
        return .failure(
          Failure(problem: .ambiguous(fits.found.map(\.name), separatedBy: Self.separatingKey(of: fits.found))))
      }
      if let first = fits.unknown.first {
        let names = fits.unknown.map(\.function.name) + (here.map { [$0.name] } ?? [])
        return .failure(Failure(problem: .unproven(names, first.key)))
      }
    }
    switch match {
    case .unknown(let key): return .failure(Failure(problem: .unproven([FunctionName(address)], key)))
    case .no(let key): return .failure(Failure(problem: .differs(address, key)))
    case .yes, nil: return .failure(Failure(problem: .missing))
    }
  }

  /// Returns the function to which a card moved: the only one that fits, or, of several in one slot, the one with the
  /// expected number.
  private func elsewhere(_ fits: Fits, function: UInt8) -> PCIFunction? {
    if fits.found.count == 1 { return fits.found[0] }
    return fits.isOneSlot ? fits.found.first { $0.name.function == function } : nil
  }

  /// Looks for a device at any address.
  private func find(_ selector: DeviceSelector) -> Result<PCIFunction, Failure> {
    let fits = Fits(selector, functions)
    // Functions of one card may have one serial number, and have one slot.
    if selector.takesAllFunctions, fits.isOneSlot, let first = fits.found.first { return .success(first) }
    if fits.found.count > 1 {
      return .failure(
        Failure(problem: .ambiguous(fits.found.map(\.name), separatedBy: Self.separatingKey(of: fits.found))))
    }
    if let one = fits.found.first {
      // What is unique and fits proves the device, whatever is not known of others; but not of others of its own card.
      let isUnique = selector.keys.contains(where: \.isUnique)
      let rivals = fits.unknown.filter { !isUnique || $0.function.name.isInSlot(of: one.name) }
      guard let rival = rivals.first else { return .success(one) }
      return .failure(Failure(problem: .unproven([one.name] + rivals.map(\.function.name), rival.key)))
    }
    if let first = fits.unknown.first {
      return .failure(Failure(problem: .unproven(fits.unknown.map(\.function.name), first.key)))
    }
    return .failure(Failure(problem: .missing))
  }

  /// Returns the first key, among those that go with the card and then the others, that has another value on each.
  private static func separatingKey(of functions: [PCIFunction]) -> DeviceSelector.Key? {
    let keys: [DeviceSelector.Key] = [
      .serial, .nvmeSerial, .mac, .subsystem, .id, .revision, .deviceClass, .slot, .path, .address,
    ]
    return keys.first { key in
      let values = functions.map { $0.value(of: key) }
      return !values.contains(nil) && Set(values).count == functions.count
    }
  }
}

extension DeviceSelector {
  /// The selector without the keys that name a place.
  fileprivate var withoutPlace: DeviceSelector {
    var selector = self
    (selector.path, selector.slot) = (nil, nil)
    return selector
  }
}
