import Model

/// The devices that stay in their domains because an unresolved selection may mean them.
struct Reservations {
  /// The selections that may mean a device of the host.
  private var candidates: [PCIAddress: UnresolvedDevice] = [:]
  /// For each domain, a declared device that the host does not have now. It may be one that the domain still lists.
  private var missing: [DomainKey: UnresolvedDevice] = [:]
  /// The devices of the host.
  private var present: Set<PCIAddress> = []

  init(_ desired: DesiredState, _ matches: DomainMatches, _ inventory: Inventory?) {
    for domain in desired.domains where !domain.unresolved.isEmpty {
      for device in domain.unresolved {
        for address in device.problem.candidates { candidates[address] = candidates[address] ?? device }
        if device.problem == .missing, let guest = matches.guest(domain.name) { missing[guest.key] = device }
      }
    }
    if !missing.isEmpty { present = Set((inventory?.functions ?? []).compactMap(\.address)) }
  }

  /// Returns the unresolved selection that may mean a device which a domain has; nil if there is none.
  func selection(for device: PCIAddress, in domain: Guest) -> UnresolvedDevice? {
    if let selection = candidates[device] { return selection }
    // A card that was pulled is not in the inventory, and may be the declared one.
    return present.contains(device) ? nil : missing[domain.key]
  }
}
