import Model
import Ports

/// Adds to an inventory what Xen knows of its functions.
///
/// A failure makes only its fact unknown. Without Xen, and on a host without an IOMMU, there is nothing to know, so that
/// neither is a failure.
struct XenFactReader {
  private let hypervisor: any HypervisorPort
  private let facts: Set<FunctionFact>
  /// The failure after which Xen is not asked again: the next question would meet the same, or wait as long.
  private var end: HypervisorError?

  init(hypervisor: any HypervisorPort, facts: Set<FunctionFact>) {
    (self.hypervisor, self.facts) = (hypervisor, facts)
  }

  /// Returns the inventory with the facts of Xen that were asked for.
  mutating func completed(_ inventory: Inventory) -> Inventory {
    var inventory = inventory
    inventory.facts.formUnion(facts.intersection(FunctionFact.ofXen))
    for index in inventory.functions.indices { complete(&inventory.functions[index]) }
    return inventory
  }

  private mutating func complete(_ function: inout PCIFunction) {
    // Xen has no number for what is behind Intel VMD.
    guard let address = function.address else { return }
    let hypervisor = hypervisor
    if let companions = answer(
      .companions, &function,
      { () throws(HostError) in
        try hypervisor.companions(of: address)
      })
    {
      function.companions = companions.map { FunctionName($0) }
    }
    function.reservedMemory = answer(.reservedMemory, &function) { () throws(HostError) in
      try hypervisor.reservedMemory(of: address)
    }
  }

  /// Returns an answer of Xen; nil if Xen was not asked, or gave none. The function then names the failure, if it is one.
  private mutating func answer<Value>(
    _ fact: FunctionFact, _ function: inout PCIFunction, _ ask: () throws(HostError) -> Value
  ) -> Value? {
    guard facts.contains(fact) else { return nil }
    if let end {
      note(end, fact, &function)
      return nil
    }
    do throws(HostError) { return try ask() } catch {
      // The port throws no other failures.
      guard case .hypervisor(let failure) = error else { return nil }
      if failure.isLasting { end = failure }
      note(failure, fact, &function)
      return nil
    }
  }

  private func note(_ failure: HypervisorError, _ fact: FunctionFact, _ function: inout PCIFunction) {
    guard failure.code != .unreachable, failure.code != .noIOMMU else { return }
    function.unread[fact] = ReadFailure(place: failure.operation, .refused(failure.errno))
  }
}

extension HypervisorError {
  /// Whether every other question would fail in the same way.
  fileprivate var isLasting: Bool {
    switch code {
    case .unreachable, .otherRelease, .noIOMMU, .timedOut: true
    case .notPermitted, .busy, .notOwner, .noDomain, .invalid, .unproven, .other: false
    }
  }
}
