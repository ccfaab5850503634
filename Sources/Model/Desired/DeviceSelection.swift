/// A device that a domain should have, named by what it is. An inventory decides at which address it is.
package struct DeviceSelection: Hashable, Sendable {
  package var selector: DeviceSelector
  /// The device's name in the manifest's `devices`.
  package var label: String
  package var options: DeviceOptions
  package var isRequired: Bool

  package init(
    selector: DeviceSelector, label: String, options: DeviceOptions = DeviceOptions(), isRequired: Bool = true
  ) {
    self.selector = selector
    self.label = label
    self.options = options
    self.isRequired = isRequired
  }
}

/// A selection for which no device was found, or not exactly one.
package struct UnresolvedDevice: Hashable, Sendable {
  package var selection: DeviceSelection
  package var problem: SelectionProblem

  package init(selection: DeviceSelection, problem: SelectionProblem) {
    (self.selection, self.problem) = (selection, problem)
  }

  /// The addresses that the selection may mean. Nothing is taken from them as long as that is open. If all functions of a
  /// slot are meant, each address of the slot is among them.
  package var candidates: [PCIAddress] {
    guard selection.selector.takesAllFunctions else { return problem.candidates }
    let slots = Set(problem.candidates.map { $0.sbdf & ~7 })
    return slots.sorted().flatMap { slot in (0..<8).map { PCIAddress(sbdf: slot | $0) } }
  }

  /// Whether the declared device may be one that the host does not show now: a card that was pulled or is switched off.
  package var mayBeGone: Bool {
    switch problem {
    case .moved, .contested: false
    case .missing, .ambiguous, .unproven, .differs, .bridge, .segmentTooLarge: true
    }
  }
}

/// Why a selection names no device.
package enum SelectionProblem: Hashable, Sendable {
  /// Every function was read, and none is so.
  case missing
  /// Several functions are so. The key, if there is one, has another value on each of them.
  case ambiguous([FunctionName], separatedBy: DeviceSelector.Key?)
  /// These functions may be the one that is meant: this key could not be read of the first of them.
  case unproven([FunctionName], DeviceSelector.Key)
  /// The card that was expected at this address is at another one. The key proves it.
  case moved(from: PCIAddress, to: FunctionName, by: DeviceSelector.Key)
  /// The device at the expected address differs in this key.
  case differs(PCIAddress, DeviceSelector.Key)
  /// The function is a bridge.
  case bridge(FunctionName)
  /// Xen has no address for the function, because its segment has more than 16 bits.
  case segmentTooLarge(FunctionName)
  /// Other entries of the manifest mean the same device.
  case contested(PCIAddress, with: [String])

  fileprivate var candidates: [PCIAddress] {
    switch self {
    case .missing: []
    case .bridge(let name), .segmentTooLarge(let name): [name.address].compactMap(\.self)
    case .ambiguous(let names, _), .unproven(let names, _): names.compactMap(\.address)
    case .moved(let address, let name, _): [address] + [name.address].compactMap(\.self)
    case .differs(let address, _), .contested(let address, _): [address]
    }
  }

  /// The addresses that a person is to look at.
  package var shown: [PCIAddress] {
    switch self {
    case .bridge, .segmentTooLarge: []
    case .missing, .ambiguous, .unproven, .moved, .differs, .contested: candidates
    }
  }
}
