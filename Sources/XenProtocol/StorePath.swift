package import Model

/// An absolute path in xenstore, made only of characters that xenstored accepts.
///
/// Paths are built from domain values, never read from nodes that a guest can write.
package struct StorePath: Hashable, Sendable, CustomStringConvertible {
  package let text: String
  package var description: String { text }

  private init(_ text: String) { self.text = text }

  /// Returns a node below this one. `name` must consist of letters, digits and `-_@`; anything else is a mistake in
  /// the program.
  package func child(_ name: String) -> StorePath { StorePath(text + "/" + name) }

  package static let libxl = StorePath("/libxl")
  package static let claims = StorePath("/libxl/pci")
  package static let domains = StorePath("/local/domain")
  package static let backEnds = StorePath("/local/domain/0/backend/pci")

  /// The directory of everything that dom0 serves to domains, by kind: `vbd`, `vif`, `pci`, …
  package static let servedByHost = StorePath("/local/domain/0/backend")

  /// `/local/domain/<domid>`. The guest can read it; its owner is dom0.
  package static func home(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)") }
  /// `/libxl/<domid>`, which belongs to dom0.
  package static func toolstack(_ domain: DomainID) -> StorePath { StorePath("/libxl/\(domain)") }
  /// The PCI back end's directory. libxl fixes back-end domain 0 and device 0 (`libxl__device_from_pci`).
  package static func backEnd(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/backend/pci/\(domain)/0")
  }
  /// The directory of all PCI back ends of a domain; it contains only device 0.
  package static func backEndHome(_ domain: DomainID) -> StorePath { backEnds.child("\(domain)") }
  /// The directory of all of a domain's PCI front ends.
  package static func frontEndHome(_ domain: DomainID) -> StorePath { home(domain).child("device").child("pci") }
  /// The PCI front end's directory, which the guest owns and can write.
  package static func frontEnd(_ domain: DomainID) -> StorePath { StorePath("/local/domain/\(domain)/device/pci/0") }
  /// The name that `xl pci-assignable-add --name` gave a device (`pci_name` nodes, libxl_pci.c, Xen 4.17).
  package static func libxlName(_ device: PCIAddress) -> StorePath { StorePath("/libxl/pci/\(device.storeKey)/name") }
  /// The node by which toolstacks reserve a device.
  package static func claim(_ device: PCIAddress) -> StorePath { StorePath("/libxl/pci/\(device.storeKey)/domid") }
  /// The folder of the driver that gets the device back by `xl pci-assignable-remove -r`
  /// (`pci_assignable_driver_path_write`, tools/libs/light/libxl_pci.c, Xen 4.17).
  package static func driverPath(_ device: PCIAddress) -> StorePath {
    StorePath("/libxl/pci/\(device.storeKey)/driver_path")
  }
  /// The node that holds the number of an HVM guest's stub domain.
  package static func stubDomain(of guest: DomainID) -> StorePath {
    home(guest).child("image").child("device-model-domid")
  }
  /// The directory of pciback's error texts, by domain.
  package static let backEndErrors = StorePath("/local/domain/0/error/backend/pci")
  /// The node for pciback's error text about a domain (`xenbus_va_dev_error`, Linux
  /// drivers/xen/xenbus/xenbus_client.c).
  package static func backEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/0/error/backend/pci/\(domain)/0/error")
  }
  /// The node for pcifront's error text. The guest writes it.
  package static func frontEndError(_ domain: DomainID) -> StorePath {
    StorePath("/local/domain/\(domain)/error/device/pci/0/error")
  }
}

/// The permissions of a node: its owner, what other domains may do, and one domain that may read.
package struct StorePermissions: Hashable, Sendable {
  package let owner: DomainID
  package let reader: DomainID?
  package init(owner: DomainID, reader: DomainID?) { (self.owner, self.reader) = (owner, reader) }
}
