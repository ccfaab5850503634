package import Model
package import Planning

/// Looks up names of devices and classes for people; nil if the system's list has none.
package struct FunctionNames: Sendable {
  package let device: DeviceNaming
  package let deviceClass: @Sendable (UInt32) -> String?

  package init(
    device: @escaping DeviceNaming = { _ in nil }, deviceClass: @escaping @Sendable (UInt32) -> String? = { _ in nil }
  ) {
    self.device = device
    self.deviceClass = deviceClass
  }
}

/// What an explanation of one device has besides the list's facts.
package struct DeviceExplanation: Sendable {
  package let product: ProductData?
  package init(product: ProductData?) { self.product = product }
}

/// The PCI functions of a host, for people and for programs.
package struct DevicesView: View {
  private let hostName: String
  private let listing: DeviceListing
  private let names: FunctionNames
  /// Whether bridges are shown to people. Programs see them always.
  private let showsBridges: Bool
  private let warnings: [String]
  private let explanation: DeviceExplanation?

  package init(
    hostName: String, listing: DeviceListing, names: FunctionNames = FunctionNames(), showsBridges: Bool = false,
    explanation: DeviceExplanation? = nil, warnings: [String] = []
  ) {
    self.explanation = explanation
    self.hostName = hostName
    self.listing = listing
    self.names = names
    self.showsBridges = showsBridges
    self.warnings = warnings
  }

  package var document: DevicesDocument {
    DevicesDocument(
      host: hostName, isXenKnown: listing.host != nil,
      devices: listing.devices.map { FunctionDocument($0, names: names, product: explanation?.product) },
      warnings: warnings)
  }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    let shown = listing.devices.filter { showsBridges || $0.availability != .bridge }
    for device in shown {
      columns.row(
        Self.mark(device.availability), "\(device.function.name)", title(device.function), Self.words(for: device),
        notes: style.isVerbose || explanation != nil ? notes(for: device) : [])
    }
    let list: TerminalText = columns.isEmpty ? "" : "\(columns.rendered())\n"
    return
      "\(style.printable(hostName))\n\n\(list)\(style.printable(summary(hidden: listing.devices.count - shown.count)))\n"
  }

  private static func mark(_ availability: Availability) -> Mark {
    switch availability {
    case .assignable: .add
    case .inUse: .same
    case .claimed, .assignedElsewhere: .wait
    case .unknown: .unsure
    case .hostDriver, .noDriver, .overridden, .bridge, .segmentTooLarge: .none
    }
  }

  private func title(_ function: PCIFunction) -> String {
    if let id = function.id, names.device(id) == nil, let name = function.deviceClass.flatMap(names.deviceClass) {
      return "\(name) [\(id)]"
    }
    return Words.device(function.id, label: nil, naming: names.device)
  }

  private static func words(for device: InventoryEntry) -> String {
    let function = device.function
    var parts: [String] = []
    switch device.availability {
    case .assignable: parts.append("assignable")
    case .inUse(let holder): parts.append("in use by \(Words.holder(holder))")
    case .assignedElsewhere: parts.append("assigned to some domain by Xen")
    case .claimed(let id): parts.append("reserved for domid \(id)")
    case .hostDriver(let driver): parts.append("driver \(driver)")
    case .noDriver: parts.append("no driver")
    case .overridden(let override):
      parts.append(function.driver.map { "driver \($0)" } ?? "no driver")
      parts.append("only \(override) may bind")
    case .bridge: parts.append("bridge")
    case .segmentTooLarge:
      parts.append(function.driver.map { "driver \($0)" } ?? "no driver")
      parts.append("Xen has no address for it")
    case .unknown: parts.append(function.driver.map { "driver \($0)" } ?? "unknown")
    }
    parts += function.interfaces.map(\.name) + function.nvme.map(\.name)
    if let need = Self.need(of: device) { parts.append(need) }
    if let parent = function.virtualisation.parent { parts.append("virtual function of \(parent)") }
    if !function.virtualisation.children.isEmpty {
      parts.append(Words.count(function.virtualisation.children.count, "virtual function"))
    }
    return parts.joined(separator: ", ")
  }

  /// Returns what needs a device, in a few words: the first thing by name, and how many more there are.
  private static func need(of device: InventoryEntry) -> String? {
    let refusals = device.interlocks.filter(\.isRefusal)
    let known = refusals.filter { $0.name != .unknown }
    guard let first = known.first?.chain.last else {
      return refusals.isEmpty ? nil : "not known what needs it"
    }
    return "needed for \(first.name)" + (refusals.count > 1 ? " and \(refusals.count - 1) more" : "")
  }

  // MARK: Everything of a device

  private func notes(for device: InventoryEntry) -> [String] {
    let function = device.function
    var lines: [[String]] = []
    lines.append(
      [
        function.deviceClass.map { "class \(hex(UInt64($0), 6))" + (names.deviceClass($0).map { " \($0)" } ?? "") },
        function.subsystem.map { "subsystem \($0)" }, function.revision.map { "revision \(hex(UInt64($0), 2))" },
      ].compactMap(\.self))
    lines.append(
      [function.path.map { "path \($0)" }].compactMap(\.self) + function.slots.map { "slot \($0)" })
    lines.append(
      [function.serial.map { "serial \($0)" }].compactMap(\.self)
        + function.interfaces.compactMap { interface in interface.address.map { "\(interface.name) has MAC \($0)" } }
        + function.nvme.map { controller in
          ([controller.name] + [controller.model, controller.serial.map { "serial \($0)" }].compactMap(\.self))
            .joined(separator: " ")
        })
    lines.append(
      [
        function.reset.map(Self.words), function.power?.state.map { "power \($0)" }, device.isolation.map(Self.words),
      ].compactMap(\.self))
    lines.append(
      Self.sharing(device.interruptSharers, "interrupt") + Self.sharing(device.pageSharers, "page of memory")
        + Self.sharing(device.companions ?? [], "requester id"))
    lines.append(Self.reservedMemory(of: device))
    lines += device.interlocks.map { ["\($0.name.rawValue) \($0.isRefusal ? "refuses" : "warns"): \($0)"] }
    lines += function.unread.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      ["unknown: \($0.key.rawValue), because \($0.value.words)"]
    }
    return lines.filter { !$0.isEmpty }.map { $0.joined(separator: ", ") } + explanations(of: device)
  }

  /// The lines that only an explanation has.
  private func explanations(of device: InventoryEntry) -> [String] {
    guard let explanation else { return [] }
    let product = [
      explanation.product?.name.map { "product \($0)" }, explanation.product?.partNumber.map { "part number \($0)" },
      explanation.product?.serial.map { "serial number of the product \($0)" },
    ].compactMap(\.self)
    return (product.isEmpty ? [] : [product.joined(separator: ", ")])
      + ["\(device.availability.name): \(device.availability.meaning)"]
      + (device.reservedMemorySharers?.isEmpty == false ? [Self.refusal] : [])
      + (device.remedy.map { ["next: \($0)"] } ?? [])
  }

  private static let refusal =
    "reserved memory is shared: Xen with Intel VT-d refuses the device unless its rdmPolicy is relaxed"

  private static func words(for reset: ResetMethods) -> String {
    guard reset.isPossible else { return "no reset" }
    guard let methods = reset.methods, !methods.isEmpty else { return "reset" }
    return "reset by \(methods.joined(separator: " or "))"
  }

  private static func words(for isolation: Isolation) -> String {
    let others = isolation.neighbours.map(\.description).joined(separator: ", ")
    switch isolation {
    case .isolated: return "isolated"
    case .shared: return "not isolated from \(others)"
    case .unknown: return others.isEmpty ? "isolation unknown" : "isolation unknown, perhaps not from \(others)"
    }
  }

  private static func sharing(_ others: [FunctionName], _ what: String) -> [String] {
    others.isEmpty ? [] : ["shares its \(what) with \(others.map(\.description).joined(separator: ", "))"]
  }

  private static func reservedMemory(of device: InventoryEntry) -> [String] {
    (device.function.reservedMemory ?? []).map { "reserved \(DeviceResource(frames: $0))" }
      + sharing(device.reservedMemorySharers ?? [], "reserved memory")
  }

  private func summary(hidden: Int) -> String {
    let devices = listing.devices.filter { $0.availability != .bridge }
    var parts = [Words.count(devices.count, "device")]
    if listing.host == nil {
      parts.append("domains unknown")
    } else {
      parts.append("\(devices.count { if case .inUse = $0.availability { true } else { false } }) in use")
      parts.append("\(devices.count { $0.availability == .assignable }) assignable")
    }
    return parts.joined(separator: ", ") + "."
      + (hidden == 0 ? "" : " \(Words.count(hidden, "bridge")) not shown: --all shows \(hidden == 1 ? "it" : "them").")
  }
}

extension ReadFailure {
  /// What could not be read, and why, for people.
  package var words: String { "\(place) \(Words.cause(cause))" }
}

extension Words {
  /// Returns why a fact could not be read: `is not readable: permission denied`.
  static func cause(_ cause: ReadFailure.Cause) -> String {
    switch cause {
    case .failed(let number): "cannot be read: \(ErrorNumber.text(of: number))"
    case .malformed: "is not understood"
    case .unanswered: "is not answered by the kernel: a driver may hang in its remove or its probe"
    case .silent: "reads as ones, so the device is switched off or does not answer"
    case .overwritten: "was set by a program, and the card's own address is not shown"
    case .refused(0): "gives no answer"
    case .refused(let number): "gives no answer: \(ErrorNumber.text(of: number))"
    }
  }
}
