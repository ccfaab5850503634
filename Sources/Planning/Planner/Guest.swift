import Model
import Ports
import XenProtocol

/// A domain as the planner sees it: what was observed, and what follows from that for every device alike.
final class Guest {
  let observed: ObservedDomain
  let key: DomainKey
  /// The way its devices take; nil if Berth knows none, and for stub domains, whose devices are their guests'.
  let route: DeviceRoute?
  /// The domain as changes need it; nil if it has no route.
  let target: DomainTarget?
  /// What every change to this domain waits for.
  let wait: Wait?
  /// The back end its devices are in: its own, or its stub domain's.
  let backEnd: BackEnd?
  /// What its back end lists.
  let entries: [BackEndEntry]
  /// The devices of the entries, in their order.
  let listed: [PCIAddress]
  /// What its bus can take now; nil if it has no back end.
  let condition: BusCondition?
  /// What stands in the way of every change to this domain.
  let obstruction: Obstruction?
  /// Whether changes can be made now.
  let access: Access
  /// What Berth recorded of its devices.
  let recorded: RecordedDevices
  /// What is known of exports to its bus, besides the bus's entries; read only if some bus leaves that open.
  let history: ExportHistory
  /// A file of Berth's about this domain that cannot be used.
  let damage: DamagedFile?

  /// `stub` is the domain's stub domain, if it has one that is there; `claimant` tells which domain claims a device.
  init(
    _ domain: ObservedDomain, stub: ObservedDomain?, recorded: RecordedDevices, history: ExportHistory,
    damage: DamagedFile?, claimant: (PCIAddress) -> DomainID?
  ) {
    observed = domain
    self.damage = damage
    self.recorded = recorded
    self.history = history
    key = domain.key
    route = domain.route(through: stub)
    target = route.map {
      DomainTarget(key: domain.key, name: domain.name, route: $0, mode: ChangeMode(domain.lifecycle))
    }
    let backEnd = domain.bus(through: stub)
    self.backEnd = backEnd
    wait = domain.wait(through: stub)
    entries = backEnd?.entries ?? []
    listed = entries.compactMap(\.device)
    let condition = backEnd?.condition
    self.condition = condition
    let stray = backEnd?.orphans.first { orphan in
      guard let device = orphan.device else { return true }
      return backEnd?.entry(for: device) == nil && claimant(device) != domain.id
    }
    obstruction =
      Self.obstruction(of: domain, route, backEnd, condition, stray) ?? damage.map(Obstruction.init)
      ?? backEnd.flatMap { condition == .holding ? $0.doubt(by: history) : nil }
    access =
      if let wait {
        .waiting(wait)
      } else if let obstruction {
        .closed(obstruction)
      } else if let target {
        .open(target)
      } else {
        .closed(domain.unsupported)
      }
  }

  /// What stands in the way of changes to a domain, and how a person can remove it.
  struct Obstruction {
    let obstacle: Obstacle
    let evidence: String
    /// Nil if the catalogue's words for the obstacle say it.
    let remedy: String?

    init(obstacle: Obstacle, evidence: String, remedy: String?) {
      (self.obstacle, self.evidence, self.remedy) = (obstacle, evidence, remedy)
    }

    /// A file of Berth's that may say something of the domain, and cannot be used.
    init(_ damage: DamagedFile) {
      self.init(obstacle: .ownFileDamaged, evidence: damage.evidence, remedy: damage.remedy)
    }
  }

  /// Whether changes to a domain can be made now.
  enum Access {
    case open(DomainTarget)
    case waiting(Wait)
    case closed(Obstruction)
  }

  var id: DomainID { observed.id }
  var uuid: DomainUUID { observed.uuid }
  var name: Name { observed.name }
  var kind: DomainKind { observed.kind }
  var lifecycle: DomainLifecycle { observed.lifecycle }
  var hasIOMMU: Bool? { observed.hasIOMMU }
  var stubDomainOf: DomainID? { observed.stubDomainOf }
  var saved: SavedDevices { observed.saved }

  /// Whether pciback decides what of a device's configuration space the guest can write. If not, QEMU does.
  var isGuardedByPCIBack: Bool { route?.hasFrontEndDriver == true }

  /// Whether libxl's saved configuration makes libxl attach the device; nil if the configuration is not there or cannot
  /// be read.
  func isSaved(_ device: PCIAddress) -> Bool? { observed.isSaved(device) }

  /// Whether some entry is of the device.
  func lists(_ device: PCIAddress) -> Bool { listed.contains(device) }

  /// Returns the first entry of a device.
  func entry(for device: PCIAddress) -> BackEndEntry? {
    lists(device) ? entries.first { $0.device == device } : nil
  }

  /// Whether the guest's bus shows that pciback exports a device, or Berth's record shows it of a request that pciback
  /// has not read.
  func isExported(_ entry: BackEndEntry) -> Bool {
    guard !entry.isExported, entry.state.state == .initialising, let backEnd, backEnd.isUnsettled,
      let device = entry.device, case .at = BusHolds(backEnd, history).hold(ofWaiting: device)
    else { return entry.isExported }
    return true
  }

  /// Whether QEMU shows the guest the device; nil if QEMU could not be asked, or the guest has none.
  func isEmulated(_ device: PCIAddress) -> Bool? {
    guard route?.hasDeviceModel == true, let emulated = observed.emulated else { return nil }
    let name = DeviceModelName(device)
    return emulated.contains { $0.name == name }
  }

  /// Whether libxl's saved configuration has the device at the slot where QEMU shows it; also true if
  /// either of them does not mention the device.
  func hasSavedPlace(of device: PCIAddress) -> Bool {
    let name = DeviceModelName(device)
    guard let shown = observed.emulated?.first(where: { $0.name == name }), case .devices(let all) = saved,
      let own = all.first(where: { $0.address == device })
    else { return true }
    return own.options.virtualSlot == shown.slot
  }

