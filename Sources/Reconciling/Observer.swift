package import Core

/// Reads one host through its ports.
package struct Observer: Sendable {
  private let host: Host

  package init(host: Host) { self.host = host }

  /// Reads what a plan for `desired` depends on, and everything a status shows.
  ///
  /// Takes no lock and writes nothing.
  package func observe(desired: DesiredState?) throws(HostError) -> Observation {
    Observation(host: HostFacts(name: host.name))
  }
}
