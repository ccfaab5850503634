/// How reserved device memory that conflicts with guest memory is treated at assignment.
package enum RDMPolicy: String, Sendable, Codable, CaseIterable {
  case strict, relaxed
}

/// The options one assignment has; the defaults are libxl's.
package struct DeviceOptions: Hashable, Sendable, Codable {
  package var permissive: Bool
  package var msiTranslate: Bool
  package var powerManagement: Bool
  package var rdmPolicy: RDMPolicy
  /// The slot the guest should see, 1…31; nil lets Xen choose.
  package var virtualSlot: UInt8?

  package init(
    permissive: Bool = false, msiTranslate: Bool = false, powerManagement: Bool = false,
    rdmPolicy: RDMPolicy = .strict, virtualSlot: UInt8? = nil
  ) {
    self.permissive = permissive
    self.msiTranslate = msiTranslate
    self.powerManagement = powerManagement
    self.rdmPolicy = rdmPolicy
    self.virtualSlot = virtualSlot
  }

  /// Whether these are what is asked for. Where no slot is asked for, any is: QEMU's choice is on record, too.
  package func satisfies(_ wanted: DeviceOptions) -> Bool {
    var own = self
    if wanted.virtualSlot == nil { own.virtualSlot = nil }
    return own == wanted
  }

  /// The value of an `opts-N` node, as libxl writes it (`libxl_create_pci_backend_device`, Xen 4.17).
  package var storeText: String {
    "msitranslate=\(msiTranslate ? 1 : 0),power_mgmt=\(powerManagement ? 1 : 0),permissive=\(permissive ? 1 : 0)"
      + ",rdm_policy=\(rdmPolicy.rawValue)"
  }

  /// The value of a `vdevfn-N` node, hexadecimal without prefix; nil where the node is absent.
  package var storeVirtualFunction: String? {
    virtualSlot.map { String(UInt64($0) << 3, radix: 16) }
  }

  /// Reads `opts-N` and `vdevfn-N` as libxl does: unknown keys are skipped, absent ones have their default.
  package init(storeText: String?, storeVirtualFunction: String?) {
    self.init()
    // By bytes: this is read for every device of a host.
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
    if let text = storeVirtualFunction, let value = hexadecimal(text, digits: 1...2), value >> 3 > 0 {
      virtualSlot = UInt8(value >> 3)
    }
  }
}

/// One option with its value.
package struct DeviceOption: Hashable, Sendable {
  package enum Value: Hashable, Sendable {
    case flag(Bool)
    case word(String)
    /// Nil lets Xen choose.
    case slot(UInt8?)
  }

  /// The name as manifests and documents spell it.
  package let name: String
  package let value: Value
}

extension DeviceOptions {
  /// Every option, in the order in which they are shown. What shows or compares options takes them from this list.
  package var list: [DeviceOption] {
    [
      DeviceOption(name: "permissive", value: .flag(permissive)),
      DeviceOption(name: "msiTranslate", value: .flag(msiTranslate)),
      DeviceOption(name: "powerManagement", value: .flag(powerManagement)),
      DeviceOption(name: "rdmPolicy", value: .word(rdmPolicy.rawValue)),
      DeviceOption(name: "virtualSlot", value: .slot(virtualSlot)),
    ]
  }

  /// The options that are not libxl's defaults.
  package var unusual: [DeviceOption] {
    zip(list, DeviceOptions().list).filter { $0 != $1 }.map(\.0)
  }
}

extension DeviceOption.Value: CustomStringConvertible {
  package var description: String {
    switch self {
    case .flag(let isSet): isSet ? "yes" : "no"
    case .word(let word): word
    case .slot(let slot): slot.map { "\($0)" } ?? "any"
    }
  }
}

extension DeviceOption: CustomStringConvertible {
  /// The name alone for a flag that is set; otherwise the name and the value.
  package var description: String { value == .flag(true) ? name : "\(name) \(value)" }
}
