import Model
package import Planning
package import Ports
import XenProtocol

/// Asks a host whatever can be asked, in case something is wrong with it: a failure does not stop the other questions.
package struct Examiner: Sendable {
  private let host: Host

  package init(host: Host) { self.host = host }

  package func examine() -> Examination {
    let hypervisor = attempt { () throws(HostError) in try host.hypervisor.hostFacts() }
    let pciback = attempt { () throws(HostError) in
      Examination.PCIBack(
        isLoaded: try host.tree.hasPCIBack(), deviceCount: try host.tree.pcibackDevices().count,
        isPermissiveForAll: try host.tree.isPermissiveForAll())
    }
    let records = attempt { () throws(HostError) in try host.ownership.readRecords() }
    let intents = attempt { () throws(HostError) in try host.intents.readIntents() }
    let marks = attempt { () throws(HostError) in try host.runLocks.readMarks() }
    let store = attempt { () throws(HostError) in try errorNodes(through: host.stores.connect()) }
    var examination = Examination(
      hostName: host.name, takenAt: host.wallClock(),
      hypervisor: hypervisor,
      store: store, pciback: pciback, records: records.map(\.contents.count),
      intents: intents.map(\.contents),
      locks: attempt { () throws(HostError) in try host.userdata.locks() }, observation: nil)
    let preparations = attempt { () throws(HostError) in try host.preparations.readPreparations() }
    examination.damaged =
      damage(records.map(\.damaged)) + damage(intents.map(\.damaged)) + damage(preparations.map(\.damaged))
    if case .failure(.record(let error)) = preparations {
      examination.damaged.append(DamagedFile(.preparation, .nothing, error))
    }
    let functions = attempt { () throws(HostError) in try host.inventory.inventory(of: [.ids, .driver]) }
    var boot = BootExamination(facts: host.boot.boot(), inventory: nil)
    if case .success(let inventory) = functions { boot.inventory = inventory }
    // Without pciback it has no slots, which is a finding of its own.
    if case .success(let slots) = attempt({ () throws(HostError) in try host.drivers.slots() }) { boot.slots = slots }
    examination.boot = boot
    switch marks {
    case .success(let marks): examination.damaged += marks.damaged
    case .failure(.record(let error)): examination.damaged.append(DamagedFile(.runLock, .everything, error))
    // Another port's failure is that port's finding.
    case .failure: break
    }
    if case .success = hypervisor, case .success = store, case .success = pciback {
      // Damage to Berth's own files is already reported, and must not hide everything else.
      var readable = host
      if case .failure = records { readable.ownership = NoRecords() }
      if case .failure = intents { readable.intents = NoIntents() }
      let observer = Observer(host: readable)
      examination.observation = attempt { () throws(HostError) in try observer.observeEverything(desired: nil) }
    }
    return examination
  }

  /// Returns the damaged files of one kind; none if the folder could not be read, which is a finding of its own.
  private func damage(_ result: Result<[DamagedFile], HostError>) -> [DamagedFile] {
    if case .success(let damaged) = result { damaged } else { [] }
  }

  /// Returns the last error texts of pciback and of each guest's pcifront. The guest writes its own, so only one line
  /// of it is kept.
  private func errorNodes(through store: any StorePort) throws(HostError) -> [Examination.ErrorNode] {
    var nodes: [Examination.ErrorNode] = []
    func note(_ path: StorePath, _ domain: DomainID, isFrontEnd: Bool) throws(HostError) {
      guard let text = try store.read(path), !text.isEmpty else { return }
      nodes.append(
        Examination.ErrorNode(domain: domain, isFrontEnd: isFrontEnd, text: String(text.prefix(160))))
    }
    for domain in try numbers(below: .backEndErrors, in: store) {
      try note(.backEndError(domain), domain, isFrontEnd: false)
    }
    for domain in try numbers(below: .domains, in: store) where domain != .zero {
      try note(.frontEndError(domain), domain, isFrontEnd: true)
    }
    return nodes
  }

  private func numbers(below path: StorePath, in store: any StorePort) throws(HostError) -> [DomainID] {
    (try store.list(path) ?? []).compactMap { decimal($0) }.map { DomainID(UInt32($0)) }.sorted()
  }
}

private func attempt<Value>(_ body: () throws(HostError) -> Value) -> Result<Value, HostError> {
  do throws(HostError) { return .success(try body()) } catch { return .failure(error) }
}

/// Replaces unreadable records, for a look that changes nothing.
private struct NoRecords: OwnershipPort {
  func readRecords() -> OwnFiles<OwnershipRecord> { OwnFiles() }
  func record(of domain: DomainUUID) -> OwnershipRecord? { nil }
  func update(_ domain: DomainUUID, _ change: (inout OwnershipRecord?) -> Void) throws(HostError) {
    throw .record(RecordError(.other, operation: "update", place: "a record that could not be read"))
  }
  func sweep() {}
}

/// Replaces unreadable intents, for a look that changes nothing.
private struct NoIntents: IntentPort {
  func open(_ intent: Intent) throws(HostError) -> any OpenIntent {
    throw .record(RecordError(.other, operation: "open", place: "an intent"))
  }
  func readIntents() -> OwnFiles<Intent> { OwnFiles() }
  func discard(identifier: String) throws(HostError) {
    throw .record(RecordError(.other, operation: "discard", place: "an intent"))
  }
  func sweep() {}
}
