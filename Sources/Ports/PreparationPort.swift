package import Model

/// One device's record, held against all other runs of Berth until `release`, or until the process ends.
package protocol HeldPreparation: Sendable {
  /// Returns the record; nil if there is none. Throws if it is damaged.
  func read() throws(HostError) -> PreparationRecord?
  /// Replaces the record. The file is on disk when the call returns.
  func write(_ record: PreparationRecord) throws(HostError)
  /// Removes the record.
  func remove() throws(HostError)
  func release()
}

/// Berth's records of the devices that it took from their drivers: one file per device, under its state directory.
package protocol PreparationPort: Sendable {
  /// Returns all usable records, in order of address, and the damaged ones.
  func readPreparations() throws(HostError) -> OwnFiles<PreparationRecord>
  /// Returns the record of one device; nil if there is none. Throws if it is damaged.
  func preparation(of device: PCIAddress) throws(HostError) -> PreparationRecord?
  /// Takes the lock of one device's record. Throws `busy` if another run has it until the deadline.
  func hold(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> any HeldPreparation
}
