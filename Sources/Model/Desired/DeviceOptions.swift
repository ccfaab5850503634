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
}
