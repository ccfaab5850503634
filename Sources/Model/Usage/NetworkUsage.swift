/// How dom0 is reached, and how dom0 reaches others.
package struct NetworkUsage: Hashable, Sendable, Codable {
  /// In order of their names.
  package var interfaces: [HostInterface] = []
  /// The functions whose interfaces are in another network namespace, so that nothing is known of them.
  package var hidden: [FunctionName] = []
  /// The default routes of all tables and both families, whatever their metrics.
  package var defaultRoutes: [DefaultRoute] = []
  /// The addresses from which sessions of ssh come.
  package var sessions: [String] = []
  /// The interfaces by which packets to an address leave, for each address that was asked for. An address that is not here
  /// has a way that is unknown.
  package var ways: [String: [String]] = [:]

  package init() {}
}

/// A network interface of dom0.
package struct HostInterface: Hashable, Sendable, Codable {
  package enum Kind: Hashable, Sendable {
    /// A device has it: of PCI, if the interface has functions, or of another bus.
    case device
    /// It leads to a guest, whose front end it serves.
    case guest(DomainID)
    /// Its packets leave by another interface, in packets of another kind.
    case tunnel
    /// All ports of Open vSwitch are below it (`ovs-system`, net/openvswitch/vport-internal_dev.c, Linux 6.1).
    case datapath
    /// Its packets stay on the host.
    case loopback
    /// It is none of those. What it is made of is below it.
    case virtual
  }

  package let name: String
  package let kind: Kind
  /// Every PCI function in the path of its device's folder.
  package let functions: [FunctionName]
  /// The names of the interfaces of which it is made: of a bridge its ports, of a bond its cards, of a VLAN one interface.
  package let lower: [String]

  package init(name: String, kind: Kind, functions: [FunctionName] = [], lower: [String] = []) {
    (self.name, self.kind, self.functions, self.lower) = (name, kind, functions, lower)
  }
}

/// A route to everywhere.
package struct DefaultRoute: Hashable, Sendable, Codable {
  package enum Family: String, Hashable, Sendable, Codable {
    case ipv4 = "IPv4"
    case ipv6 = "IPv6"
  }

  package let family: Family
  /// `main`, `local`, or the number of another table.
  package let table: String
  /// Each interface by which packets may leave; empty if none is known.
  package let interfaces: [String]

  package init(family: Family, table: String, interfaces: [String]) {
    (self.family, self.table, self.interfaces) = (family, table, interfaces)
  }
}

extension HostInterface.Kind: TextCodable {
  /// Reads `device`, or `guest 5` with the number of a domain.
  package init?(text: String) {
    switch text {
    case "device": self = .device
    case "tunnel": self = .tunnel
    case "datapath": self = .datapath
    case "loopback": self = .loopback
    case "virtual": self = .virtual
    default:
      guard text.hasPrefix("guest "), let number = decimal(text.dropFirst(6)) else { return nil }
      self = .guest(DomainID(UInt32(number)))
    }
  }

  package var text: String {
    switch self {
    case .device: "device"
    case .guest(let domain): "guest \(domain)"
    case .tunnel: "tunnel"
    case .datapath: "datapath"
    case .loopback: "loopback"
    case .virtual: "virtual"
    }
  }
}
