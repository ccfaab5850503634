/// What dom0 serves to guests, as the nodes of dom0's own back ends say, and the devices that guests have.
package struct ServedDevices: Hashable, Sendable {
  package var disks: [ServedDisk] = []
  package var interfaces: [ServedInterface] = []
  /// The guest that each device is given to.
  package var holders: [FunctionName: DomainID] = [:]
  /// The names of guests, for people.
  package var names: [DomainID: String] = [:]
  /// The nodes that could not be read, or were not understood. Then more may be served than is known.
  package var unread: [String] = []

  package init() {}
}

/// A disk that a guest gets from dom0.
package struct ServedDisk: Hashable, Sendable {
  package let guest: DomainID
  /// `253:3`, the major and minor number of the block device; nil if the back end names none.
  package let number: String?
  /// The path of the block device or of the file; nil if the back end names none.
  package let path: String?

  package init(guest: DomainID, number: String?, path: String?) {
    (self.guest, self.number, self.path) = (guest, number, path)
  }
}

/// A network interface that a guest gets from dom0.
package struct ServedInterface: Hashable, Sendable {
  package let guest: DomainID
  /// The bridge of dom0 to which it is joined; nil if dom0 routes its packets.
  package let bridge: String?

  package init(guest: DomainID, bridge: String?) { (self.guest, self.bridge) = (guest, bridge) }
}
