package import Model

/// Whether a function can reach other functions of the host without passing the IOMMU.
package enum Isolation: Hashable, Sendable {
  case isolated
  /// These functions can reach it, and it can reach them. Bridges are not among them.
  case shared(with: [FunctionName])
  /// A part of the way could not be read, or the kernel may know more of it than is visible here. The functions are
  /// those that share its group if nothing more is known.
  case unknown(perhapsWith: [FunctionName])

  /// The functions with which it shares its group.
  package var neighbours: [FunctionName] {
    switch self {
    case .isolated: []
    case .shared(let names), .unknown(let names): names
    }
  }
}

/// The groups of functions that cannot be kept apart, computed as Linux computes IOMMU groups.
///
/// dom0 has no groups of its own, because Xen hides the IOMMU from it. `pci_device_group` (drivers/iommu/iommu.c, Linux
/// 6.1) walks from a function to the root. At the first bridge from which all bridges isolate, the group begins below.
/// Functions of one slot that do not isolate themselves are one group.
package struct IsolationGroups {
  private let functions: [FunctionName: PCIFunction]
  private var groups: FunctionGroups
  /// The functions whose own group could not be determined.
  private var unsure: Set<FunctionName> = []
  private var members: [FunctionName: [FunctionName]] = [:]
  private var unsureGroups: Set<FunctionName> = []

  /// The facts on which the groups depend.
  package static let facts: Set<FunctionFact> = [.isolation, .ids, .path, .virtualFunctions]

  /// `inventory` must have `facts`.
  package init(_ inventory: Inventory) {
    functions = Dictionary(inventory.functions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let names = inventory.functions.map(\.name)
    groups = FunctionGroups(names)
    for name in names { groups.join(name, top(of: name)) }
    joinSlots(names)
    joinSwitches(names)
    for name in names {
      let head = groups.head(of: name)
      if functions[name]?.isBridge != true { members[head, default: []].append(name) }
      if unsure.contains(name) { unsureGroups.insert(head) }
    }
  }

  /// Returns whether a function of the inventory is isolated.
  package func isolation(of name: FunctionName) -> Isolation {
    let head = groups.head(of: name)
    let others = (members[head] ?? []).filter { $0 != name }
    if unsureGroups.contains(head) { return .unknown(perhapsWith: others) }
    return others.isEmpty ? .isolated : .shared(with: others)
  }

  // MARK: -

  /// Returns the highest bridge that does not keep the function apart from what else is behind the bridge; the function
  /// itself if there is none.
  private mutating func top(of name: FunctionName) -> FunctionName {
    let bridges = functions[name]?.chain.dropLast() ?? []
    if functions[name]?.unread[.path] != nil { unsure.insert(name) }
    var top = name
    for (index, bridge) in bridges.enumerated().reversed() {
      switch Self.all(bridges[...index].map(isolates)) {
      case .yes: return top
      case .no: break
      case .unknown: unsure.insert(name)
      }
      top = bridge
    }
    return top
  }

  /// Joins the functions of each slot that do not isolate themselves (`get_pci_function_alias_group`).
  private mutating func joinSlots(_ names: [FunctionName]) {
    // The names are in order, so that a slot's functions follow each other.
    for (first, second) in pairsOfSlots(names) {
      switch Self.any([isolates(first), isolates(second)]) {
      case .yes: break
      case .no: groups.join(first, second)
      case .unknown:
        groups.join(first, second)
        unsure.formUnion([first, second])
      }
    }
  }

  /// Joins the ports of each switch with those that do not isolate: such a port passes a request on to another port.
  ///
  /// Linux 6.1 does not do so, and takes what is behind two such ports for two groups.
  private mutating func joinSwitches(_ names: [FunctionName]) {
    let ports = names.compactMap { functions[$0] }.filter { $0.isolation?.type == .downstreamPort }
    for siblings in Dictionary(grouping: ports, by: { $0.chain.dropLast() }).values {
      let open = siblings.filter { isolates($0.name) != .yes }
      for port in open {
        for sibling in siblings { groups.join(port.name, sibling.name) }
        if isolates(port.name) == .unknown { unsure.formUnion(siblings.map(\.name)) }
      }
    }
  }

  private func pairsOfSlots(_ names: [FunctionName]) -> [(FunctionName, FunctionName)] {
    var pairs: [(FunctionName, FunctionName)] = []
    var slot: ArraySlice<FunctionName> = []
    for (index, name) in names.enumerated() {
      if let first = slot.first, !first.isInSlot(of: name) { slot = [] }
      pairs += slot.map { ($0, name) }
      slot = names[(index - slot.count)...index]
    }
    return pairs
  }

  // MARK: Access Control Services

  private enum Answer { case yes, no, unknown }

  private static func all(_ answers: [Answer]) -> Answer {
    if answers.contains(.no) { return .no }
    return answers.contains(.unknown) ? .unknown : .yes
  }

  private static func any(_ answers: [Answer]) -> Answer {
    if answers.contains(.yes) { return .yes }
    return answers.contains(.unknown) ? .unknown : .no
  }

  /// Source validation, and redirection of requests, of completions and of upstream requests (`REQ_ACS_FLAGS`,
  /// drivers/iommu/iommu.c, Linux 6.1).
  private static let required: UInt16 = 0x1D
  /// `PCI_ACS_EC`: control of egress, which counts only if it is there.
  private static let egress: UInt16 = 0x20

  /// The vendors of devices of which Linux knows that they isolate without the capability (`pci_dev_acs_enabled`,
  /// drivers/pci/quirks.c, 6.1).
  private static let knownVendors: Set<UInt16> = [
    0x0014, 0x1002, 0x1022, 0x10DF, 0x10E8, 0x14E4, 0x177D, 0x17CB, 0x1924, 0x1957, 0x19A2, 0x1C36, 0x1D17, 0x1DBF,
    0x1DEF, 0x8086, 0x8088,
  ]

  /// Returns whether a function keeps its requests from others (`pci_acs_enabled`, drivers/pci/pci.c, Linux 6.1).
  private func isolates(_ name: FunctionName) -> Answer {
    guard let function = functions[name], let facts = function.isolation else { return .unknown }
    guard facts.isExpress else { return .no }
    switch facts.type {
    case .bridgeToPCI, .bridgeFromPCI, .eventCollector: return .no
    case .rootPort, .downstreamPort: return flags(function, facts)
    case .endpoint, .legacyEndpoint, .integratedEndpoint, .upstreamPort:
      // Virtual functions are not multi-function (`pci_iov_add_virtfn`). Of the others, each that is not its slot's first
      // one is (`pci_scan_slot`).
      if function.virtualisation.parent != nil { return .yes }
      return facts.isMultiFunction || name.function > 0 ? flags(function, facts) : .yes
    case nil: return .yes
    }
  }

  private func flags(_ function: PCIFunction, _ facts: IsolationFacts) -> Answer {
    if let services = facts.accessControl {
      let flags = Self.required & (services.capabilities | Self.egress)
      if services.control & flags == flags { return .yes }
    }
    guard facts.hasExtendedSpace, let vendor = function.id?.vendor, !Self.knownVendors.contains(vendor) else {
      return .unknown
    }
    return .no
  }
}
