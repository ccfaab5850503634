import Model
import Synchronization
import XenProtocol

/// pciback in dom0 and pcifront in the guests, one step at a time.
///
/// They follow Linux drivers/xen/xen-pciback/xenbus.c and drivers/pci/xen-pcifront.c (6.1), as far as the protocol
/// depends on them.
extension ModelHost {
  /// Does the first possible step; returns false if there is none.
  func step(_ store: ModelStore) -> Bool {
    let domains = state.withLock { state in
      (
        state.domains.values.map {
          ($0.key.id, $0.answers && !$0.isPaused && !$0.isShutDown && !$0.isHardwareVirtualised)
        }, state.objects
      )
    }
    let known = Set(domains.0.map(\.0)).union(domains.1)
    let awake = Dictionary(domains.0, uniquingKeysWith: { first, _ in first })
    for domain in known.sorted() {
      if stepBackEnd(domain, store) { return true }
      if awake[domain] == true, stepFrontEnd(domain, store) { return true }
    }
    return false
  }

  private func number(_ store: ModelStore, _ path: StorePath) -> Int? { store[path.text].flatMap { Int($0) } }

  private func stepBackEnd(_ domain: DomainID, _ store: ModelStore) -> Bool {
    let back = StorePath.backEnd(domain)
    let front = StorePath.frontEnd(domain)
    let hasObject = state.withLock { $0.objects.contains(domain) }
    guard let backState = number(store, back.child("state")) else {
      if hasObject { drop(domain) }
      return hasObject
    }
    let frontState = number(store, front.child("state"))
    if hasObject, frontState == nil || frontState == 0 {
      // The node is gone or has no valid state. The kernel unregisters its device, which closes its own side
      // (`xen_pcibk_frontend_changed`; `xenbus_dev_remove`, drivers/xen/xenbus/xenbus_probe.c).
      drop(domain)
      store[back.child("state").text] = "6"
      return true
    }
    guard hasObject else {
      guard backState == 1, frontState != nil else { return false }
      state.withLock { _ = $0.objects.insert(domain) }
      store[back.child("state").text] = "2"
      return true
    }
    switch (backState, frontState) {
    case (2, _):
      for index in 0..<count(domain, store) {
        guard export(index, of: domain, store) else { return end(domain, store) }
      }
      store[back.child("state").text] = "3"
      return true
    case (3, 3?):
      // A front end without pcifront gives pciback no ring, which ends the bus (`xen_pcibk_attach`).
      let isDriver = state.withLock { $0.domains[domain]?.isHardwareVirtualised } != true
      store[back.child("state").text] = isDriver ? "4" : "5"
      return true
    case (3, let front) where front != 5 && front != 6:
      // No state is written.
      return reconfigure(domain, store).hasActed
    case (7, 7?):
      let pass = reconfigure(domain, store)
      guard pass.isWhole else { return pass.hasActed }
      store[back.child("state").text] = "8"
      state.withLock { _ = $0.answered.insert(domain) }
      return true
    case (8, 4?):
      // It writes no state that it believes to have already: an 8 that another program wrote stays
      // (`__xenbus_switch_state`).
      guard state.withLock({ $0.answered.remove(domain) }) != nil else { return false }
      store[back.child("state").text] = "4"
      return true
    case (_, 5?) where backState != 5 && backState != 6:
      store[back.child("state").text] = "5"
      return true
    case (_, 6?) where backState != 6:
      store[back.child("state").text] = "6"
      if store[back.child("online").text] == "0" { drop(domain) }
      return true
    default: return false
    }
  }

  private func stepFrontEnd(_ domain: DomainID, _ store: ModelStore) -> Bool {
    let front = StorePath.frontEnd(domain).child("state").text
    guard let frontState = store[front].flatMap({ Int($0) }),
      let backState = number(store, StorePath.backEnd(domain).child("state"))
    else { return false }
    let next: Int? =
      switch (backState, frontState) {
      case (2...3, 1): 3
      case (4, 3): 4
      case (7, 4): 7
      case (8, 7): 4
      case (5, 4): 6
      default: nil
      }
    guard let next else { return false }
    store[front] = String(next)
    return true
  }

  private func drop(_ domain: DomainID) {
    state.withLock { state in
      state.objects.remove(domain)
      state.exports[domain] = nil
      state.answered.remove(domain)
    }
  }

  private func count(_ domain: DomainID, _ store: ModelStore) -> Int {
    number(store, StorePath.backEnd(domain).child("num_devs")) ?? 0
  }

  /// Exports and releases what the entries ask for, in their order (`xen_pcibk_reconfigure`). Returns whether pciback
  /// came to the end, and whether it did anything.
  ///
  /// It stops at a mark whose device it does not hold, and the round stays as it is. It ends the bus over a mark without
  /// an address, and over a device that it cannot export.
  private func reconfigure(_ domain: DomainID, _ store: ModelStore) -> (isWhole: Bool, hasActed: Bool) {
    let back = StorePath.backEnd(domain)
    var hasActed = false
    for index in 0..<count(domain, store) {
      switch store[back.child("state-\(index)").text] {
      case "1":
        guard export(index, of: domain, store) else { return (false, end(domain, store)) }
      case "5":
        guard state.withLock({ $0.domains[domain]?.isMarkRead }) != false else { return (false, hasActed) }
        guard let place = store[back.child("vdev-\(index)").text].flatMap({ PCIAddress($0) }) else {
          return (false, end(domain, store))
        }
        guard release(place, of: domain) else { return (false, hasActed) }
      default: continue
      }
      hasActed = true
    }
    return (true, hasActed)
  }

  /// Ends the bus (`xenbus_dev_fatal`). Returns true.
  private func end(_ domain: DomainID, _ store: ModelStore) -> Bool {
    store[StorePath.backEndError(domain).text] = "22 Couldn't locate PCI device! perhaps already in-use?"
    store[StorePath.backEnd(domain).child("state").text] = "5"
    return true
  }

  /// Exports the device of one entry. Returns false if pciback has not got it, or holds it already.
  private func export(_ index: Int, of domain: DomainID, _ store: ModelStore) -> Bool {
    let back = StorePath.backEnd(domain)
    guard let device = store[back.child("dev-\(index)").text].flatMap({ PCIAddress($0) }) else { return false }
    let slot = state.withLock { state -> UInt8? in
      guard state.pciback.contains(device), !state.exports.values.contains(where: { $0[device] != nil }) else {
        return nil
      }
      let own = state.exports[domain] ?? [:]
      let taken = Set(own.values)
      // Functions of one slot share a virtual slot.
      guard
        let slot = own.first(where: { $0.key.sbdf >> 3 == device.sbdf >> 3 })?.value
          ?? (UInt8(0)..<32).first(where: { !taken.contains($0) })
      else { return nil }
      state.exports[domain, default: [:]][device] = slot
      state.log.append(ExportRecord(device: device, domain: domain, slot: slot))
      return slot
    }
    guard let slot else { return false }
    let address = PCIAddress(segment: 0, bus: 0, device: slot, function: device.function)
    store[back.child("vdev-\(index)").text] = address?.virtualText
    store[back.child("state-\(index)").text] = "3"
    return true
  }

  /// Releases the device at an address of the guest. Returns false if there is none.
  private func release(_ place: PCIAddress, of domain: DomainID) -> Bool {
    state.withLock { state in
      let exports = state.exports[domain] ?? [:]
      guard let held = exports.first(where: { $0.value == place.device && $0.key.function == place.function }) else {
        return false
      }
      state.exports[domain]?[held.key] = nil
      return true
    }
  }
}
