/// How reserved device memory that conflicts with guest memory is treated at assignment.
package enum RDMPolicy: String, Sendable, CaseIterable {
  case strict, relaxed
}

/// The options of one assignment; the defaults are libxl's.
package struct DeviceOptions: Hashable, Sendable {
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

  /// Whether these options are what `wanted` asks for. If it asks for no slot, any slot satisfies it: QEMU's own choice
  /// is recorded, too.
  package func satisfies(_ wanted: DeviceOptions) -> Bool {
    var own = self
    if wanted.virtualSlot == nil { own.virtualSlot = nil }
    return own == wanted
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
