import Model

/// The devices that stay in their domains because an unresolved selection may mean them.
///
/// A device that the host does not show now may be a declared card that was pulled, whichever domain has it.
struct Reservations {
  /// The selections that may mean a device of the host.
  private var candidates: [PCIAddress: UnresolvedDevice] = [:]
  /// The first selection that may mean a device which the host does not show, for each domain and for all of them.
  private var gone: [DomainKey: UnresolvedDevice] = [:]
  private var anyGone: UnresolvedDevice?
  /// The devices of the host.
  private var present: Set<PCIAddress> = []

  init(_ desired: DesiredState, _ matches: DomainMatches, _ inventory: Inventory?) {
    for domain in desired.domains where !domain.unresolved.isEmpty {
      for device in domain.unresolved {
        for address in device.candidates { candidates[address] = candidates[address] ?? device }
        guard device.mayBeGone else { continue }
        anyGone = anyGone ?? device
        if let guest = matches.guest(domain.name) { gone[guest.key] = gone[guest.key] ?? device }
      }
    }
    if anyGone != nil { present = Set((inventory?.functions ?? []).compactMap(\.address)) }
  }

  /// Returns whether an unresolved selection may mean a device that the host shows.
  func mayMean(_ device: PCIAddress) -> Bool { candidates[device] != nil }

  /// Returns the unresolved selection that may mean a device which a domain has; nil if there is none.
  func selection(for device: PCIAddress, in domain: Guest) -> UnresolvedDevice? {
    if let selection = candidates[device] { return selection }
    return anyGone == nil || present.contains(device) ? nil : gone[domain.key] ?? anyGone
  }
}
