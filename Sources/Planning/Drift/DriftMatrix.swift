package import Model
package import XenProtocol

/// Every device of a host as each store has it, and where the stores disagree.
package struct DriftMatrix: Hashable, Sendable {
  package var host: HostFacts
  package var domainCount: Int
  /// Whether a manifest was compared too.
  package var hasManifest: Bool
  /// In order of address.
  package var rows: [DriftRow]
  /// What is wrong with a domain's stores as a whole, in order of name.
  package var domains: [Drift]

  /// Everything that is wrong, a run's own work in progress aside.
  package var findings: [Drift] { (rows.flatMap(\.drifts) + domains).filter { $0.outcome != .atWork } }
}

/// One device, seen from every store.
package struct DriftRow: Hashable, Sendable {
  /// A back end's entry for the device.
  package struct Entry: Hashable, Sendable {
    package var holder: Holder
    package var state: StateNode
    /// The address at which pciback exports it.
    package var virtualAddress: PCIAddress?
    /// Whether it is at or above `num_devs`, where neither libxl nor pciback looks.
    package var isOrphan: Bool
  }
  /// What one guest's QEMU says of the device.
  package struct Emulation: Hashable, Sendable {
    package var holder: Holder
    /// The address on the guest's first bus; nil if QEMU does not show the device or could not be asked.
    package var guestAddress: PCIAddress?
    /// Whether QEMU answered.
    package var isKnown: Bool
  }

  package var device: PCIAddress
  package var id: DeviceID?
  /// Its name in the manifest.
  package var label: String?
  /// The domain it is declared for.
  package var manifest: String?
  /// The domains in which Berth's record has it, whether they run or not.
  package var records: [String]
  /// The domains whose saved configuration lists it.
  package var saved: [Holder]
  package var entries: [Entry]
  package var claim: Holder?
  package var assignment: HypervisorAssignment
  /// Nil if the host has no such device.
  package var isOnPCIBack: Bool?
  package var driver: String?
  package var emulations: [Emulation]
  package var drifts: [Drift]
}

/// A domain by its number, and by its name if it lives.
package struct Holder: Hashable, Sendable {
  package var id: DomainID?
  package var name: Name?
  package init(id: DomainID?, name: Name?) { (self.id, self.name) = (id, name) }
}

/// One way in which stores disagree.
package struct Drift: Hashable, Sendable {
  package var name: DriftName
  /// The domain it is about; nil for a device that no domain is known to have.
  package var domain: Holder?
  /// Nil if it is about the domain as a whole.
  package var device: PCIAddress?
  /// What is seen in which store.
  package var evidence: String
  package var outcome: DriftOutcome
  /// What a person can do, if that depends on what was seen.
  package var remedy: String? = nil
}

/// What the next apply does about a difference.
package enum DriftOutcome: Hashable, Sendable {
  /// The plan has this step for it.
  case planned(ChangeKind)
  /// It belongs to no living domain, or to Berth's records alone, and is removed.
  case removed
  /// A run of Berth is at work on it now.
  case atWork
  /// Nothing, for this reason. It is the drift's own name if no apply ever repairs the drift.
  case left(Reason)

  /// Whether the next apply repairs it.
  package var isRepaired: Bool {
    switch self {
    case .planned, .removed: true
    case .atWork, .left: false
    }
  }
}

/// Puts every store's view of each device side by side, and names what disagrees.
///
/// Pure and total. `plan` must be made from the same observation and desired state; it decides what would be repaired.
package func makeDriftMatrix(desired: DesiredState?, observation: Observation, plan: Plan) -> DriftMatrix {
  makeDriftMatrix(desired: desired, index: ObservationIndex(observation), plan: plan)
}

/// Makes the matrix from an index that others share.
package func makeDriftMatrix(desired: DesiredState?, index: ObservationIndex, plan: Plan) -> DriftMatrix {
  let planner = Planner(desired: desired ?? DesiredState(policy: Policy(prune: .never)), index: index)
  return DriftFinder(planner: planner, plan: plan, hasManifest: desired != nil).matrix()
}

extension Holder {
  /// The domain as an argument of a command: its name, quoted for a shell.
  ///
  /// It is the number if xl would take the name for a number or an option (`libxl_domain_qualifier_to_domid`,
  /// libxl_utils.c, Xen 4.17), or if the name has a character that is not shown as it is. Nil if neither is known.
  package var argument: String? {
    guard let name = name?.text, !name.isEmpty else { return id?.description }
    let isAmbiguous = name.hasPrefix("-") || name.allSatisfy { ("0"..."9").contains($0) } || visible(name) != name
    return isAmbiguous ? id?.description ?? shellWord(name) : shellWord(name)
  }
}
