package import Core

/// xenstore as the simulated kernels and the simulated toolstack use it: paths as text, since a kernel meets any.
///
/// Inside `transaction` the body is lent another one, whose requests belong to the transaction.
package protocol SimulatorStore {
  /// The node's value; nil where there is no node.
  func read(_ path: String) throws(StoreError) -> String?
  /// The names of the node's children; nil where there is no node.
  func list(_ path: String) throws(StoreError) -> [String]?
  /// Sets the node's value, and makes it and its parents where they are missing.
  func write(_ path: String, _ value: String) throws(StoreError)
  /// Removes the node and all below it; a missing node is no error.
  func remove(_ path: String) throws(StoreError)
  /// Sets who may read and write an existing node.
  func setPermissions(_ path: String, _ permissions: StorePermissions) throws(StoreError)
  /// Runs `body` in a transaction, again after each conflict; commits where it returns true.
  func transaction(_ body: (any SimulatorStore) throws(StoreError) -> Bool) throws(StoreError)
}

extension SimulatorStore {
  /// Whether the node is there, as the kernel's `xenbus_exists` asks.
  func exists(_ path: String) throws(StoreError) -> Bool { try list(path) != nil }

  /// Makes an empty node with these permissions; what is made below it inherits them.
  func makeNode(_ path: String, _ permissions: StorePermissions, value: String = "") throws(StoreError) {
    try write(path, value)
    try setPermissions(path, permissions)
  }

  /// A node's number as the kernel's `scanf("%d")` reads it; nil where it fails.
  func readNumber(_ path: String) throws(StoreError) -> Int? { scanNumber(try read(path)) }
}

/// The leading decimal number of a text, after blanks, as `scanf("%d")` takes it.
func scanNumber(_ text: String?) -> Int? {
  guard let text else { return nil }
  let trimmed = text.drop { $0 == " " || $0 == "\t" || $0 == "\n" }
  let isNegative = trimmed.hasPrefix("-")
  let digits = (isNegative || trimmed.hasPrefix("+") ? trimmed.dropFirst() : trimmed).prefix {
    $0.isASCII && $0.isNumber
  }
  guard let value = Int(digits) else { return nil }
  return isNegative ? -value : value
}
