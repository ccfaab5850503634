/// Why the daemon looks at its host. A trigger never says what is so: something may have changed.
package enum Trigger: String, Hashable, Sendable, CaseIterable {
  /// The daemon has started.
  case started
  /// A domain came or went (`@introduceDomain`, `@releaseDomain`).
  case domains
  /// A back end or a claim changed in xenstore.
  case store
  /// The kernel added, removed, bound or unbound a device.
  case devices
  /// A file among the manifests changed.
  case manifests
  /// The interval between two full looks is over.
  case interval
  /// Something that failed may be tried again.
  case retry
  /// A person asked.
  case request

  /// Whether the look is not put off to see what else happens.
  package var isUrgent: Bool { self == .started || self == .request }
}

/// A moment on the daemon's clock: how long after its start. The clock of the wall can jump, this one cannot.
package typealias Moment = Duration
