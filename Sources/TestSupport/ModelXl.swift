package import Model
import Ports
import Synchronization
import XenProtocol

/// `xl pci-attach` and `xl pci-detach` of a running PV guest, step by step as libxl executes them.
///
/// They follow tools/libs/light/libxl_pci.c (Xen 4.17; its store code is the same up to the master branch of August
/// 2026).
package struct ModelXl: Sendable {
  /// The result of a run.
  package enum Ending: Sendable, Equatable {
    case success
    case failure(String)
    /// libxl read a missing node that it expects to exist.
    case crash
  }

  let model: ModelHost
  let domain: DomainKey
  let device: PCIAddress

  package init(_ model: ModelHost, _ domain: DomainKey, _ device: PCIAddress) {
    (self.model, self.domain, self.device) = (model, domain, device)
  }

  var back: String { StorePath.backEnd(domain.id).text }
  var front: String { StorePath.frontEnd(domain.id).text }
  var claim: String { StorePath.claim(device).text }
  var store: ModelStore { model.store }

  // MARK: pci-attach

  /// `libxl__device_pci_add`; any failure removes the claim, even another domain's (`device_pci_add_done`).
  package func attach() -> Ending {
    let ending = tryToAttach()
    if ending != .success { write(claim, nil) }
    return ending
  }

  private func tryToAttach() -> Ending {
    // It must be bound to pciback and unclaimed (`libxl_pci_assignable`). Then it is claimed; another toolstack may do
    // the same in between.
    guard ModelTree(model: model).pcibackDevices().contains(device), read(claim) == nil else {
      return .failure("not assignable")
    }
    write(claim, domain.id.description)
    do throws(HostError) {
      let tree = ModelTree(model: model)
      _ = try tree.reset(device, alone: false)
      try grant(true)
      try ModelHypervisor(model: model).assign(device, to: domain.id, relaxed: false)
    } catch {
      return .failure("\(error)")
    }
    return publish()
  }

  /// `libxl__device_pci_add_xenstore`: the count is read here, and never again.
  private func publish() -> Ending {
    let count = read("\(back)/num_devs")
    if count != nil, !awaitConnected() { return .failure("back end not ready") }
    let index = count.flatMap { Int($0) } ?? 0
    guard model.takeLock(of: domain.id, waiting: nil) else { return .failure("no lock") }
    defer { model.releaseLock(of: domain.id) }
    let saved: SavedConfiguration
    do throws(SavedConfigurationError) {
      guard let bytes = model.state.withLock({ $0.saved[domain] }) else { return .failure("no saved configuration") }
      saved = try SavedConfiguration(bytes).adding([SavedDevice(address: device, options: DeviceOptions())])
    } catch {
      return .failure("\(error)")
    }
    return transact { transaction in
      step(.file, "writes libxl-json") { model.state.withLock { $0.saved[domain] = saved.bytes } }
      if count == nil {
        transaction.remove(back)
        for (name, value) in [
          ("frontend", front), ("frontend-id", domain.id.description), ("online", "1"), ("state", "1"),
          ("domain", "guest"),
        ] { transaction.write("\(back)/\(name)", value) }
        transaction.remove(front)
        for (name, value) in [("backend", back), ("backend-id", "0"), ("state", "1")] {
          transaction.write("\(front)/\(name)", value)
        }
      }
      for (name, value) in [
        ("key", device.description), ("dev", device.description), ("opts", DeviceOptions().storeText), ("state", "1"),
      ] { transaction.write("\(back)/\(name)-\(index)", value) }
      transaction.write("\(back)/num_devs", String(index + 1))
      if index > 0 { transaction.write("\(back)/state", "7") }
      return nil
    } ?? .success
  }

  // MARK: Steps

  func step<Value>(_ kind: StepKind, _ text: String, _ body: () -> Value) -> Value {
    store.turns?.turn(kind)
    let value = body()
    store.turns?.note(text)
    return value
  }

  func read(_ path: String) -> String? {
    store.turns?.turn(.store)
    let value = store[path]
    store.turns?.note("reads \(short(path)): \(value ?? "none")")
    return value
  }

  func write(_ path: String, _ value: String?) {
    step(.store, value.map { "writes \(short(path))=\($0)" } ?? "removes \(short(path))") {
      store[path] = value
      store.settle()
    }
  }

  private func short(_ path: String) -> String {
    if path == claim { return "the claim on \(device)" }
    return ModelStore.State.name(of: path)
  }

  /// The loop of a transaction, repeated on a conflict. Only what `body` reads itself is read again.
  func transact(_ body: (ModelTransaction) -> Ending?) -> Ending? {
    while !model.isKilled {
      let transaction = step(.store, "begins a transaction") { store.begin() }
      if let ending = body(transaction) { return ending }
      store.turns?.turn(.store)
      let isDone = transaction.commit()
      store.turns?.note(transaction.summary(isDone))
      if isDone { return nil }
    }
    return .failure("killed")
  }

  /// `libxl__wait_for_backend`: checks the state every 100 ms, for ten seconds.
  func awaitConnected() -> Bool {
    let path = "\(back)/state"
    while true {
      let seen = store.peek(\.changes.count)
      guard let state = read(path) else { return false }
      if state == "4" { return true }
      let isChanged = store.turns?.wait(for: .seconds(10)) { [store] in store.hasChanged(at: [path], since: seen) }
      guard isChanged == true else {
        store.turns?.note("gives up waiting for state 4")
        return false
      }
    }
  }

  func grant(_ allowed: Bool) throws(HostError) {
    let hypervisor = ModelHypervisor(model: model)
    let grants = try ModelTree(model: model).grants(for: device)
    var failure: HostError?
    func call(_ body: () throws(HostError) -> Void) {
      do throws(HostError) { try body() } catch { failure = error }
    }
    for resource in grants.resources {
      call { () throws(HostError) in
        try hypervisor.setFrames(resource.frames, of: domain.id, allowed: allowed)
      }
    }
    if let interrupt = grants.interrupt {
      call { () throws(HostError) in
        if allowed {
          try hypervisor.mapInterrupt(interrupt, in: domain.id)
        } else {
          try hypervisor.unmapInterrupt(interrupt, in: domain.id)
        }
      }
      call { () throws(HostError) in
        try hypervisor.setInterrupt(interrupt, of: domain.id, allowed: allowed)
      }
    }
    // A removal logs a failed call and continues.
    if allowed, let failure { throw failure }
  }
}
