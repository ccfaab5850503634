package import Ports
package import XenProtocol

/// xenstore as the simulated kernels and the simulated toolstack use it. Paths are texts, because a kernel may get any
/// path.
///
/// Inside `transaction` the body gets another store, whose requests belong to the transaction.
package protocol SimulatorStore {
  /// Returns the node's value; nil if there is no node.
  func read(_ path: String) throws(StoreError) -> String?
  /// Returns the names of the node's children; nil if there is no node.
  func list(_ path: String) throws(StoreError) -> [String]?
  /// Sets the node's value, and makes the node and its parents if they are missing.
  func write(_ path: String, _ value: String) throws(StoreError)
  /// Removes the node and everything below it. A missing node is no error.
  func remove(_ path: String) throws(StoreError)
  /// Sets the permissions of an existing node.
  func setPermissions(_ path: String, _ permissions: StorePermissions) throws(StoreError)
  /// Runs `body` in a transaction, again after each conflict. Commits if it returns true.
  func transaction(_ body: (any SimulatorStore) throws(StoreError) -> Bool) throws(StoreError)
}

extension SimulatorStore {
  /// Returns whether the node exists, as the kernel's `xenbus_exists` does.
  func exists(_ path: String) throws(StoreError) -> Bool { try list(path) != nil }

  /// Makes a node with these permissions. Nodes made below it inherit them.
  func makeNode(_ path: String, _ permissions: StorePermissions, value: String = "") throws(StoreError) {
    try write(path, value)
    try setPermissions(path, permissions)
  }

  /// Returns a node's number as the kernel's `scanf("%d")` reads it; nil if that fails.
  func readNumber(_ path: String) throws(StoreError) -> Int? { scanNumber(try read(path)) }

  /// Returns the state of an end of a bus as `xenbus_read_driver_state` does: Unknown for a text that is no number, nil
  /// for a number that is no state.
  func driverState(_ end: String) throws(StoreError) -> XenbusState? {
    guard let number = try readNumber(end + "/state") else { return .unknown }
    return XenbusState(rawValue: number)
  }

  /// Writes the state of an end of a bus. A node that was removed is not made again (`__xenbus_switch_state`).
  func switchState(of end: String, to state: XenbusState) throws(StoreError) {
    let path = end + "/state"
    try transaction { (inside: any SimulatorStore) throws(StoreError) in
      guard try inside.readNumber(path) != nil else { return false }
      try inside.write(path, "\(state.rawValue)")
      return true
    }
  }
}

/// Returns the leading decimal number of a text, after blanks, as `scanf("%d")` does.
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
