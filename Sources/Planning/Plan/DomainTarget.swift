package import Model

/// A domain that devices are given to or taken from: what the engine needs to know to work on it.
package struct DomainTarget: Hashable, Sendable {
  package let key: DomainKey
  package let name: Name
  /// The way its devices take.
  package let route: DeviceRoute
  /// How changes were to be made when the domain was observed.
  package let mode: ChangeMode

  package init(key: DomainKey, name: Name, route: DeviceRoute, mode: ChangeMode) {
    self.key = key
    self.name = name
    self.route = route
    self.mode = mode
  }
}
