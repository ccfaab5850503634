package import Model

/// What changes a bus can take at this moment, determined from the reads of one transaction.
package enum BusCondition: Hashable, Sendable {
  /// Nothing exists: the first devices create the bus.
  case absent
  /// Nothing is in xenstore. But dom0's kernel has not released the old bus yet, or the guest's directory remains.
  case vanishing
  /// The guest has not connected yet (1, 2, 3): entries may be appended, and no round is started.
  case connecting
  /// pciback holds the devices of an HVM guest, which never connects: changes take effect without a round.
  case holding
  /// Both ends are connected: changes are made in a round.
  case connected
  /// pciback is connected and the guest is about to be (4 with a front end below 4).
  case settling
  /// A round is running (7, 8).
  case round
  /// The guest finished its half of a round that was taken back in the meantime (4 with a front end at 7).
  case torn
  /// The bus is being closed, or has failed (5, 6).
  case closing
  /// At rest, but a removal is half done: entries wait for their deletion.
  case halfRemoved(Set<PCIAddress>)
  /// In a state that no toolstack leaves; the text says what was found.
  case corrupt(String)
}

extension BusCondition: CustomStringConvertible {
  /// What the bus is doing, for people.
  package var description: String {
    switch self {
    case .absent: "there is no bus"
    case .vanishing: "the earlier bus has not disappeared yet"
    case .connecting: "the guest is connecting"
    case .holding: "pciback holds the devices"
    case .connected: "both ends are connected"
    case .settling: "the guest is about to be connected"
    case .round: "a reconfiguration is running"
    case .torn: "a reconfiguration was taken back while the guest worked on it"
    case .closing: "the bus is closing"
    case .halfRemoved(let devices):
      "another toolstack is removing \(devices.sorted().map(\.description).joined(separator: ", "))"
    case .corrupt(let what): what
    }
  }
}

extension BackEnd {
  /// The indices of entries that break what libxl and pciback rely on: dense, each with address, key and state.
  private var damage: String? {
    switch count {
    case .absent where !isAbsent: return "num_devs is missing, but other nodes exist"
    case .invalid(let text): return "num_devs is \"\(text)\""
    case .absent, .number: break
    }
    if let hole = entries.first(where: { $0.device == nil }) {
      return "dev-\(hole.index) is missing or not an address, though num_devs is \(entries.count)"
    }
    if let headless = entries.first(where: { !$0.hasKey }) { return "key-\(headless.index) is missing" }
    if let stateless = entries.first(where: { $0.state.state == nil }) {
      return "state-\(stateless.index) is \(stateless.state)"
    }
    var seen = Set<PCIAddress>(minimumCapacity: entries.count)
    for entry in entries {
      if let device = entry.device, !seen.insert(device).inserted { return "\(device) is listed twice" }
    }
    return nil
  }

  /// What the bus can take now.
  package var condition: BusCondition {
    if isAbsent {
      return hasKernelObject == true || !frontEndState.isAbsent ? .vanishing : .absent
    }
    guard !state.isAbsent, hasFrontEndPath else {
      return .corrupt("the back end lacks its \(state.isAbsent ? "state" : "frontend") node")
    }
    if let damage { return .corrupt(damage) }
    if !hasFrontEndDriver { return heldCondition }
    switch state.state {
    case .initialising, .initWait, .initialised: return .connecting
    case .reconfiguring, .reconfigured: return .round
    case .closing, .closed: return .closing
    case .connected:
      switch frontEndState.state {
      case .connected: return marked.isEmpty ? .connected : .halfRemoved(marked)
      case .reconfiguring: return .torn
      case .initialising, .initWait, .initialised: return .settling
      case .unknown, .closing, .closed, .reconfigured, nil: return .closing
      }
    case .unknown, nil: return .corrupt("the back end's state is \(state)")
    }
  }

  /// What the bus of an HVM guest can take. Nobody answers, so pciback stays in the state that the store gives it.
  ///
  /// pciback rests at 3. libxl's second attach leaves the back end at 7. There pciback ignores all changes until 3 is
  /// written again (`xen_pcibk_be_watch`, Linux drivers/xen/xen-pciback/xenbus.c).
  private var heldCondition: BusCondition {
    switch state.state {
    case .initialising, .initWait: .connecting
    case .initialised, .connected, .reconfiguring, .reconfigured: marked.isEmpty ? .holding : .halfRemoved(marked)
    case .closing, .closed: .closing
    case .unknown, nil: .corrupt("the back end's state is \(state)")
    }
  }

  private var marked: Set<PCIAddress> { Set(entries.lazy.filter(\.isMarked).compactMap(\.device)) }

  /// Whether a guest that has never run will find this bus when it starts.
  package var awaitsGuest: Bool {
    switch condition {
    case .connecting: !frontEndState.isAbsent
    case .holding, .connected, .settling, .round, .torn, .halfRemoved: true
    case .absent, .vanishing, .closing, .corrupt: false
    }
  }

  /// Whether the bus's nodes are gone. The rest of the bus may remain.
  package var isGoing: Bool { condition == .absent || condition == .vanishing }
}
