import Model
import XenProtocol

extension DeclaredDevice {
  /// What remnants make of a device that nobody else holds: it leaves where it is before it is given away.
  func remnantNeed() -> Need? {
    let others = (planner.index.remnantHolders[wanted.address] ?? []).filter { $0 != domain.id }.compactMap {
      planner.index.living[$0]
    }
    guard let other = others.first else { return unaskedNeed() }
    let evidence =
      "\(other.label): \((planner.index.remnants[other.id]?[wanted.address] ?? .emulated).evidence)"
    guard others.count == 1 else {
      return Need(
        .blocked(.attachedElsewhere), evidence: evidence + "; the same is true of \(others.count - 1) more domains",
        remedy: "restart these domains")
    }
    if planner.index.remnants[other.id]?[wanted.address] == .doubtful {
      return Need(
        .blocked(.attachedElsewhere), evidence: evidence, remedy: "restart \(other.title): pciback then releases it")
    }
    var held = heldNeed(by: other.id)
    held.evidence = evidence
    if case .blocked = held.kind { held.remedy = "restart \(other.title), or let Berth remove the device from it" }
    return held
  }

  /// While QEMU cannot be asked, only the saved line shows a device that xl detached.
  private func unaskedNeed() -> Need? {
    let other = planner.index.unasked[wanted.address]?.first { $0 != domain.id }.flatMap { planner.index.living[$0] }
    return other.map { other in
      Need(
        .blocked(.attachedElsewhere),
        evidence: "\(other.label) had it, and its QEMU cannot be asked whether it still shows it",
        remedy: "apply again; if QEMU of \(other.title) is gone, restart the domain")
    }
  }

  /// Returns what a remnant in the receiving guest itself needs. The useless remnant goes first.
  func ownRemnantNeed() -> Need? {
    guard let remnant = planner.index.remnants[domain.id]?[wanted.address] else { return nil }
    let name = DeviceModelName(wanted.address)
    let rival = planner.index.remnants[domain.id]?.keys.first { $0 != wanted.address && DeviceModelName($0) == name }
    if let rival, !planner.mayRemove(rival, from: domain) {
      return Need(
        .blocked(.nameCollision), evidence: "QEMU shows the guest it or \(rival): both have the name \(name)",
        remedy: "restart the domain")
    }
    switch remnant {
    case .emulated:
      return Need(
        .change(.reattach(from: nil, to: wanted.options, because: .deviceModelOnly)), evidence: remnant.evidence)
    case .exported:
      // It is listed as pciback holds it: nothing is requested, and pciback need not release it first.
      return Need(.change(.attach(wanted.options, because: .halfRemoved)), evidence: remnant.evidence)
    case .doubtful:
      return Need(
        .blocked(.busUnsettled),
        evidence: remnant.evidence + "; if so, pciback would end the guest's PCI bus over another request")
    }
  }
}
