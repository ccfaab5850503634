package import Model
package import Planning
package import XenProtocol

/// Short, valid values for tests, the same in all of them.
package enum Sample {
  /// `0000:03:00.0`, `0000:03:01.0`, … for 0, 1, …
  package static func address(_ number: Int) -> PCIAddress {
    PCIAddress(sbdf: 3 << 8 | UInt32(number % 32) << 3 | UInt32(number / 32 % 8) | UInt32(number / 256) << 8)
  }

  /// Returns a UUID made from one number.
  package static func uuid(_ number: Int) -> DomainUUID {
    let digits = String(UInt64(number), radix: 16)
    guard let uuid = DomainUUID("00000000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits)
    else { preconditionFailure("a test's UUID takes a number of at most twelve digits") }
    return uuid
  }

  package static func entry(
    _ device: PCIAddress, _ index: Int = 0, _ state: XenbusState = .initialised, slot: UInt8? = nil,
    options: DeviceOptions = DeviceOptions()
  ) -> BackEndEntry {
    BackEndEntry(
      index: index, device: device, state: StateNode(state),
      virtualAddress: slot.flatMap { PCIAddress(segment: 0, bus: 0, device: $0, function: 0) },
      optionsText: options.storeText, virtualFunctionText: options.storeVirtualFunction)
  }

  /// Returns a bus with these states and entries. The virtual slot of an exported entry is its index.
  package static func bus(
    _ domain: DomainID, _ devices: [PCIAddress], state: XenbusState = .connected,
    front: XenbusState? = .connected, states: [XenbusState]? = nil
  ) -> BackEnd {
    let entries = devices.enumerated().map { index, device in
      let own = states?[index] ?? .initialised
      return entry(device, index, own, slot: own == .initialising ? nil : UInt8(index))
    }
    return BackEnd(
      domain: domain, state: StateNode(state), frontEndState: front.map { StateNode($0) } ?? .absent,
      count: .number(entries.count), online: "1", hasFrontEndPath: true, entries: entries, hasKernelObject: true)
  }

  /// Returns a running PV domain with these devices attached and saved. No claim names it.
  package static func domain(
    _ number: UInt32, _ name: Name, _ devices: [PCIAddress] = [], lifecycle: DomainLifecycle = .running,
    kind: DomainKind = .pv
  ) -> ObservedDomain {
    ObservedDomain(
      id: DomainID(number), uuid: uuid(Int(number)), name: name, kind: kind, lifecycle: lifecycle, hasIOMMU: true,
      backEnd: devices.isEmpty ? nil : bus(DomainID(number), devices),
      saved: .devices(devices.map { SavedDevice(address: $0, options: DeviceOptions()) }))
  }

  /// Returns a device on pciback. If a domain is given, the device is claimed by it and assigned to it.
  package static func device(_ address: PCIAddress, heldBy domain: UInt32? = nil) -> ObservedDevice {
    ObservedDevice(
      address: address,
      facts: DeviceFacts(
        id: DeviceID(vendor: 0x8086, device: 0x1533), deviceClass: 0x020000, driver: "pciback", isOnPCIBack: true),
      claim: domain.map { DomainID($0) }, assignment: domain == nil ? .free : .assigned)
  }

  package static func desired(
    _ domains: [Name: [PCIAddress]], prune: Policy.Prune = .owned, maxRemovals: Int? = nil
  ) -> DesiredState {
    DesiredState(
      policy: Policy(prune: prune, maxRemovals: maxRemovals),
      domains: domains.sorted { $0.key < $1.key }.map { name, devices in
        DesiredDomain(name: name, devices: devices.map { DesiredDevice(address: $0) })
      })
  }
}
