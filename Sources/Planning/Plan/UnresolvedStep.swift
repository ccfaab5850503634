package import Model

/// A declared device that is blocked, because the manifest's selector does not lead to one device.
package struct UnresolvedStep: Hashable, Sendable {
  /// The device's name in the manifest.
  package let label: String
  package let selector: DeviceSelector
  package let obstacle: Obstacle
  /// The functions that may be meant.
  package let candidates: [PCIAddress]
  package let isRequired: Bool
  /// What was found, for people.
  package let evidence: String
  /// What a person can do; nil if the obstacle's own remedy says it.
  package let remedy: String?

  package init(
    label: String, selector: DeviceSelector, obstacle: Obstacle, candidates: [PCIAddress] = [],
    isRequired: Bool = true, evidence: String, remedy: String? = nil
  ) {
    self.label = label
    self.selector = selector
    self.obstacle = obstacle
    self.candidates = candidates
    self.isRequired = isRequired
    self.evidence = evidence
    self.remedy = remedy
  }

  /// Whether it makes the run's exit status "blocked": a missing device that is optional does not.
  package var countsAsBlocked: Bool { isRequired || obstacle != .deviceMissing }
}

extension UnresolvedStep {
  /// Returns the step of a device that an inventory did not find.
  init(_ device: UnresolvedDevice, in inventory: Inventory?) {
    let selection = device.selection
    let words = SelectionWords(selection.selector, inventory)
    let (obstacle, evidence, remedy) = words.step(for: device.problem)
    self.init(
      label: selection.label, selector: selection.selector, obstacle: obstacle, candidates: device.problem.shown,
      isRequired: selection.isRequired, evidence: evidence, remedy: remedy)
  }
}

/// The words for a selection that names no device.
private struct SelectionWords {
  private let selector: DeviceSelector
  private let inventory: Inventory?

  init(_ selector: DeviceSelector, _ inventory: Inventory?) { (self.selector, self.inventory) = (selector, inventory) }

  func step(for problem: SelectionProblem) -> (Obstacle, evidence: String, remedy: String?) {
    switch problem {
    case .missing:
      return (
        .deviceMissing, "no device has \(selector)",
        "see `berth devices -o wide`, and check that the device is powered; if it was replaced, correct the manifest"
      )
    case .ambiguous(let names, let key):
      return (
        .selectorAmbiguous, "\(list(names)) have \(selector)",
        key.map { "add one key to the manifest: \(choices(names, $0))" }
      )
    case .unproven([], _):
      return (.selectorUnproven, "no PCI function could be read, so that \(selector) is not proven", nil)
    case .unproven(let names, let key):
      let subject = names.count == 1 ? "\(names[0]) may be the device" : "\(list(names)) may be the device"
      return (.selectorUnproven, "\(subject), but \(unreadable(key, names)), so that \(selector) is not proven", nil)
    case .moved(let address, let name, let key):
      return (
        .deviceMoved,
        "the device with \(key.rawValue) \(selector.value(of: key) ?? "") is at \(name), not at \(address)",
        "write address: \"\(name)\", or allow it with follow: true"
      )
    case .differs(let address, let key):
      let wanted = selector.value(of: key) ?? ""
      let found = value(of: key, at: FunctionName(address))
      return (
        .identityMismatch,
        "the manifest says \(key.rawValue) \(wanted), but the device at \(address) has \(found ?? "none")", nil
      )
    case .bridge(let name): return (.isBridge, "\(name) is a bridge", nil)
    case .segmentTooLarge(let name):
      return (.segmentTooLarge, "\(name) has a segment of more than 16 bits", nil)
    case .contested(let address, let others):
      return (.deviceContested, "\(others.joined(separator: " and ")) also means \(address)", nil)
    }
  }

  private func list(_ names: [FunctionName]) -> String {
    let shown = names.prefix(4).map(\.description)
    if names.count > 4 { return shown.joined(separator: ", ") + " and \(names.count - 4) more" }
    return shown.dropLast().joined(separator: ", ") + (shown.count > 1 ? " and " : "") + (shown.last ?? "")
  }

  private func unreadable(_ key: DeviceSelector.Key, _ names: [FunctionName]) -> String {
    switch key {
    case .mac: "a driver of dom0 shows the hardware address only while it has the card"
    case .nvmeSerial: "the driver nvme shows the serial number only while it has the device"
    default: "its \(key.rawValue) cannot be read"
    }
  }

  private func choices(_ names: [FunctionName], _ key: DeviceSelector.Key) -> String {
    names.prefix(4).map { "\(key.rawValue): \"\(value(of: key, at: $0) ?? "")\" (\($0))" }.joined(separator: ", or ")
  }

  private func value(of key: DeviceSelector.Key, at name: FunctionName) -> String? {
    inventory?.functions.first { $0.name == name }?.value(of: key)
  }
}
