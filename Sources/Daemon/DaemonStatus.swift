package import Planning
package import Ports

/// How the daemon and its host stand.
package struct DaemonStatus: Hashable, Sendable {
  package enum HostState: Hashable, Sendable {
    /// No look has ended yet.
    case unknown
    case answering
    /// The host did not answer; it is asked again then.
    case stalled(HostError, until: Moment)
  }

  /// What the last look saw. If the host has not answered since, this is what the look before saw.
  package struct Seen: Hashable, Sendable {
    package let domains: [DomainStanding]
    /// Why nothing of the plan is applied; nil if nothing forbids it.
    package let refusal: PlanRefusal?
  }

  package let mode: Mode
  package let host: HostState
  package let seen: Seen
  /// When and why the last look was made.
  package let lastLook: Moment
  package let causes: Set<Trigger>
  /// Whether the manifests cannot be used now; the last good ones still count.
  package let hasInvalidManifests: Bool
}
