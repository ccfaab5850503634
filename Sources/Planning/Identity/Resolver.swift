package import Model

extension DesiredState {
  /// Returns the state in which each selection has become the devices it means, or is unresolved. Without selections
  /// nothing changes, and no inventory is needed.
  ///
  /// Pure: the same inventory gives the same state. Two entries that mean one device are both unresolved.
  package func resolved(in inventory: Inventory?) -> DesiredState {
    guard domains.contains(where: { !$0.selections.isEmpty }) else { return self }
    let resolver = Resolver(inventory ?? Inventory(functions: [], facts: []))
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
          devices.append(
            DesiredDevice(
              address: address, id: selection.selector.id ?? function.id, label: selection.label,
              options: selection.options, isRequired: selection.isRequired))
        }
      case .failure(let failure):
        unresolved.append(UnresolvedDevice(selection: selection, problem: failure.problem))
      }
    }
    selections = []
  }

  fileprivate mutating func leaveOpen(_ contested: [PCIAddress: [String]]) {
    let open = devices.filter { contested[$0.address] != nil }
    devices.removeAll { contested[$0.address] != nil }
    unresolved += open.map { device in
      let label = device.label ?? "\(device.address)"
      var others = contested[device.address] ?? []
      if let own = others.firstIndex(of: label) { others.remove(at: own) }
      return UnresolvedDevice(
        selection: DeviceSelection(
          selector: DeviceSelector(address: device.address, id: device.id), label: label, options: device.options,
          isRequired: device.isRequired),
        problem: .contested(device.address, with: others))
    }
  }
}

/// Finds the functions that selectors mean.
struct Resolver {
  /// A problem as an error, so that a result can have it.
  struct Failure: Error { let problem: SelectionProblem }

  private let inventory: Inventory

  init(_ inventory: Inventory) { self.inventory = inventory }

  /// Returns the functions that a selector means: one, or all of one slot.
  func resolve(_ selector: DeviceSelector) -> Result<[PCIFunction], Failure> {
    switch selector.address.map({ find(selector, at: $0) }) ?? find(selector) {
    case .failure(let failure): return .failure(failure)
    case .success(let function):
      let functions =
        selector.takesAllFunctions
        ? inventory.functions.filter { $0.name.isInSlot(of: function.name) } : [function]
      for function in functions {
        if function.isBridge == true { return .failure(Failure(problem: .bridge(function.name))) }
        if function.address == nil { return .failure(Failure(problem: .segmentTooLarge(function.name))) }
      }
      return .success(functions)
    }
  }

  /// Looks for a device whose address is expected.
  private func find(_ selector: DeviceSelector, at address: PCIAddress) -> Result<PCIFunction, Failure> {
    let here = inventory.functions.first { $0.address == address }
    let match = here.map { selector.match($0) }
    if let here, match == .yes { return .success(here) }
    if case .unknown(let key)? = match {
      return .failure(Failure(problem: .unproven([FunctionName(address)], key)))
    }
    // Another card is here, or none. Only what goes with the card proves that it is elsewhere.
    if let key = selector.keys.first(where: \.movesWithCard) {
      let others = inventory.functions.filter { selector.without(.path, .slot).match($0) == .yes }
      if others.count == 1, let other = others.first {
        if selector.follows { return .success(other) }
        return .failure(Failure(problem: .moved(from: address, to: other.name, by: key)))
      }
    }
    if case .no(let key)? = match { return .failure(Failure(problem: .differs(address, key))) }
    return .failure(Failure(problem: .missing))
  }

  /// Looks for a device at any address.
  private func find(_ selector: DeviceSelector) -> Result<PCIFunction, Failure> {
    var found: [PCIFunction] = []
    var unknown: [(function: PCIFunction, key: DeviceSelector.Key)] = []
    for function in inventory.functions {
      switch selector.match(function) {
      case .yes: found.append(function)
      case .no: break
      case .unknown(let key): unknown.append((function, key))
      }
    }
    if found.count > 1 {
      return .failure(
        Failure(problem: .ambiguous(found.map(\.name), separatedBy: Self.separatingKey(of: found))))
    }
    // What is unique and fits proves the device, whatever is not known of others.
    if let one = found.first, unknown.isEmpty || selector.keys.contains(where: \.isUnique) { return .success(one) }
    if let first = unknown.first {
      return .failure(Failure(problem: .unproven((found + unknown.map(\.function)).map(\.name), first.key)))
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
  /// Returns the selector without keys that name a place.
  fileprivate func without(_ keys: Key...) -> DeviceSelector {
    var selector = self
    if keys.contains(.path) { selector.path = nil }
    if keys.contains(.slot) { selector.slot = nil }
    return selector
  }
}
