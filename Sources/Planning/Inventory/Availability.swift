package import Model

/// Whether a function can be given to a domain now, or why it cannot.
package enum Availability: Hashable, Sendable {
  /// pciback has it, and no domain does.
  case assignable
  /// This domain's bus lists it.
  case inUse(Holder)
  /// Xen says that some domain has it, but no bus lists it.
  case assignedElsewhere
  /// It is reserved for this domain, which does not list it.
  case claimed(DomainID)
  /// A driver of dom0 has it.
  case hostDriver(String)
  /// No driver has it, not even pciback.
  case noDriver
  /// Only this driver may bind to it, and that one is not pciback. Another tool or a person has written so.
  case overridden(String)
  /// Bridges cannot be passed through.
  case bridge
  /// The segment has more than 16 bits.
  case segmentTooLarge
  /// A fact on which the answer depends could not be read.
  case unknown

  /// The answer's name in documents.
  package var name: String {
    switch self {
    case .assignable: "assignable"
    case .inUse: "in-use"
    case .assignedElsewhere: "assigned-elsewhere"
    case .claimed: "claimed"
    case .hostDriver: "host-driver"
    case .noDriver: "no-driver"
    case .overridden: "driver-overridden"
    case .bridge: "bridge"
    case .segmentTooLarge: "segment-too-large"
    case .unknown: "unknown"
    }
  }
}
