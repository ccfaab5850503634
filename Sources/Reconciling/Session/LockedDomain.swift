import Model
import Planning
import Ports
import XenProtocol

/// libxl's saved configuration as a lock holder finds it.
enum SavedState {
  /// There is none: libxl is still building the domain, or the domain is not libxl's.
  case absent
  case present(SavedConfiguration)
  case corrupt(String)
}

/// What may be done to a domain only under libxl's lock.
///
/// `DomainSession.locked` lends it to a closure, and nothing else makes one. It can be neither copied nor kept, so what
/// needs the lock cannot be written anywhere else.
struct LockedDomain: ~Copyable {
  private let session: DomainSession
  private let store: any StorePort
  private let ask: (Question) throws(HostError) -> Answer

  /// libxl's userdata is lent, too, and what is lent cannot be stored: it is asked through a closure.
  private enum Question {
    case read
    case replace([UInt8])
    case waiter
  }

  private enum Answer {
    case bytes([UInt8]?)
    case waits(Bool)
  }

  /// Lends `body` the domain of `session`, for as long as `userdata` is lent.
  static func lend<Result>(
    _ session: DomainSession, _ store: any StorePort, _ userdata: borrowing any LockedUserdata & ~Copyable,
    to body: (borrowing LockedDomain) throws(HostError) -> Result
  ) throws(HostError) -> Result {
    try lend(session, store, to: body) { (question) throws(HostError) in
      switch question {
      case .read: return .bytes(try userdata.savedConfiguration())
      case .replace(let bytes):
        try userdata.replaceSavedConfiguration(bytes)
        return .bytes(nil)
      case .waiter: return .waits(userdata.hasWaiter())
      }
    }
  }

  private static func lend<Result>(
    _ session: DomainSession, _ store: any StorePort,
    to body: (borrowing LockedDomain) throws(HostError) -> Result,
    asking ask: (Question) throws(HostError) -> Answer
  ) throws(HostError) -> Result {
    try withoutActuallyEscaping(ask) { (ask) throws(HostError) in
      try body(LockedDomain(session: session, store: store, ask: ask))
    }
  }

  /// Returns whether another toolstack sleeps on the lock. It may have read what is about to change.
  func hasWaiter() throws(HostError) -> Bool {
    if case .waits(let waits) = try ask(.waiter) { waits } else { false }
  }

  // MARK: xenstore

  /// Reads the domain in a transaction, lets `decide` choose the writes from those reads, and makes them in it.
  ///
  /// `decide` runs again from fresh reads after each conflict. Nothing is committed if there are no edits. Returns nil
  /// if the domain's home no longer names it.
  func decide<Decision>(
    claimsOn devices: [PCIAddress] = [], _ decide: (DomainView) -> (decision: Decision, edits: [StoreEdit])
  ) throws(HostError) -> Decision? {
    try transact(claimsOn: devices) { (view, _) throws(HostError) in decide(view) }
  }

  /// Does the same as `decide`, and also gives `decide` what is found of pciback at the time of its reads.
  ///
  /// The history of exports is read if the bus is unsettled, or if `asked` are of interest: that may mean to read a long
  /// log.
  func decideExport<Decision>(
    claimsOn devices: [PCIAddress] = [], asking asked: [PCIAddress] = [],
    _ decide: (DomainView, PCIBackFacts) -> (decision: Decision, edits: [StoreEdit])
  ) throws(HostError) -> Decision? {
    try transact(claimsOn: devices) { (view, access) throws(HostError) in
      let isAsked = !asked.isEmpty || view.backEnd.isUnsettled
      let history =
        isAsked
        ? try ExportHistory(
          of: session.key.uuid, on: session.busID, asking: asked + view.backEnd.unsettledRequests, host: session.host,
          in: access) : .unknown
      return decide(view, PCIBackFacts(exportable: try session.host.tree.pcibackDevices(), history: history))
    }
  }

  private func transact<Decision>(
    claimsOn devices: [PCIAddress],
    _ decide: (DomainView, borrowing any StoreAccess & ~Copyable) throws(HostError) -> (
      decision: Decision, edits: [StoreEdit]
    )
  ) throws(HostError) -> Decision? {
    try store.transaction(.underLock) { (access) throws(HostError) in
      let object = try session.host.tree.hasBackEndObject(for: session.busID)
      let view = try DomainView(of: session.key, session.route, claimsOn: devices, kernelObject: object, in: access)
      guard view.isAlive else { return .abort(nil) }
      let (decision, edits) = try decide(view, access)
      guard !edits.isEmpty else { return .abort(decision) }
      for edit in edits { try edit.apply(to: access) }
      try view.prove(edits, in: access)
      return .commit(decision)
    }
  }

  /// Makes the edits that `edits` returns for the bus as one transaction reads it. Returns false if it returns nil, or
  /// if pciback might end the bus when it acts on the entries.
  func correct(_ edits: (BackEnd) -> [StoreEdit]?) throws(HostError) -> Bool {
    let isCorrected = try decideExport { view, pciback -> (Bool, [StoreEdit]) in
      guard let edits = edits(view.backEnd), view.backEnd.entries.hazard(exportable: pciback.exportable) == nil else {
        return (false, [])
      }
      return (true, edits)
    }
    return isCorrected == true
  }

  /// Records that a commit under this lock has started a round.
  func roundStarted() { session.roundStarted() }

  // MARK: The saved configuration

  /// Returns libxl's saved configuration, for changing.
  func savedConfiguration() throws(HostError) -> SavedState {
    guard case .bytes(let bytes?) = try ask(.read) else { return .absent }
    do throws(SavedConfigurationError) { return .present(try SavedConfiguration(bytes)) } catch {
      return .corrupt(error.description)
    }
  }

  /// Writes `new` in place of `old`, if the two differ, and reads it back.
  func replace(_ old: SavedConfiguration, with new: SavedConfiguration) throws(HostError) {
    guard new.bytes != old.bytes else { return }
    _ = try ask(.replace(new.bytes))
    guard case .bytes(let found?) = try ask(.read), found == new.bytes else {
      throw .userdata(
        UserdataError(.unproven, operation: "write", place: "libxl's saved configuration of \(session.name)"))
    }
  }
}

extension SavedConfiguration {
  /// Returns this configuration with `devices`. Throws a failure of libxl's file if its content cannot be edited.
  func with(_ devices: [SavedDevice]) throws(HostError) -> SavedConfiguration {
    do throws(SavedConfigurationError) { return try adding(devices) } catch { throw Self.unusable(error) }
  }

  /// Returns this configuration without `devices`. Throws a failure of libxl's file if its content cannot be edited.
  func without(_ devices: Set<PCIAddress>) throws(HostError) -> SavedConfiguration {
    do throws(SavedConfigurationError) { return try removing(devices) } catch { throw Self.unusable(error) }
  }

  private static func unusable(_ error: SavedConfigurationError) -> HostError {
    .userdata(UserdataError(.malformed, operation: "change", place: "libxl-json", detail: error.description))
  }
}
