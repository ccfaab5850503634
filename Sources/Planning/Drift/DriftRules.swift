import Model
import XenProtocol

/// One rule of the drift table: when a device has the drift, and what shows it.
///
/// The rules are in three lists, by who lists the device: a living domain's back end (`listed`), no back end although
/// some store connects the device with a living domain (`unlisted`), or no living domain (`ownerless`).
enum DriftRule<Subject>: Sendable {
  /// The device has the drift if there is evidence.
  case drift(DriftName, @Sendable (DriftFinder, Subject) -> String?)
  /// The device is in order, and no later rule is asked.
  case inOrder(@Sendable (DriftFinder, Subject) -> Bool)
}

extension DriftFinder {
  /// Returns everything that is wrong with a device, by the domain it is about.
  ///
  /// Precedence: a domain's back end that lists the device is asked before any other store of that domain. Rules for
  /// devices of no living domain come last, because the others may explain what they see.
  func drifts(of address: PCIAddress) -> [Drift] {
    let device = planner.index.devices[address]
    let holders = (listings[address] ?? []).filter { !$0.isOrphan }
    var drifts: [Drift] = []
    var seen: Set<DomainID> = []
    for listing in holders where seen.insert(listing.guest.id).inserted {
      let subject = ListedDevice(
        address: address, device: device, guest: listing.guest, entry: listing.entry, holders: holders)
      for rules in ListedDevice.rules {
        if let drift = first(of: rules, for: subject, address, in: listing.guest) { drifts.append(drift) }
      }
    }
    for guest in suspects(of: address) where !seen.contains(guest.id) {
      let subject = UnlistedDevice(address: address, device: device, guest: guest, isSaved: isSaved(address, by: guest))
      if let drift = first(of: UnlistedDevice.rules, for: subject, address, in: guest) { drifts.append(drift) }
    }
    let subject = OwnerlessDevice(address: address, device: device)
    let isExplained = !holders.isEmpty || !drifts.isEmpty
    let ownerless = OwnerlessDevice.rules.flatMap { $0(self, subject) }
    drifts += ownerless
    if ownerless.isEmpty, !isExplained, let drift = unexplained(subject) { drifts.append(drift) }
    return drifts
  }

  /// Returns the drift of the first rule that holds; nil if none holds or the device is in order.
  private func first<Subject>(
    of rules: [DriftRule<Subject>], for subject: Subject, _ address: PCIAddress, in guest: Guest
  ) -> Drift? {
    for rule in rules {
      switch rule {
      case .drift(let name, let evidence):
        if let seen = evidence(self, subject) { return drift(name, address, in: guest, seen) }
      case .inOrder(let holds):
        if holds(self, subject) { return nil }
      }
    }
    return nil
  }

  private func isSaved(_ address: PCIAddress, by guest: Guest) -> Bool {
    guard case .devices = guest.saved else { return false }
    return savers[address]?.contains { $0 === guest } == true
  }

  func words(_ domain: DomainID) -> String {
    planner.index.living[domain]?.label ?? (domain == .zero ? "dom0" : "domain \(domain), which is gone")
  }
}

extension ObservedDevice? {
  /// What Xen says about the device.
  var assignmentText: String { self?.assignment.rawValue ?? "unknown" }
}
