package import Model

/// A path in xenstore, absolute, made only of characters xenstored accepts.
///
/// Paths are built from domain values, never read from nodes that a guest can write.
package struct StorePath: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package var description: String { text }

  private init(_ text: String) { self.text = text }

  /// A node below this one. `name` must consist of letters, digits and `-_@`; it is a mistake in the program otherwise.
  package func child(_ name: String) -> StorePath { StorePath(text + "/" + name) }

  package static let libxl = StorePath("/libxl")
  package static let claims = StorePath("/libxl/pci")
  package static let domains = StorePath("/local/domain")
  package static let backEnds = StorePath("/local/domain/0/backend/pci")

  /// `/local/domain/<domid>`, guest-readable; its owner is dom0.
  package static func home(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)") }
  /// `/libxl/<domid>`, dom0's own.
  package static func toolstack(_ domain: DomainID) -> StorePath { StorePath("/libxl/\(domain)") }
  /// The PCI back end's directory. libxl fixes back-end domain 0 and device 0 (`libxl__device_from_pci`).
  package static func backEnd(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/backend/pci/\(domain)/0")
  }
  /// The directory of all of a domain's PCI back ends; there is only device 0 in it.
  package static func backEndHome(_ domain: DomainID) -> StorePath { backEnds.child("\(domain)") }
  /// The directory of all of a domain's PCI front ends.
  package static func frontEndHome(_ domain: DomainID) -> StorePath { home(domain).child("device").child("pci") }
  /// The PCI front end's directory: owned and writable by the guest.
  package static func frontEnd(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)/device/pci/0") }
  /// The node by which toolstacks reserve a device.
  package static func claim(_ device: PCIAddress) -> StorePath { StorePath("/libxl/pci/\(device.storeKey)/domid") }
  /// The number of an HVM guest's stub domain.
  package static func stubDomain(of guest: DomainID) -> StorePath {
    home(guest).child("image").child("device-model-domid")
  }
  /// The directory of what pciback complained of, by domain.
  package static let backEndErrors = StorePath("/local/domain/0/error/backend/pci")
  /// Where the kernel leaves pciback's error text for a domain (`xenbus_va_dev_error`, Linux
  /// drivers/xen/xenbus/xenbus_client.c).
  package static func backEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/error/backend/pci/\(domain)/0/error")
  }
  /// Where a guest's kernel leaves pcifront's error text. The guest writes it.
  package static func frontEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/\(domain)/error/device/pci/0/error")
  }
}

/// Who may do what with a node: the owner, what others may do, and one domain that may read.
package struct StorePermissions: Hashable, Sendable {
  package let owner: DomainID
  package let reader: DomainID?
  package init(owner: DomainID, reader: DomainID?) { (self.owner, self.reader) = (owner, reader) }
}
