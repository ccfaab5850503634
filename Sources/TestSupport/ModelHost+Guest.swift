package import Model
import Synchronization
import XenProtocol

/// What a guest can do with its own nodes: the front end's directory, and nothing else.
///
/// libxl makes that directory the guest's (`libxl__device_generic_add`, libxl_device.c, Xen 4.17). The directories
/// above it, and the back end, are dom0's.
package enum Mischief: Hashable, Sendable, CustomStringConvertible {
  case state(String)
  case removesState, removesAll
  /// Its nodes lead to another domain's nodes, to dom0's and to themselves.
  case pointsElsewhere
  case floods
  /// It recreates its directory, as a new front end.
  case startsAnew

  package static let all: [Mischief] =
    ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "", "04", "4 ", "four", "\u{FFFD}\u{0}"].map { .state($0) }
    + [
      .state(String(repeating: "4", count: 2000)), .removesState, .removesAll, .pointsElsewhere, .floods, .startsAnew,
    ]

  package var description: String {
    switch self {
    case .state(let text): "state \"\(text.utf8.count > 20 ? "4…" : text)\""
    case .removesState: "removes its state"
    case .removesAll: "removes its directory"
    case .pointsElsewhere: "points elsewhere"
    case .floods: "floods"
    case .startsAnew: "starts anew"
    }
  }
}

extension ModelHost {
  /// Lets the guest do it. A guest without a front end does nothing, since it may write nowhere.
  package func doMischief(_ mischief: Mischief, _ number: UInt32) {
    let front = StorePath.frontEnd(DomainID(number)).text
    guard store[front] != nil else { return }
    switch mischief {
    case .state(let text): store[front + "/state"] = text
    case .removesState: store[front + "/state"] = nil
    case .removesAll: store[front] = nil
    case .pointsElsewhere:
      store[front + "/backend"] = "/local/domain/0/backend/pci/6/0"
      store[front + "/backend-id"] = "6"
      store[front + "/frontend"] = front
      store[front + "/num_devs"] = "200"
      store[front + "/dev-0"] = "0000:03:04.0"
      store[front + "/state-0"] = "1"
    case .floods:
      for index in 0..<30 { store[front + "/flood-\(index)/dev-\(index)"] = String(repeating: "x", count: 2000) }
    case .startsAnew:
      store[front] = nil
      store[front + "/state"] = "1"
    }
    store.settle()
  }

  /// Lets the guest's own driver take over the front end again, and bring it to its right state.
  package func behave(_ number: UInt32) {
    let id = DomainID(number)
    let (front, back) = (StorePath.frontEnd(id).text, StorePath.backEnd(id).text)
    if store[front] != nil {
      for name in store.children(of: front) ?? [] { store[front + "/" + name] = nil }
      store[front + "/backend"] = back
      store[front + "/backend-id"] = "0"
      let states = ["1": "1", "2": "3", "3": "3", "4": "4", "7": "4", "8": "7", "5": "6", "6": "6"]
      // A guest without pcifront leaves its state alone.
      let hasDriver = state.withLock { $0.domains[id]?.isHardwareVirtualised } == false
      store[front + "/state"] = hasDriver ? states[store[back + "/state"] ?? ""] ?? "6" : "1"
    }
    change(number) { $0.answers = true }
  }

  /// Destroys the guest and starts it again without devices, as another domain with its UUID.
  package func restart(_ number: UInt32, as new: UInt32) -> DomainKey? {
    guard let old = state.withLock({ $0.domains[DomainID(number)] }) else { return nil }
    destroy(number)
    store[StorePath.backEndHome(old.key.id).text] = nil
    store.settle()
    return addDomain(new, old.name, uuid: old.key.uuid)
  }
}
