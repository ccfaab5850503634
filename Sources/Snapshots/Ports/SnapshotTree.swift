import Model
import Ports

/// dom0's devices as they are recorded, or as they were. `live` is nil for a snapshot.
struct SnapshotTree: DeviceTreePort {
  let book: AnswerBook
  let live: (any DeviceTreePort)?

  private func missing(_ operation: String, _ device: PCIAddress? = nil) -> HostError {
    .tree(unanswered(operation, device))
  }

  func hasPCIBack() throws(HostError) -> Bool {
    try book.answer(
      \.tree.hasPCIBack, or: missing("has-pciback"),
      live
    ) { (live) throws(HostError) in try live.hasPCIBack() }
  }

  func pcibackDevices() throws(HostError) -> Set<PCIAddress> {
    let devices = try book.answer(
      \.tree.pcibackDevices, or: missing("pciback-devices"),
      live
    ) { (live) throws(HostError) in try live.pcibackDevices().sorted() }
    return Set(devices)
  }

  func permissiveDevices() throws(HostError) -> Set<PCIAddress> {
    let devices = try book.answer(
      \.tree.permissiveDevices, or: missing("permissive-devices"),
      live
    ) { (live) throws(HostError) in try live.permissiveDevices().sorted() }
    return Set(devices)
  }

  func isPermissiveForAll() throws(HostError) -> Bool {
    try book.answer(
      \.tree.isPermissiveForAll, or: missing("permissive"),
      live
    ) { (live) throws(HostError) in try live.isPermissiveForAll() }
  }

  /// Returns nil for a device that is not in the recorded list of all functions.
  func facts(of device: PCIAddress) throws(HostError) -> DeviceFacts? {
    if live == nil, let listed = book.listed, !listed.contains(device) { return nil }
    return try book.answer(
      \.tree.facts[device], or: missing("facts", device),
      live
    ) { (live) throws(HostError) in try live.facts(of: device) }
  }

  func hasVirtualFunctions(_ device: PCIAddress) throws(HostError) -> Bool {
    try book.answer(
      \.tree.hasVirtualFunctions[device], or: missing("virtual-functions", device),
      live
    ) { (live) throws(HostError) in try live.hasVirtualFunctions(device) }
  }

  func hasBackEndObject(for domain: DomainID) throws(HostError) -> Bool {
    try book.answer(
      \.tree.backEndObjects[domain.description], or: missing("back-end"),
      live
    ) { (live) throws(HostError) in try live.hasBackEndObject(for: domain) }
  }

  func listenForExports(sinceBoot: Bool) -> (any ExportLog)? {
    SnapshotLog(
      answer: Recorded { () throws(HostError) in
        try book.answer(\.tree.exports, or: missing("exports"), live) { (live) throws(HostError) in
          try live.listenForExports(sinceBoot: sinceBoot)?.exports()
        }
      })
  }

  // MARK: What only a run asks, and a snapshot refuses

  func grants(for device: PCIAddress) throws(HostError) -> DeviceGrants { throw missing("resources", device) }
  func serial(of device: PCIAddress) throws(HostError) -> String? { throw missing("serial", device) }
  func neighbours(of device: PCIAddress) throws(HostError) -> Set<PCIAddress> { throw missing("neighbours", device) }
  func reset(_ device: PCIAddress, alone: Bool) throws(HostError) -> ResetOutcome { throw refusal(of: "reset") }
  func setPermissive(_ device: PCIAddress) throws(HostError) { throw refusal(of: "permissive") }
  func unbindFromPCIBack(_ device: PCIAddress) throws(HostError) { throw refusal(of: "unbind") }
  func bindToPCIBack(_ device: PCIAddress) throws(HostError) { throw refusal(of: "bind") }
}

/// What the log had when it was read.
private struct SnapshotLog: ExportLog {
  let answer: Recorded<[ExportRecord]?>

  func exports() throws(HostError) -> [ExportRecord]? { try answer.get() }
}

/// The drivers of dom0 as they are recorded, or as they were.
struct SnapshotDrivers: DriverPort {
  let book: AnswerBook
  let live: (any DriverPort)?

  func binding(of device: PCIAddress) throws(HostError) -> DriverBinding? {
    if live == nil, let listed = book.listed, !listed.contains(device) { return nil }
    return try book.answer(
      \.tree.bindings[device], or: .tree(unanswered("binding", device)),
      live
    ) { (live) throws(HostError) in try live.binding(of: device) }
  }

  func slots() throws(HostError) -> Set<PCIAddress> {
    let slots = try book.answer(
      \.tree.slots, or: .tree(unanswered("slots")),
      live
    ) { (live) throws(HostError) in try live.slots().sorted() }
    return Set(slots)
  }

  // MARK: What only a run asks, and a snapshot refuses

  func isLoaded(_ driver: String) throws(HostError) -> Bool { throw .tree(unanswered("is-loaded", driver)) }
  func listen(about device: PCIAddress) -> (any DeviceLog)? { nil }
  func setOverride(of device: PCIAddress, to driver: String?) throws(HostError) { throw refusal(of: "override") }
  func removeSlot(_ device: PCIAddress) throws(HostError) { throw refusal(of: "remove-slot") }
  func unbind(
    _ device: PCIAddress, from driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer { throw refusal(of: "unbind") }
  func bind(
    _ device: PCIAddress, to driver: String, until deadline: ContinuousClock.Instant
  ) throws(HostError) -> DriverAnswer { throw refusal(of: "bind") }
  func offer(_ device: PCIAddress, until deadline: ContinuousClock.Instant) throws(HostError) -> DriverAnswer {
    throw refusal(of: "offer")
  }
  func loadModule(_ name: String, until deadline: ContinuousClock.Instant) throws(HostError) {
    throw refusal(of: "load-module")
  }
}
