package import Model

/// What tells whether dom0, or a guest that dom0 serves, stands on a device.
package struct HostUse: Hashable, Sendable {
  package var usage: HostUsage
  /// All functions, with the facts of `neededFacts`.
  package var inventory: Inventory

  package init(usage: HostUsage, inventory: Inventory) { (self.usage, self.inventory) = (usage, inventory) }

  /// The facts of functions on which interlocks depend.
  package static let neededFacts: Set<FunctionFact> = [
    .ids, .path, .driver, .interfaces, .nvme, .virtualFunctions, .bootDisplay,
  ]

  /// Returns what stands on a device.
  package func interlocks(on device: PCIAddress) -> [Interlock] {
    let name = FunctionName(device)
    return StorageGraph(usage).uses(of: name).map { use in
      Interlock(.mountedFileSystem, chain: use.chain.map { Interlock.Link(.blockDevice, $0) })
    }
  }
}
