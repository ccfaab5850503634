package import Model

extension DeviceOptions {
  /// The value of an `opts-N` node, as libxl writes it (`libxl_create_pci_backend_device`, Xen 4.17).
  package var storeText: String {
    "msitranslate=\(msiTranslate ? 1 : 0),power_mgmt=\(powerManagement ? 1 : 0),permissive=\(permissive ? 1 : 0)"
      + ",rdm_policy=\(rdmPolicy.rawValue)"
  }

  /// The value of a `vdevfn-N` node, hexadecimal without prefix; nil if there is no node.
  package var storeVirtualFunction: String? {
    virtualSlot.map { String(UInt64($0) << 3, radix: 16) }
  }

  /// Reads `opts-N` and `vdevfn-N` as libxl does: unknown keys are skipped, missing keys have their defaults.
  package init(storeText: String?, storeVirtualFunction: String?) {
    self.init()
    if let slot = storeVirtualFunction.flatMap({ hexadecimal($0, digits: 1...2) }), slot >> 3 > 0 {
      virtualSlot = UInt8(slot >> 3)
    }
    // This is read for every device of a host, and nearly all have libxl's defaults. The others are read by bytes.
    guard storeText != Self.textOfDefaults else { return }
    for pair in (storeText ?? "").utf8.split(separator: UInt8(ascii: ",")) {
      let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1)
      guard halves.count == 2 else { continue }
      let (key, value) = (halves[0], halves[1])
      let isSet = value.elementsEqual("1".utf8)
      if key.elementsEqual("permissive".utf8) {
        permissive = isSet
      } else if key.elementsEqual("msitranslate".utf8) {
        msiTranslate = isSet
      } else if key.elementsEqual("power_mgmt".utf8) {
        powerManagement = isSet
      } else if key.elementsEqual("rdm_policy".utf8) {
        rdmPolicy = RDMPolicy.allCases.first { value.elementsEqual($0.rawValue.utf8) } ?? .strict
      }
    }
  }

  private static let textOfDefaults = DeviceOptions().storeText
}
