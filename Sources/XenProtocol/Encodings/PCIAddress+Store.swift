package import Model

extension PCIAddress {
  /// The form used inside xenstore paths, `0000-03-00-0`, because `:` and `.` are illegal there.
  ///
  /// libxl's `PCI_BDF_XSPATH`.
  package var storeKey: String {
    hex(UInt64(segment), 4) + "-" + hex(UInt64(bus), 2) + "-" + hex(UInt64(device), 2) + "-" + hex(UInt64(function), 1)
  }

  /// Reads the form used inside xenstore paths.
  package init?(storeKey: some StringProtocol) {
    var bytes: [UInt8] = []
    var dashes = 0
    for byte in storeKey.utf8 {
      guard byte != UInt8(ascii: ":"), byte != UInt8(ascii: ".") else { return nil }
      let isDash = byte == UInt8(ascii: "-")
      if isDash { dashes += 1 }
      bytes.append(isDash ? (dashes < 3 ? UInt8(ascii: ":") : UInt8(ascii: ".")) : byte)
    }
    guard dashes == 3 else { return nil }
    self.init(String(decoding: bytes, as: UTF8.self))
  }

  /// The form of `vdev-N`: the function has two digits (`xen_pcibk_publish_pci_dev`,
  /// Linux drivers/xen/xen-pciback/xenbus.c).
  package var virtualText: String {
    hex(UInt64(segment), 4) + ":" + hex(UInt64(bus), 2) + ":" + hex(UInt64(device), 2) + "."
      + hex(UInt64(function), 2)
  }
}
