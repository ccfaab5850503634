/// A domain as the planner sees it: what was observed, and what follows from that for every device alike.
final class Guest {
  let observed: ObservedDomain
  let key: DomainKey
  /// How changes are made now; nil where none can be made, with the reason.
  let mode: (mode: PlannedStep.Mode?, obstacle: Reason?)
  /// What its back end lists.
  let entries: [BackEndEntry]
  /// What its bus can take now; nil where it has no back end.
  let condition: BusCondition?
  /// What stands in the way of every change to this domain.
  let obstacle: (reason: Reason, evidence: String, remedy: String?)?

  /// `claimant` tells which domain claims a device.
  init(_ domain: ObservedDomain, claimant: (PCIAddress) -> DomainID?) {
    observed = domain
    key = domain.key
    mode = domain.mode
    entries = domain.backEnd?.entries ?? []
    condition = domain.backEnd?.condition
    let stray = domain.backEnd?.orphans.first { Self.isStray($0, in: domain, claimant) }
    obstacle = Self.obstacle(to: domain, condition, stray)
  }

  var id: DomainID { observed.id }
  var uuid: DomainUUID { observed.uuid }
  var name: String { observed.name }
  var kind: DomainKind { observed.kind }
  var lifecycle: DomainLifecycle { observed.lifecycle }
  var hasIOMMU: Bool? { observed.hasIOMMU }
  var stubDomainOf: DomainID? { observed.stubDomainOf }
  var saved: SavedDevices { observed.saved }

  /// The first entry for a device.
  func entry(for device: PCIAddress) -> BackEndEntry? { entries.first { $0.device == device } }

  /// Whether an entry beyond the count is of no device that is known to be the domain's.
  ///
  /// One that the domain has claimed was cut off by another toolstack's count, and is put back like any lost entry.
  private static func isStray(
    _ orphan: BackEndEntry, in domain: ObservedDomain, _ claimant: (PCIAddress) -> DomainID?
  ) -> Bool {
    guard let device = orphan.device else { return true }
    return domain.backEnd?.entry(for: device) == nil && claimant(device) != domain.id
  }

  private static func obstacle(
    to domain: ObservedDomain, _ condition: BusCondition?, _ stray: BackEndEntry?
  ) -> (reason: Reason, evidence: String, remedy: String?)? {
    guard domain.kind == .pv else {
      return (
        .kindNotSupported, "the domain is \(domain.kind.rawValue.uppercased())",
        domain.kind == .pvh ? "Xen 4.17 passes no PCI devices to PVH guests" : "use xl for this domain"
      )
    }
    if case .corrupt(let what) = domain.saved {
      return (.corruptSavedConfiguration, what, "restore the domain's libxl-json, or restart the domain")
    }
    if case .corrupt(let what)? = condition {
      return (
        .corruptBackEnd, what,
        "look at xenstore-ls \(StorePath.backEnd(domain.id)); detaching all devices or restarting the domain mends it"
      )
    }
    if let stray {
      return (
        .corruptBackEnd, "nodes of entry \(stray.index) are left at or above num_devs",
        "look at xenstore-ls \(StorePath.backEnd(domain.id)); restarting the domain mends it"
      )
    }
    if let backEnd = domain.backEnd, backEnd.state.state == .closing, backEnd.frontEndState.state == .reconfiguring {
      return (
        .busClosing, "pciback ended the guest's PCI bus (back end 5, front end 7)",
        "see \(StorePath.backEndError(domain.id)); restarting the domain mends it"
      )
    }
    return nil
  }
}

extension ObservedDomain {
  /// How changes are made now; nil where none can be made, with the reason.
  fileprivate var mode: (mode: PlannedStep.Mode?, obstacle: Reason?) {
    switch lifecycle {
    case .running: (.hot, nil)
    case .cold: (.cold, nil)
    case .building: (nil, .domainBuilding)
    case .paused: (nil, .domainPaused)
    case .shutdown: (nil, .domainShuttingDown)
    case .destroying: (nil, .domainDestroying)
    }
  }
}
