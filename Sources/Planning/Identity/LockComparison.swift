package import Model

/// A device that a manifest no longer means as it did when the lock was written.
package struct LockDifference: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable, CaseIterable {
    /// The same device is at another address.
    case moved
    /// Another device is at the address.
    case replaced
    /// Another device is meant, at another address.
    case otherDevice = "other-device"
    /// No device is meant now, or not exactly one.
    case notFound = "not-found"
    /// The manifest says something else of the device.
    case selectorChanged = "selector-changed"
    /// The lock does not have the device.
    case notLocked = "not-locked"
    /// No domain of the manifest has the device any more.
    case notDeclared = "not-declared"
  }

  package let label: String
  package let kind: Kind
  package let locked: [LockedFunction]
  package let found: [LockedFunction]

  package init(label: String, kind: Kind, locked: [LockedFunction] = [], found: [LockedFunction] = []) {
    (self.label, self.kind, self.locked, self.found) = (label, kind, locked, found)
  }
}

extension DesiredState {
  /// The facts that a lock has of each function, and those that find it.
  package static let lockedFacts = Set(DeviceSelector.Key.allCases.compactMap(\.fact))

  /// Returns what each declared device means in an inventory, and the devices that mean none, or not exactly one.
  package func locked(on host: String, in inventory: Inventory) -> (lock: DeviceLock, open: [UnresolvedStep]) {
    let resolver = Resolver(inventory.functions.isEmpty ? nil : inventory)
    var devices: [LockedDevice] = []
    var open: [UnresolvedStep] = []
    for selection in lockable {
      switch resolver.resolve(selection.selector) {
      case .success(let functions):
        devices.append(
          LockedDevice(
            label: selection.label, selector: selection.selector.text,
            functions: functions.compactMap(LockedFunction.init).sorted { $0.address < $1.address }))
      case .failure(let failure):
        open.append(UnresolvedStep(UnresolvedDevice(selection: selection, problem: failure.problem), in: inventory))
      }
    }
    return (DeviceLock(host: host, devices: devices), open)
  }

  /// Returns in what a lock differs from the manifest alone, without a host.
  package func differences(fromDeclarationsOf lock: DeviceLock) -> [LockDifference] {
    let locked = Dictionary(lock.devices.map { ($0.label, $0) }, uniquingKeysWith: { first, _ in first })
    let declared = lockable
    var differences: [LockDifference] = []
    for selection in declared {
      guard let before = locked[selection.label] else {
        differences.append(LockDifference(label: selection.label, kind: .notLocked))
        continue
      }
      if before.selector != selection.selector.text {
        differences.append(LockDifference(label: selection.label, kind: .selectorChanged, locked: before.functions))
      }
    }
    let labels = Set(declared.map(\.label))
    differences += lock.devices.filter { !labels.contains($0.label) }.map {
      LockDifference(label: $0.label, kind: .notDeclared, locked: $0.functions)
    }
    return differences.sorted { $0.label < $1.label }
  }

  /// Returns in what a lock differs from the manifest and the host.
  package func differences(from lock: DeviceLock, in inventory: Inventory) -> [LockDifference] {
    let declared = differences(fromDeclarationsOf: lock)
    // What the manifest itself says otherwise is expected to be another device.
    let settled = Set(declared.map(\.label))
    let now = Dictionary(
      locked(on: lock.host, in: inventory).lock.devices.map { ($0.label, $0.functions) },
      uniquingKeysWith: { first, _ in first })
    let unread = Dictionary(
      inventory.functions.compactMap { function in function.address.map { ($0, Set(function.unread.keys)) } },
      uniquingKeysWith: { first, _ in first })
    var differences = declared
    for device in lock.devices where !settled.contains(device.label) {
      let found = now[device.label] ?? []
      let kind = LockDifference.Kind(locked: device.functions, found: found) { unread[$0] ?? [] }
      if let kind {
        differences.append(
          LockDifference(label: device.label, kind: kind, locked: device.functions, found: found))
      }
    }
    return differences.sorted { $0.label < $1.label }
  }

  /// Every declared device as a selection, in order of label.
  private var lockable: [DeviceSelection] {
    domains.flatMap { domain in
      domain.selections
        + domain.devices.map { device in
          DeviceSelection(
            selector: DeviceSelector(address: device.address, id: device.id),
            label: device.label ?? "\(device.address)",
            isRequired: device.isRequired)
        }
    }.sorted { $0.label < $1.label }
  }
}

extension DeviceSelector {
  /// The keys and values, and whether the whole slot is meant.
  fileprivate var text: String { description + (takesAllFunctions ? ", functions all" : "") }
}

extension LockedFunction {
  /// Returns nil if Xen has no address for the function.
  fileprivate init?(_ function: PCIFunction) {
    guard let address = function.address else { return nil }
    self.init(address: address, id: function.readID, subsystem: function.subsystem, serial: function.serial)
  }

  /// Returns whether this is another device than `before` was. What could not be read, now or then, proves nothing.
  fileprivate func isOther(than before: LockedFunction, unread: Set<FunctionFact>) -> Bool {
    func differs<Value: Equatable>(_ old: Value?, _ new: Value?, _ fact: FunctionFact) -> Bool {
      guard let old, !unread.contains(fact) else { return false }
      return old != new
    }
    return differs(before.id, id, .ids) || differs(before.subsystem, subsystem, .ids)
      || differs(before.serial, serial, .serial)
  }
}

extension LockDifference.Kind {
  /// Makes the kind of a difference; nil if there is none. `unread` returns the facts of a function that could not be read.
  fileprivate init?(
    locked: [LockedFunction], found: [LockedFunction], unread: (PCIAddress) -> Set<FunctionFact>
  ) {
    guard !found.isEmpty else {
      self = .notFound
      return
    }
    let isMoved = locked.map(\.address) != found.map(\.address)
    let isOther =
      locked.count != found.count
      || zip(locked, found).contains { before, now in now.isOther(than: before, unread: unread(now.address)) }
    switch (isMoved, isOther) {
    case (false, false): return nil
    case (true, false): self = .moved
    case (false, true): self = .replaced
    case (true, true): self = .otherDevice
    }
  }
}
