package import Model

/// The states of a xenbus device (xen/include/public/io/xenbus.h).
package enum XenbusState: Int, Sendable, CaseIterable {
  case unknown = 0
  case initialising, initWait, initialised, connected, closing, closed, reconfiguring, reconfigured
}

/// What a state node holds: nothing, a state, or something else.
///
/// A front end's node is written by the guest, so any text may be found; it is kept only in bounded form.
package struct StateNode: Hashable, Sendable {
  /// The node's text, cut to 32 bytes; nil if there is no node.
  package let text: String?

  package init(_ text: String?) {
    self.text = text.map { $0.utf8.count <= 32 ? $0 : String(decoding: $0.utf8.prefix(32), as: UTF8.self) }
  }

  package init(_ state: XenbusState) { text = String(state.rawValue) }

  package static let absent = StateNode(nil)

  package var isAbsent: Bool { text == nil }

  /// The state named by the text; nil if the node is absent or holds no state.
  package var state: XenbusState? {
    guard let bytes = text?.utf8, bytes.count == 1, let digit = bytes.first, digit >= UInt8(ascii: "0") else {
      return nil
    }
    return XenbusState(rawValue: Int(digit - UInt8(ascii: "0")))
  }
}

extension StateNode: CustomStringConvertible {
  package var description: String { text ?? "absent" }
}

/// One entry `dev-N`, `state-N`, … of a PCI back end, as found.
package struct BackEndEntry: Hashable, Sendable {
  /// N. It changes when entries below it are deleted, so entries are found by address and never by index.
  package var index: Int
  /// `dev-N`; nil if the node is missing or not an address (a hole).
  package var device: PCIAddress?
  /// Whether `key-N` exists. libxl's removal dereferences it (`libxl__device_pci_remove_xenstore`).
  package var hasKey: Bool
  package var state: StateNode
  /// `vdev-N`, if pciback exported the device: the address that the guest sees.
  package var virtualAddress: PCIAddress?
  /// `opts-N`, as found.
  package var optionsText: String?
  /// `vdevfn-N`, as found.
  package var virtualFunctionText: String?
  /// `name-N`, as found.
  package var name: String?

  package init(
    index: Int, device: PCIAddress?, hasKey: Bool = true, state: StateNode, virtualAddress: PCIAddress? = nil,
    optionsText: String? = nil, virtualFunctionText: String? = nil, name: String? = nil
  ) {
    self.index = index
    self.device = device
    self.hasKey = hasKey
    self.state = state
    self.virtualAddress = virtualAddress
    self.optionsText = optionsText
    self.virtualFunctionText = virtualFunctionText
    self.name = name
  }

  package var options: DeviceOptions {
    DeviceOptions(storeText: optionsText, storeVirtualFunction: virtualFunctionText)
  }

  /// Whether pciback exported the device and published its virtual address: state 3 with a `vdev-N`.
  package var isExported: Bool { state.state == .initialised && virtualAddress != nil }

  /// Whether the entry is marked for removal and not deleted yet.
  ///
  /// State 6 is Berth's own mark: in a stuck round, it hides an earlier mark from pciback. If the bus is at rest,
  /// pciback has answered since then, and the device is released.
  package var isMarked: Bool { state.state == .closing || state.state == .closed }
}

/// What `num_devs` holds. Absent and 0 differ: absent means no bus, 0 a bus that lost its last device.
package enum DeviceCount: Hashable, Sendable {
  case absent
  case number(Int)
  /// Not a number, or a number that is larger than any bus.
  case invalid(String)

  package init(_ text: String?) {
    guard let text else { self = .absent; return }
    if let number = decimal(text), number <= BackEnd.mostDevices {
      self = .number(number)
    } else {
      self = .invalid(String(decoding: text.utf8.prefix(32), as: UTF8.self))
    }
  }

  package var number: Int? { if case .number(let value) = self { value } else { nil } }
}

/// A domain's PCI bus in xenstore: pciback's directory and the state of the guest's own.
package struct BackEnd: Hashable, Sendable {
  /// The largest number of entries on a bus: 32 slots with 8 functions. A larger `num_devs` is damage.
  package static let mostDevices = 256

  package var domain: DomainID
  package var state: StateNode
  /// The front end's state. The guest writes it.
  package var frontEndState: StateNode
  package var count: DeviceCount
  package var online: String?
  /// Whether the back end's `frontend` node exists and names the correct path.
  package var hasFrontEndPath: Bool
  /// The entries below `num_devs`, by index. Holes are entries without a device.
  package var entries: [BackEndEntry]
  /// The entries at or above `num_devs`. They remain if another toolstack wrote a count that it had read before they
  /// were added.
  ///
  /// Without a listing, only those are known that follow the last entry without a gap.
  package var orphans: [BackEndEntry]
  /// Whether a pcifront at the other end answers pciback. An HVM guest whose QEMU runs in dom0 has none.
  package var hasFrontEndDriver: Bool
  /// Whether dom0's kernel has the kernel object `pci-<domid>-0`; nil if that was not asked.
  package var hasKernelObject: Bool?

  package init(
    domain: DomainID, state: StateNode = .absent, frontEndState: StateNode = .absent, count: DeviceCount = .absent,
    online: String? = nil, hasFrontEndPath: Bool = false, entries: [BackEndEntry] = [],
    orphans: [BackEndEntry] = [], hasFrontEndDriver: Bool = true, hasKernelObject: Bool? = nil
  ) {
    self.domain = domain
    self.hasFrontEndDriver = hasFrontEndDriver
    self.state = state
    self.frontEndState = frontEndState
    self.count = count
    self.online = online
    self.hasFrontEndPath = hasFrontEndPath
    self.entries = entries
    self.orphans = orphans
    self.hasKernelObject = hasKernelObject
  }

  /// Whether nothing of a back end exists.
  package var isAbsent: Bool { state.isAbsent && count == .absent && !hasFrontEndPath && orphans.isEmpty }

  /// Returns the first entry of a device.
  package func entry(for device: PCIAddress) -> BackEndEntry? {
    entries.first { $0.device == device }
  }
}
