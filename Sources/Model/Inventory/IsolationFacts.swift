/// What a function's configuration space shows about its isolation from other functions.
package struct IsolationFacts: Hashable, Sendable, Codable {
  /// The type of a PCI Express function (`PCI_EXP_TYPE_*`, include/uapi/linux/pci_regs.h, Linux 6.1).
  package enum ExpressType: UInt8, Sendable, Codable {
    case endpoint = 0, legacyEndpoint = 1, rootPort = 4, upstreamPort = 5, downstreamPort = 6
    /// A bridge from PCI Express to conventional PCI.
    case bridgeToPCI = 7
    /// A bridge from conventional PCI to PCI Express.
    case bridgeFromPCI = 8
    case integratedEndpoint = 9, eventCollector = 10
  }

  /// Access Control Services: what the function can do, and what is switched on.
  package struct AccessControl: Hashable, Sendable, Codable {
    package let capabilities: UInt16
    package let control: UInt16
    package init(capabilities: UInt16, control: UInt16) { (self.capabilities, self.control) = (capabilities, control) }
  }

  package let isMultiFunction: Bool
  /// Nil if the function is conventional PCI, or of a type that is not known.
  package let type: ExpressType?
  /// Whether the function has the capability of PCI Express.
  package let isExpress: Bool
  /// Nil if the function has none, or if the extended configuration space does not answer.
  package let accessControl: AccessControl?
  /// Whether the extended configuration space answers.
  package let hasExtendedSpace: Bool

  package init(
    isMultiFunction: Bool, type: ExpressType?, isExpress: Bool, accessControl: AccessControl?, hasExtendedSpace: Bool
  ) {
    self.isMultiFunction = isMultiFunction
    self.type = type
    self.isExpress = isExpress
    self.accessControl = accessControl
    self.hasExtendedSpace = hasExtendedSpace
  }
}
