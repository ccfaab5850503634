package import Model

/// What stands on the devices of a host, and how strong a refusal each of these things is.
///
/// All of it is found once, from what was read; asking for one device then costs little. An unanswered question refuses
/// each device that it may be about.
package struct InterlockRules: Sendable {
  /// The facts that the inventory must have. A fact that is missing counts as unknown.
  package static let facts: Set<FunctionFact> = [.ids, .path, .driver, .virtualFunctions, .bootDisplay]

  private let functions: [FunctionName: PCIFunction]
  private let usage: HostUsage
  private let found: [FunctionName: [Interlock]]
  private let questions: [InterlockFinder.Question]
  private let concerned: [Concern: Set<FunctionName>]
  /// The folders of the file systems of dom0 whose devices are not known.
  package let unexplainedMounts: [String]

  /// `usage` is what dom0 uses, `inventory` all functions of the host, and `served` what dom0 serves to guests.
  package init(usage: HostUsage, inventory: Inventory, served: ServedDevices = ServedDevices()) {
    let functions = Dictionary(inventory.functions.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let finder = InterlockFinder(usage: usage, functions: functions, served: served)
    (self.functions, self.usage) = (functions, usage)
    (found, questions, unexplainedMounts) = (finder.found, finder.questions, finder.unexplained)
    concerned = Self.concerned(inventory, usage, by: Set(finder.questions.map(\.concern)))
  }

  /// Returns everything that stands on a function, refusals first.
  ///
  /// `others` are the functions that are taken from dom0 together with it: what is on one of them is no spare.
  /// `openings` are the answers for `disks(of:)`, if they were asked for.
  package func interlocks(
    on name: FunctionName, takenWith others: Set<FunctionName> = [], openings: [DiskOpening] = []
  ) -> [Interlock] {
    var result = found[name] ?? []
    result += openings.compactMap { Self.interlock(of: $0, on: name) }
    result += drivers(of: name)
    result += spares(name, lost: others.union([name]))
    result += unanswered(name)
    return result.filter(\.isRefusal) + result.filter { !$0.isRefusal }
  }

  /// Returns the names of the disks and partitions of a function, for which a port can be asked who holds them.
  package func disks(of name: FunctionName) -> [String] { usage.disks(of: name) }

  // MARK: Disks that are held, drivers of user space

  private static func interlock(of opening: DiskOpening, on name: FunctionName) -> Interlock? {
    let links: [Interlock.Link] = [.function(name), .init(.blockDevice, opening.disk)]
    switch opening.answer {
    case .free: return nil
    case .held: return Interlock(.heldOpen, chain: links + [.init(.holder, "held by the kernel or a program")])
    case .failed(let failure): return Interlock(.unknown, chain: links + [.gap, .init(.file, failure.place)])
    }
  }

  /// Drivers that give a device to a process of dom0. Which process has it is not visible.
  private func drivers(of name: FunctionName) -> [Interlock] {
    guard let driver = functions[name]?.driver, driver.hasPrefix("vfio") || driver.contains("uio") else { return [] }
    return [Interlock(.userSpaceDriver, chain: [.function(name), .init(.driver, driver)])]
  }

  // MARK: What dom0 may have a spare of

  private func spares(_ name: FunctionName, lost: Set<FunctionName>) -> [Interlock] {
    let attendants = usage.attendants
    let displays = functions.values.filter { $0.baseClass == 0x03 && !$0.isOnPCIBack }.sorted { $0.name < $1.name }
    let remaining = displays.filter { display in
      (display.driver != nil || display.isBootDisplay == true) && lost.isDisjoint(with: display.chain)
    }
    var result = displays.filter { $0.chain.contains(name) }.map { display in
      Interlock(
        .display,
        chain: Self.chain(from: name, display.name)
          + [.init(.display, display.isBootDisplay == true ? "display that the firmware uses" : "display")],
        hasSpare: !remaining.isEmpty)
    }
    for (kind, link, devices) in [
      (InterlockName.keyboard, Interlock.Link.Kind.keyboard, attendants.keyboards),
      (.console, .console, attendants.consoles),
    ] {
      let hasSpare = devices.contains { device in
        // The kernel's own terminals are on a display.
        let isVisible = kind != .console || device.name != "tty0" || !remaining.isEmpty
        return isVisible && lost.isDisjoint(with: device.functions)
      }
      for device in devices where device.functions.contains(name) {
        result.append(
          Interlock(kind, chain: [.function(name), .init(link, device.name)], hasSpare: hasSpare))
      }
    }
    return result
  }

  private static func chain(from name: FunctionName, _ last: FunctionName) -> [Interlock.Link] {
    name == last ? [.function(name)] : [.function(name), .function(last)]
  }

  // MARK: Questions without an answer

  private func unanswered(_ name: FunctionName) -> [Interlock] {
    // dom0 itself uses nothing that pciback has.
    if functions[name]?.isOnPCIBack == true { return [] }
    var result: [Interlock] = []
    let unread = functions[name]?.unread ?? [:]
    if let failure = [FunctionFact.ids, .driver, .virtualFunctions].lazy.compactMap({ unread[$0] }).first {
      result.append(Interlock(.unknown, chain: [.function(name), .gap, .init(.file, failure.place)]))
    }
    for question in questions where functions[name] == nil || concerned[question.concern]?.contains(name) == true {
      let isTunnel = question.concern == .underlay
      let interlock = Interlock(
        isTunnel ? .tunnelUnderlay : .unknown, chain: [.function(name), .gap] + question.way)
      if !result.contains(interlock) { result.append(interlock) }
    }
    return result
  }

  /// Returns the functions that each question may be about, with the bridges above them.
  private static func concerned(
    _ inventory: Inventory, _ usage: HostUsage, by concerns: Set<Concern>
  ) -> [Concern: Set<FunctionName>] {
    var result: [Concern: Set<FunctionName>] = [:]
    for concern in concerns {
      var names = Set(inventory.functions.filter { concern.mayMean($0, usage) }.flatMap(\.chain))
      switch concern {
      case .storage: names.formUnion(usage.blocks.flatMap(\.functions))
      case .network, .underlay: names.formUnion(usage.network.interfaces.flatMap(\.functions))
      case .keyboards, .consoles: break
      }
      result[concern] = names
    }
    return result
  }
}

extension Concern {
  /// Returns whether a function may be meant, by its class. PCI's codes of classes are in include/linux/pci_ids.h.
  fileprivate func mayMean(_ function: PCIFunction, _ usage: HostUsage) -> Bool {
    guard let base = function.baseClass else { return true }
    // Anything may be behind a serial bus, such as USB or Fibre Channel. What is there is known if the list is.
    let isSerialBus = base == 0x0C
    switch self {
    case .storage:
      return base == 0x01 || usage.unread[.blockDevices] != nil && (isSerialBus || base == 0x08)
    case .network, .underlay:
      return base == 0x02 || base == 0x0D || usage.unread[.interfaces] != nil && isSerialBus
    case .keyboards: return isSerialBus || base == 0x09
    case .consoles: return isSerialBus || base == 0x07
    }
  }
}