  /// `stray` is an entry beyond the count, of no device that is known to be the domain's. One that the domain has
  /// claimed was cut off by another toolstack's count, and is put back like any lost entry.
  private static func obstruction(
    of domain: ObservedDomain, _ route: DeviceRoute?, _ backEnd: BackEnd?, _ condition: BusCondition?,
    _ stray: BackEndEntry?
  ) -> Obstruction? {
    if route == nil, domain.stubDomain == nil || domain.knownDeviceModel == nil { return domain.unsupported }
    if let evidence = domain.keptText {
      return Obstruction(obstacle: .crashedAndKept, evidence: evidence, remedy: nil)
    }
    if domain.runsWithoutConfiguration {
      return Obstruction(
        obstacle: .runningWithoutConfiguration, evidence: ObservedDomain.noConfiguration, remedy: nil)
    }
    let bus = backEnd?.domain ?? domain.id
    if case .corrupt(let what) = domain.saved {
      return Obstruction(obstacle: .corruptSavedConfiguration, evidence: what, remedy: nil)
    }
    if case .corrupt(let what)? = condition {
      return Obstruction(
        obstacle: .corruptBackEnd, evidence: what,
        remedy:
          "look at `xenstore-ls \(StorePath.backEnd(bus))`; to repair it, detach all devices or restart the domain"
      )
    }
    if let stray {
      return Obstruction(
        obstacle: .corruptBackEnd, evidence: "the nodes of entry \(stray.index) are at or above num_devs",
        remedy: "look at `xenstore-ls \(StorePath.backEnd(bus))`; to repair it, restart the domain")
    }
    // pcifront never connects again by itself, and pciback holds the devices of a bus that ended with them on it.
    if let backEnd, backEnd.hasEnded {
      return Obstruction(
        obstacle: .busClosing,
        evidence: "the guest's PCI bus ended while it had devices (back end \(backEnd.state), front end "
          + "\(backEnd.frontEndState))",
        remedy: "see `xenstore-read \(StorePath.backEndError(bus))`; to repair it, restart the domain")
    }
    return nil
  }
}

extension BackEnd {
  /// Says why the bus of an HVM guest, at rest, takes no change: the change would make pciback end it, if pciback holds
  /// what is requested already.
  fileprivate func doubt(by history: ExportHistory) -> Guest.Obstruction? {
    guard let device = BusHolds(self, history).doubtfulRequest() else { return nil }
    return Guest.Obstruction(
      obstacle: .busUnsettled, evidence: "the back end is at \(state); \(device.doubt)", remedy: nil)
  }

  /// Whether it is at 5 or 6 with devices on it. One that a toolstack closed, and that pciback has dropped, is another
  /// matter: an apply can take it away.
  fileprivate var hasEnded: Bool {
    guard state.state == .closing || state.state == .closed, !entries.isEmpty else { return false }
    return online != "0" || hasKernelObject != false
  }
}

extension ObservedDomain {
  /// The way that the domain's devices take; nil if Berth knows none, or the stub domain on the way is gone.
  fileprivate func route(through stub: ObservedDomain?) -> DeviceRoute? {
    guard stubDomainOf == nil else { return nil }
    switch kind {
    case .pv: return .frontEnd
    case .hvm:
      guard let version = knownDeviceModel else { return nil }
      guard stubDomain != nil else { return .deviceModel(version) }
      return stub.map { .stubDomain($0.key, version) }
    case .pvh, .unknown: return nil
    }
  }

  /// The QEMU that an HVM guest has; nil if Berth cannot talk to it.
  fileprivate var knownDeviceModel: DeviceModelVersion? {
    kind == .hvm && deviceModel != .unknown ? deviceModel : nil
  }

  /// Whether it runs, and libxl has no saved configuration of it. A stub domain never has one.
  var runsWithoutConfiguration: Bool { lifecycle == .running && saved == .absent && stubDomainOf == nil }

  /// Why the domain stays although it has shut down; nil if it does not.
  var keptText: String? {
    kept.map { "the domain has shut down, and `\($0.event) = \"preserve\"` in its configuration keeps it" }
  }

  static let noConfiguration = "the domain runs, but libxl has no saved configuration of it"

  /// Says that Berth knows no way for devices to a domain of this kind.
  var unsupported: Guest.Obstruction {
    let (evidence, remedy) =
      switch kind {
      case .pvh: ("the domain is PVH", "Xen passes no PCI devices to PVH guests")
      case .hvm: ("the domain is HVM, but its device model is not known", Self.otherRemedy)
      case .pv: ("the domain is PV", Self.otherRemedy)
      case .unknown: ("the kind of the domain is not known", Self.otherRemedy)
      }
    return Guest.Obstruction(obstacle: .kindNotSupported, evidence: evidence, remedy: remedy)
  }

  private static let otherRemedy =
    "use xl for this domain, or set device_model_version=\"qemu-xen\" in its configuration"

  /// What changes wait for now; nil if the domain can take them.
  fileprivate func wait(through stub: ObservedDomain?) -> Wait? {
    // A stub domain that starts, stops or sleeps takes no change. Waiting does its guest no harm.
    if kind == .hvm, stubDomain != nil, stub?.lifecycle != .running, lifecycle == .running || lifecycle == .cold {
      return .stubDomainAbsent
    }
    return switch lifecycle {
    case .running, .cold: nil
    case .building: .domainBuilding
    case .paused: .domainPaused
    // A domain that is kept stays, so that waiting is of no use.
    case .shutdown: kept == nil ? .domainShuttingDown : nil
    case .destroying: .domainDestroying
    }
  }
}
