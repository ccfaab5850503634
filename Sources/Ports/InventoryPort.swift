package import Model

/// The PCI functions of dom0, and what dom0's kernel shows of them.
package protocol InventoryPort: Sendable {
  /// Returns all functions with the facts that are asked for. Names alone cost one listing.
  ///
  /// A fact that cannot be read is unknown, and named in the function's `unread`. Only a failure to list the functions is
  /// thrown.
  func inventory(of facts: Set<FunctionFact>) throws(HostError) -> Inventory

  /// Returns what a device says of itself as a product; nil if it says nothing.
  ///
  /// Some devices answer slowly, so this is asked only about one device at a time.
  func productData(of device: FunctionName) throws(HostError) -> ProductData?
}
