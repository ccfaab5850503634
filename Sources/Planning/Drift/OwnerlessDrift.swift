import Model
import Ports
import XenProtocol

/// A device as stores see it that name no living domain for it.
struct OwnerlessDevice {
  let address: PCIAddress
  let device: ObservedDevice?

  /// Every rule that holds is reported, once per domain that is gone; their order is that of the report only.
  static let rules: [@Sendable (DriftFinder, OwnerlessDevice) -> [Drift]] = [
    // leaked-back-end
    { finder, device in
      (finder.leftovers[device.address] ?? []).map { backEnd, entry in
        let kernel = backEnd.hasKernelObject == true ? "; dom0's kernel still serves it" : ""
        return Drift(
          name: .leakedBackEnd, domain: Holder(id: backEnd.domain, name: nil), device: device.address,
          evidence: "dev-\(entry.index) of domain \(backEnd.domain), which is gone\(kernel)",
          outcome: finder.outcome(of: .leakedBackEnd(of: backEnd.domain)))
      }
    },
    // leftover-intent
    { finder, device in
      finder.planner.observation.intents.filter { intent in
        !intent.isLive && intent.devices.contains(device.address)
          && finder.planner.index.living[intent.domain.id]?.key != intent.domain
      }.map { intent in
        Drift(
          name: .leftoverIntent, domain: Holder(id: intent.domain.id, name: nil), device: device.address,
          evidence: "\(intent.operation.rawValue) for domain \(intent.domain.id), which is gone",
          outcome: finder.isDiscarded(intent) ? finder.removed() : .left(.drift(.leftoverIntent)))
      }
    },
    // claim-only of dom0, otherwise stale-claim
    { finder, device in
      guard let claim = device.device?.claim, finder.planner.index.living[claim] == nil,
        finder.planner.index.listings[device.address] == nil
      else { return [] }
      let evidence =
        "/libxl/pci/\(device.address.storeKey)/domid names \(finder.words(claim)); "
        + "Xen: \(device.device.assignmentText)"
      let isDom0 = claim == .zero
      return [
        Drift(
          name: isDom0 ? .claimOnly : .staleClaim, domain: Holder(id: claim, name: nil), device: device.address,
          evidence: evidence,
          outcome: isDom0 ? .left(.drift(.claimOnly)) : finder.outcome(of: .staleClaim(device.address, of: claim)))
      ]
    },
  ]
}

extension DriftFinder {
  /// Returns the drift of a device that Xen has given to a guest, for which no store gives a reason.
  func unexplained(_ device: OwnerlessDevice) -> Drift? {
    guard device.device?.assignment == .assigned else { return nil }
    return Drift(
      name: .assignmentOnly, device: device.address, evidence: "Xen says that a guest has it, but no store says which",
      outcome: .left(.drift(.assignmentOnly)))
  }
}
