import Model
import XenProtocol

/// The steps that make stores agree about declared devices that a domain has.
struct RepairSteps {
  let planner: Planner

  /// Stores that disagree about a declared device which the domain has.
  func steps(for wanted: DesiredDevice, in domain: Guest) -> [DeviceStep] {
    guard domain.lists(wanted.address) else { return [] }
    guard case .open(let target) = domain.access else { return doubts(about: wanted, in: domain) }
    var steps: [DeviceStep] = []
    func repair(_ repair: Repair, _ evidence: String) {
      steps.append(
        planner.step(wanted, .change(.repair(repair), in: target), in: .uuid(domain.uuid), evidence: evidence))
    }
    if domain.isSaved(wanted.address) == false {
      repair(.saveEntry, "libxl-json does not list it")
    }
    if domain.condition == .holding, let bus = domain.backEnd, bus.isUnsettled,
      wanted.address == firstListed(in: domain), !awaitsHeld(domain)
    {
      let seen = "another toolstack left the back end at \(bus.state), at which pciback exports nothing more"
      // What pciback may hold beyond the entries is settled first.
      let doubts = (planner.index.remnants[domain.id] ?? [:]).filter { $0.value == .doubtful }
      if let doubt = doubts.min(by: { $0.key < $1.key }) {
        steps.append(
          planner.step(
            wanted, .drift(.busUnsettled), in: .uuid(domain.uuid),
            evidence: "\(seen); \(doubt.key): \(doubt.value.evidence)"))
      } else {
        repair(.settleBus, seen)
      }
    }
    let claim = planner.index.devices[wanted.address]?.claim
    if claim == nil {
      repair(.writeClaim(replacing: nil), "its claim is gone")
    } else if let claim, claim != domain.id {
      if let other = planner.index.living[claim], planner.index.listings[wanted.address]?.contains(other.id) == true {
        steps.append(
          planner.step(
            wanted, .drift(.claimForeign), in: .uuid(domain.uuid),
            evidence: "\(other.title) claims it, and the back end of \(other.title) lists it too"))
      } else {
        repair(.writeClaim(replacing: claim), "domain \(claim) claims it but does not have it")
      }
    }
    return steps
  }

  /// Names the bus that is left as it is because a repair might end it.
  private func doubts(about wanted: DesiredDevice, in domain: Guest) -> [DeviceStep] {
    guard case .closed(let obstruction) = domain.access, obstruction.obstacle == .busUnsettled,
      wanted.address == firstListed(in: domain)
    else { return [] }
    return [
      planner.step(wanted, .drift(.busUnsettled), in: .uuid(domain.uuid), evidence: obstruction.evidence)
    ]
  }

  /// Whether an entry waits whose device another bus lists too: pciback would end this one as soon as it looked at it.
  private func awaitsHeld(_ domain: Guest) -> Bool {
    domain.entries.contains { entry in
      guard !entry.isExported, let device = entry.device else { return false }
      return planner.index.listings[device]?.contains { $0 != domain.id } == true
    }
  }

  /// Returns the first declared device that the domain's bus lists: it alone gets the step that repairs the bus.
  private func firstListed(in domain: Guest) -> PCIAddress? {
    let listed = Set(domain.listed)
    return (planner.declaredDevices[domain.name] ?? []).filter(listed.contains).min()
  }
}
