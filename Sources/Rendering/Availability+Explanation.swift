import Model
import Planning

extension Availability {
  /// What the answer means, for people.
  var meaning: String {
    switch self {
    case .assignable: "pciback has the device, and no domain does"
    case .inUse: "the bus of a domain lists it"
    case .claimed: "it is reserved below `/libxl/pci` for a domain that does not list it"
    case .assignedElsewhere: "Xen says that some domain has it, and no bus lists it"
    case .hostDriver: "a driver of dom0 has it"
    case .noDriver: "no driver has it, not even pciback"
    case .overridden: "`driver_override` names another driver than pciback: driverctl, or a person, holds the device"
    case .bridge: "bridges cannot be passed through"
    case .segmentTooLarge:
      "its segment has more than 16 bits, which is so behind Intel VMD; Xen has no address for it"
    case .unknown: "a fact on which the answer depends could not be read"
    }
  }

  /// What a person can do, for people; empty if there is nothing to do. `ADDRESS` stands for the device's address.
  var remedy: String {
    switch self {
    case .assignable: "declare it in a manifest"
    case .inUse, .bridge: ""
    case .claimed, .assignedElsewhere: "`berth status --drift` says why"
    case .hostDriver:
      "find out what of dom0 uses it; if dom0 can do without it, declare it for a domain, and an apply takes it"
    case .noDriver: "if dom0 can do without it, `xl pci-assignable-add ADDRESS` gives it to pciback"
    case .overridden: "find out who wrote it"
    case .segmentTooLarge: "turn VMD off in the firmware, or give the VMD controller to the domain"
    case .unknown: "`berth devices -o wide ADDRESS` names the fact"
    }
  }

  /// One answer of each kind, in the order of the documents.
  static let samples: [Availability] = [
    .assignable, .inUse(Holder(id: nil, name: nil)), .claimed(.zero), .assignedElsewhere, .hostDriver(""), .noDriver,
    .overridden(""), .bridge, .segmentTooLarge, .unknown,
  ]

  /// The answers as a table for a page of documentation.
  package static var table: String {
    "| availability | meaning | what to do |\n|---|---|---|\n"
      + samples.map { "| `\($0.name)` | \($0.meaning) | \($0.remedy) |\n" }.joined()
  }
}

extension InventoryEntry {
  /// What a person can do about the device; nil if there is nothing to do.
  var remedy: String? {
    if let first = interlocks.first, first.isRefusal {
      switch availability {
      // A command that could harm the host is not offered.
      case .hostDriver, .noDriver, .overridden: return first.name.explanation.remedy?.text(device: function.address)
      case .assignable, .inUse, .claimed, .assignedElsewhere, .bridge, .segmentTooLarge, .unknown: break
      }
    }
    let text = availability.remedy.replacing("ADDRESS", with: "\(function.name)")
    return text.isEmpty ? nil : text
  }
}
