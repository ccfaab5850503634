package import Model

/// What shows whether dom0, or a guest that dom0 serves, stands on a device.
package struct HostUse: Hashable, Sendable {
  package var usage: HostUsage
  /// All functions, with the facts of `neededFacts`.
  package var inventory: Inventory
  /// What dom0 serves to guests, without the devices that guests have.
  package var served: ServedDevices
  /// Whether somebody holds the disks of devices that would be taken from their drivers, by function.
  package var openings: [FunctionName: [DiskOpening]]

  package init(
    usage: HostUsage, inventory: Inventory, served: ServedDevices = ServedDevices(),
    openings: [FunctionName: [DiskOpening]] = [:]
  ) {
    (self.usage, self.inventory, self.served, self.openings) = (usage, inventory, served, openings)
  }

  /// The facts of functions on which a preparation depends.
  package static let neededFacts: Set<FunctionFact> = InterlockRules.facts.union([.virtualFunctions])

  /// Returns the rules for these facts; `index` says which devices guests have.
  package func rules(_ index: ObservationIndex?) -> InterlockRules {
    var served = served
    index?.addHolders(to: &served)
    return InterlockRules(usage: usage, inventory: inventory, served: served)
  }
}
