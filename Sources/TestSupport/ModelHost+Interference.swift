package import Model
import Synchronization
import XenProtocol

/// Actions of other programs on a model host while the code under test works.
extension ModelHost {
  /// Runs `action` once: before the request with this number, or before the first later one for which `condition`
  /// holds.
  package func interfere(
    atRequest index: Int, onceTrue condition: @escaping @Sendable (ModelHost) -> Bool = { _ in true },
    _ action: @escaping @Sendable () -> Void
  ) {
    let start = store.requests
    state.withLock { $0.hasInterfered = false }
    store.beforeRequest.function = { [unowned self] store in
      guard store.requests - start >= index, condition(self) else { return }
      // A lock holder excludes others, except one that takes no lock or has waited for it.
      guard state.withLock({ $0.locks.isEmpty && !$0.hasInterfered }) else { return }
      state.withLock { $0.hasInterfered = true }
      action()
      store.settle()
    }
  }

  package func stopInterfering() { store.beforeRequest.function = nil }

  /// Whether any program holds a domain's userdata lock.
  package var isLocked: Bool { state.withLock { !$0.locks.isEmpty } }

  package var hasInterfered: Bool { state.withLock(\.hasInterfered) }

  /// Makes the commit of `libxl__device_pci_add_xenstore` with a device count that it read before the lock (Xen 4.17).
  package func overwrite(domain: UInt32, index: Int, with device: PCIAddress) {
    let back = StorePath.backEnd(DomainID(domain)).text
    store["\(back)/key-\(index)"] = device.description
    store["\(back)/dev-\(index)"] = device.description
    store["\(back)/opts-\(index)"] = DeviceOptions().storeText
    store["\(back)/state-\(index)"] = "1"
    store["\(back)/num_devs"] = String(index + 1)
    store["\(back)/state"] = "7"
    store[StorePath.claim(device).text] = String(domain)
  }

  /// Kills the process under test before its step with this number. What it does from then on has no effect.
  ///
  /// Its steps are what others can see: commits, hypercalls, resets, and writes of files.
  package func kill(beforeStep number: Int) { state.withLock { $0.stepsLeft = number } }

  /// Starts another process in place of the one under test; it finds the intents of an ended run. Returns whether the
  /// old process was killed.
  package func restart() -> Bool {
    let wasKilled = isKilled
    state.withLock { $0.stepsLeft = nil }
    killWriters()
    return wasKilled
  }

  var isKilled: Bool { state.withLock { $0.stepsLeft ?? 0 } < 0 }

  /// Uses one of the remaining steps. Returns true if the process is dead.
  func takeStep() -> Bool {
    state.withLock { state in
      guard let left = state.stepsLeft else { return false }
      state.stepsLeft = left > 1 ? left - 1 : -1
      return left <= 1
    }
  }

  /// Makes memory grants of one device fail.
  package func failFrames(of device: PCIAddress) {
    let grants = ModelTree(model: self).memory(of: device)
    state.withLock { _ = $0.failingGrants.insert("frames \(grants.frames)") }
  }

  /// Ends the process that wrote the open intents: from now on they belong to an ended run.
  package func killWriters() {
    state.withLock { state in
      for identifier in state.intents.keys { state.intents[identifier]?.isLive = false }
    }
  }

  /// Xen and the toolstack destroy the domain. Its guest never answered, so the back end stays
  /// (`libxl__destroy_domid`).
  package func destroy(_ number: UInt32) {
    let id = DomainID(number)
    state.withLock { state in
      if let key = state.domains.removeValue(forKey: id)?.key { state.saved[key] = nil }
      for (device, owner) in state.owners where owner == id { state.owners[device] = nil }
      state.mapped = state.mapped.filter { !$0.hasPrefix("\(id) ") }
    }
    store[StorePath.home(id).text] = nil
    store[StorePath.toolstack(id).text] = nil
    // The front end went with the home directory, so the kernel drops its object (`xen_pcibk_frontend_changed`).
    state.withLock { state in
      state.objects.remove(id)
      state.exports[id] = nil
    }
  }

  /// Makes pciback keep the device for another domain.
  package func pretendExported(_ device: PCIAddress, to domain: UInt32) {
    state.withLock { $0.exports[DomainID(domain), default: [:]][device] = 0 }
  }
}
