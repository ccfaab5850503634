package import Model

/// The PCI functions of a host, with what dom0's kernel shows and what the domains have.
package struct DeviceListing: Sendable {
  /// Nil if Xen or xenstored did not answer. Then nothing is known of domains.
  package let host: HostFacts?
  /// In order of their names.
  package private(set) var devices: [InventoryEntry]
  /// The folders of the file systems of dom0 whose devices are not known.
  package let unexplainedMounts: [String]

  /// Puts together an inventory and an observation. `observation` is nil if Xen or xenstored did not answer.
  ///
  /// `rules` say what stands on the devices; nil if that was not asked. `openings` are the answers for the disks of the
  /// devices about which they were asked.
  package init(
    inventory: Inventory, observation: ObservationIndex?, rules: InterlockRules? = nil,
    openings: [FunctionName: [DiskOpening]] = [:]
  ) {
    host = observation?.observation.host
    let groups = IsolationGroups.facts.isSubset(of: inventory.facts) ? IsolationGroups(inventory) : nil
    let sharing = ResourceSharing(inventory)
    let companions = Companions(inventory)
    unexplainedMounts = rules?.unexplainedMounts ?? []
    devices = inventory.functions.map { function in
      let observed = function.address.flatMap { observation?.devices[$0] }
      return InventoryEntry(
        function: function, availability: Self.availability(of: function, observed, observation),
        interlocks: rules?.interlocks(on: function.name, openings: openings[function.name] ?? []) ?? [],
        claim: observed?.claim, assignment: observed?.assignment ?? .unknown,
        isolation: groups?.isolation(of: function.name), interruptSharers: sharing.interrupts[function.name] ?? [],
        pageSharers: sharing.pages[function.name] ?? [], companions: companions.requesters(besides: function),
        reservedMemorySharers: companions.reservedMemorySharers(of: function))
    }
  }

  /// Returns the listing with those devices whose names begin with one of these texts, in either case. The segment 0000
  /// may be left out.
  package func matching(_ prefixes: [String]) -> DeviceListing {
    let prefixes = prefixes.map { $0.lowercased() }
    var listing = self
    listing.devices.removeAll { device in
      let name = device.function.name.description
      return !prefixes.contains { name.hasPrefix($0) || name.hasPrefix("0000:" + $0) }
    }
    return listing
  }

  private static func availability(
    of function: PCIFunction, _ observed: ObservedDevice?, _ observation: ObservationIndex?
  ) -> Availability {
    guard let address = function.address else { return .segmentTooLarge }
    if function.isBridge == true { return .bridge }
    if let id = observation?.listings[address]?.first {
      let holder = observation?.living[id]
      return .inUse(Holder(id: id, name: holder?.name))
    }
    if function.unread[.driver] != nil || function.unread[.ids] != nil { return .unknown }
    guard function.isOnPCIBack else {
      if function.unread[.driverOverride]?.cause == .unanswered { return .unknown }
      if let override = function.driverOverride, override != DriverBinding.pciback { return .overridden(override) }
      return function.driver.map { .hostDriver($0) } ?? .noDriver
    }
    guard observation != nil else { return .unknown }
    if let claim = observed?.claim { return .claimed(claim) }
    return observed?.assignment == .assigned ? .assignedElsewhere : .assignable
  }
}

/// A PCI function and its part in Xen.
package struct InventoryEntry: Sendable {
  package let function: PCIFunction
  package let availability: Availability
  /// What of dom0, or of guests, stands on it, refusals first.
  package let interlocks: [Interlock]
  /// The domain number in its claim.
  package let claim: DomainID?
  package let assignment: HypervisorAssignment
  /// Nil if that was not asked.
  package let isolation: Isolation?
  /// The other functions with the same interrupt line. A guest that has one of them can stop the others' interrupts.
  package let interruptSharers: [FunctionName]
  /// The other functions that have memory in the same 4 KiB page.
  package let pageSharers: [FunctionName]
  /// The other functions with the same requester id, which must go to the same domain; nil if Xen did not say.
  package let companions: [FunctionName]?
  /// The other functions for which the firmware has reserved the same memory; nil if Xen did not say.
  package let reservedMemorySharers: [FunctionName]?

  /// What dom0 stores on it.
  package var uses: [DeviceUse] { interlocks.compactMap(DeviceUse.init) }
}

/// Which functions share an interrupt line, or a page of memory.
struct ResourceSharing {
  private(set) var interrupts: [FunctionName: [FunctionName]] = [:]
  private(set) var pages: [FunctionName: [FunctionName]] = [:]

  init(_ inventory: Inventory) {
    var lines: [UInt32: [FunctionName]] = [:]
    for function in inventory.functions where function.isBridge != true {
      guard let interrupt = function.interrupt, !interrupt.usesMessages, let line = interrupt.line else { continue }
      lines[line, default: []].append(function.name)
    }
    interrupts = Self.others(in: lines.values)
    // Most ranges are whole pages. Only those that begin or end inside one can share it.
    var edges: [UInt64: Set<FunctionName>] = [:]
    for function in inventory.functions where function.isBridge != true {
      for resource in function.resources where resource.space == .memory {
        for page in Set([resource.frames.lowerBound, resource.frames.upperBound]) {
          edges[page, default: []].insert(function.name)
        }
      }
    }
    pages = Self.others(in: edges.values.map { $0.sorted() })
  }

  /// Returns the other members of each one's groups.
  private static func others(in groups: some Sequence<[FunctionName]>) -> [FunctionName: [FunctionName]] {
    var result: [FunctionName: Set<FunctionName>] = [:]
    for group in groups where group.count > 1 {
      for name in group { result[name, default: []].formUnion(group.filter { $0 != name }) }
    }
    return result.mapValues { $0.sorted() }
  }
}
