/// libxl's note of the driver that a device had: the text in the node `driver_path`.
///
/// The text is a folder in the toolstack's own sysfs (`pci_assignable_driver_path_write`, tools/libs/light/libxl_pci.c, Xen
/// 4.17). Berth compares it and never opens it.
package enum DriverNote {
  private static let folder = "/sys/bus/pci/drivers/"

  /// Returns the text for a driver.
  package static func text(for driver: String) -> String { folder + driver }

  /// Returns the driver that a text names; nil if it is no name.
  package static func driver(in text: String) -> String? {
    guard text.hasPrefix(folder) else { return nil }
    let name = text.dropFirst(folder.count)
    return name.isEmpty || name.contains("/") || name.hasPrefix(".") ? nil : String(name)
  }
}
