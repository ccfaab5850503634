import Model

/// Which living domain a declaration means.
enum DomainMatch {
  case guest(Guest)
  /// No domain is the declared one now.
  case absent
  /// Domains that may be meant, and why Berth takes none of them for the declared one. There is at least one.
  case doubtful([Guest], Guest.Obstruction)
}

/// The declarations of a manifest, and the domains that they mean.
///
/// If the manifest gives a UUID, the UUID decides between domains of one name, and finds a renamed domain. Otherwise the
/// name decides.
struct DomainMatches {
  private let byName: [Name: DomainMatch]
  /// The living domains that some declaration means, or may mean.
  let covered: Set<DomainKey>
  /// The part of `covered` of which nothing is certain. Nothing is taken from them.
  let doubtful: Set<DomainKey>

  init(_ desired: DesiredState, _ index: ObservationIndex, _ removals: RemovalRules) {
    let finder = MatchFinder(desired, index, removals)
    var byName = [Name: DomainMatch](minimumCapacity: desired.domains.count)
    var covered = Set<DomainKey>(minimumCapacity: desired.domains.count)
    var doubtful: Set<DomainKey> = []
    for wanted in desired.domains {
      let match = finder.match(wanted)
      byName[wanted.name] = match
      switch match {
      case .guest(let guest): covered.insert(guest.key)
      case .absent: break
      case .doubtful(let guests, _): doubtful.formUnion(guests.map(\.key))
      }
    }
    // Another declaration may mean the domain without a doubt.
    doubtful.subtract(covered)
    self.byName = byName
    self.doubtful = doubtful
    self.covered = covered.union(doubtful)
  }

  /// Returns what the declaration of this name means.
  subscript(name: Name) -> DomainMatch { byName[name] ?? .absent }

  /// Returns the domain that the declaration of this name means without a doubt; nil if there is none.
  func guest(_ name: Name) -> Guest? {
    if case .guest(let guest) = self[name] { guest } else { nil }
  }
}

/// Compares declarations with living domains.
private struct MatchFinder {
  private let index: ObservationIndex
  private let removals: RemovalRules
  private let byUUID: [DomainUUID: [Guest]]
  private let declaredNames: Set<Name>

  init(_ desired: DesiredState, _ index: ObservationIndex, _ removals: RemovalRules) {
    self.index = index
    self.removals = removals
    let wanted = Set(desired.domains.compactMap(\.uuid))
    byUUID = Dictionary(
      grouping: index.domains.filter { $0.stubDomainOf == nil && wanted.contains($0.uuid) }, by: \.uuid)
    declaredNames = Set(desired.domains.map(\.name))
  }

  func match(_ wanted: DesiredDomain) -> DomainMatch {
    let named = living(index.guests[wanted.name] ?? [])
    if let uuid = wanted.uuid {
      let same = living(byUUID[uuid] ?? [])
      if let found = same.first { return match(wanted, same, found) }
      guard let found = named.first else { return slip(wanted) ?? .absent }
      return .doubtful(
        named,
        Guest.Obstruction(
          obstacle: .domainMismatch, evidence: "the domain's uuid is \(found.uuid), but the manifest says \(uuid)",
          remedy: nil))
    }
    guard let found = named.first else { return slip(wanted) ?? .absent }
    guard named.count == 1 else {
      return .doubtful(
        named,
        Guest.Obstruction(obstacle: .domainAmbiguous, evidence: "\(Self.list(named)) have this name", remedy: nil))
    }
    return .guest(found)
  }

  /// Returns what domains with the declared UUID are.
  private func match(_ wanted: DesiredDomain, _ same: [Guest], _ found: Guest) -> DomainMatch {
    guard same.count == 1 else {
      return .doubtful(
        same,
        Guest.Obstruction(
          obstacle: .domainAmbiguous, evidence: "\(Self.list(same)) have the declared uuid",
          remedy: "find out which of them is meant, and end the other one"))
    }
    guard found.name != wanted.name else { return .guest(found) }
    return .doubtful(
      same,
      Guest.Obstruction(
        obstacle: .domainRenamed,
        evidence: "domain \(found.id) has the uuid of '\(wanted.name)', and \(Self.called(found))", remedy: nil))
  }

  /// Returns the domains that are not being destroyed, or all of them if each one is. A domain that restarts leaves its
  /// predecessor behind for a moment, with the same UUID.
  private func living(_ guests: [Guest]) -> [Guest] {
    let rest = guests.filter { $0.lifecycle != .destroying }
    return rest.isEmpty ? guests : rest
  }

  private static func list(_ guests: [Guest]) -> String {
    "domains \(guests.map(\.id.description).joined(separator: " and "))"
  }

  private static func called(_ guest: Guest) -> String {
    guest.name.isEmpty ? "has no name" : "is called '\(guest.name)'"
  }

  // MARK: Wrong names

  /// Returns the domain that a wrong name probably means; nil if nothing says so.
  private func slip(_ wanted: DesiredDomain) -> DomainMatch? {
    if let number = UInt32(wanted.name.text), let guest = index.living[DomainID(number)], guest.stubDomainOf == nil {
      let evidence = "no domain has the name '\(wanted.name)'; domain \(guest.id) \(Self.called(guest))"
      return .doubtful(
        [guest],
        Guest.Obstruction(
          obstacle: .domainUnknown, evidence: evidence,
          remedy: "write the domain's name, or its uuid, instead of its number"))
    }
    // Only a domain that has one of the devices as Berth's own can be the one that is meant.
    let addresses = wanted.devices.map(\.address) + wanted.unresolved.flatMap(\.candidates)
    var holders = addresses.flatMap { device in
      (index.listings[device] ?? []).compactMap { index.living[$0] }
        .filter { !declaredNames.contains($0.name) && removals.permit(device, from: $0) }
    }
    if wanted.unresolved.contains(where: \.mayBeGone) {
      // What is not there now may be in the domain that Berth knows by this name.
      holders += index.domains.filter { guest in
        guest.stubDomainOf == nil && !declaredNames.contains(guest.name) && recordedName(of: guest) == wanted.name
          && !guest.recorded.owned.isEmpty
      }
    }
    if let renamed = holders.first(where: { recordedName(of: $0) == wanted.name }) {
      let evidence = "domain \(renamed.id) was called '\(wanted.name)', and \(Self.called(renamed)) now"
      return .doubtful([renamed], Guest.Obstruction(obstacle: .domainRenamed, evidence: evidence, remedy: nil))
    }
    guard let name = closest(to: wanted.name.text, among: holders.map(\.name.text)),
      let meant = holders.first(where: { $0.name == Name(name) })
    else { return nil }
    let evidence = "no domain has the name '\(wanted.name)'; did you mean '\(name)'?"
    return .doubtful([meant], Guest.Obstruction(obstacle: .domainUnknown, evidence: evidence, remedy: nil))
  }

  /// Returns the name that the domain had when Berth last recorded something of it.
  private func recordedName(of guest: Guest) -> Name? {
    index.observation.records.first { $0.uuid == guest.uuid }?.name
  }
}
