import Model
import XenProtocol

/// Blocks the devices for which the guest's bus has no slot: pciback would end the bus, and QEMU would refuse them.
///
/// What the plan takes from the domain leaves before anything is added.
struct BusRoom {
  let planner: Planner

  /// Returns `declared`, the steps of `domain`'s devices in the order of the manifest. The first devices that fit are
  /// added.
  func steps(_ declared: [DeviceStep], besides undeclared: [DeviceStep], in domain: Guest) -> [DeviceStep] {
    let additions = declared.indices.filter { addsDevice(declared[$0], to: domain) }
    // No device takes more than one slot.
    let mostUsed = max(domain.entries.count, domain.observed.usedSlots?.count ?? 0) + additions.count
    guard !additions.isEmpty, mostUsed > VirtualSlots.count else { return declared }
    let detached = undeclared.filter(\.isDetach).map(\.device)
    let moved = domain.listed.filter { planner.movesOut($0, of: domain) }
    let leaving = Set(detached + moved)
    var slots = VirtualSlots(of: domain.entries, without: leaving, isVirtualFunction: isVirtualFunction)
    var free = freeSlots(in: domain, without: leaving)
    var steps = declared
    for index in additions {
      let device = steps[index].device
      guard slots.add(device, isVirtualFunction: isVirtualFunction(device)) else {
        steps[index] = steps[index].blocked(slots.lackText)
        continue
      }
      guard let left = free else { continue }
      if left > 0 {
        // QEMU gives each device a slot, whether it is a function of a card or not.
        free = left - 1
      } else {
        steps[index] = steps[index].blocked("QEMU has 32 slots for the guest, and all of them are in use")
      }
    }
    return steps
  }

  /// Returns the number of slots that QEMU has left once `leaving` have been removed; nil if that is not known.
  ///
  /// A bus of QEMU has 32 slots (`do_pci_register_device`, hw/pci/pci.c, QEMU 7.2).
  private func freeSlots(in domain: Guest, without leaving: Set<PCIAddress>) -> Int? {
    guard let used = domain.observed.usedSlots else { return nil }
    let names = Set(leaving.map { DeviceModelName($0) })
    let left = (domain.observed.emulated ?? []).filter { names.contains($0.name) }.map(\.slot)
    return max(0, 32 - used.subtracting(left).count)
  }

  private func isVirtualFunction(_ device: PCIAddress) -> Bool {
    planner.index.devices[device]?.facts?.isVirtualFunction == true
  }

  private func addsDevice(_ step: DeviceStep, to domain: Guest) -> Bool {
    guard case .change(let change, _) = step.kind, !domain.lists(step.device) else { return false }
    return switch change {
    case .attach, .move: true
    case .reattach, .detach, .repair, .adopt: false
    }
  }
}

extension DeviceStep {
  fileprivate var isDetach: Bool {
    if case .change(.detach, _) = kind { true } else { false }
  }

  /// Returns the step of the same device, blocked since the bus is full.
  fileprivate func blocked(_ evidence: String) -> DeviceStep {
    blocked(.busFull, evidence)
  }

  /// Returns the step of the same device, blocked.
  func blocked(_ obstacle: Obstacle, _ evidence: String) -> DeviceStep {
    var step = DeviceStep(
      domain: domain, device: device, deviceID: deviceID, label: label, kind: .blocked(obstacle), before: before,
      after: after, holder: holder, isRequired: isRequired, isMissing: isMissing, evidence: evidence)
    step.card = card
    return step
  }
}
