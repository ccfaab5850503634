import Model

/// What the policy and the sets permit to remove, whichever domain a declaration means.
struct RemovalRules {
  let desired: DesiredState
  let index: ObservationIndex
  /// Where each device is declared.
  let declarations: [PCIAddress: Name]

  /// Returns whether the policy permits to take the device out of this domain, and no other set owns the device there.
  func permit(_ device: PCIAddress, from domain: Guest) -> Bool {
    guard otherSet(of: device, in: domain) == nil else { return false }
    return switch desired.policy.prune {
    case .never: false
    case .owned: index.isOwned(device, in: domain)
    case .all: true
    }
  }

  /// Returns the set that owns the device in the domain; nil if that is the set which is planned for, or no set.
  ///
  /// A device on record without a set belongs to the default set until another set declares the device.
  func otherSet(of device: PCIAddress, in domain: Guest) -> String? {
    guard domain.recorded.owned.contains(device) else { return nil }
    let recorded = domain.recorded.sets[device]
    if recorded == nil, declarations[device] != nil { return nil }
    let set = recorded ?? DesiredState.defaultSet
    return set == desired.set ? nil : set
  }
}
