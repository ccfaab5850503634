import Model
import XenProtocol

extension DeclaredDevice {
  /// Returns the steps that make stores agree about the device, if the domain has it.
  func repairs() -> [DeviceStep] {
    guard entry != nil else { return [] }
    guard case .open(let target) = domain.access else { return doubts() }
    var steps: [DeviceStep] = []
    func repair(_ repair: Repair, _ evidence: String) {
      steps.append(step(.change(.repair(repair), in: target), evidence))
    }
    if domain.isSaved(wanted.address) == false {
      repair(.saveEntry, "libxl-json does not list it")
    }
    if domain.condition == .holding, let bus = domain.backEnd, bus.isUnsettled,
      wanted.address == firstListed, !awaitsHeld
    {
      let seen = "another toolstack left the back end at \(bus.state), at which pciback exports nothing more"
      // What pciback may hold beyond the entries is settled first.
      let doubts = (planner.index.remnants[domain.id] ?? [:]).filter { $0.value == .doubtful }
      if let doubt = doubts.min(by: { $0.key < $1.key }) {
        steps.append(step(.drift(.busUnsettled), "\(seen); \(doubt.key): \(doubt.value.evidence)"))
      } else {
        repair(.settleBus, seen)
      }
    }
    let claim = device?.claim
    if claim == nil {
      repair(.writeClaim(replacing: nil), "its claim is gone")
    } else if let claim, claim != domain.id {
      if let other = planner.index.living[claim], planner.index.listings[wanted.address]?.contains(other.id) == true {
        steps.append(
          step(.drift(.claimForeign), "\(other.title) claims it, and the back end of \(other.title) lists it too"))
      } else {
        repair(.writeClaim(replacing: claim), "domain \(claim) claims it but does not have it")
      }
    }
    return steps
  }

  /// Names the bus that is left as it is because a repair might end it.
  private func doubts() -> [DeviceStep] {
    guard case .closed(let obstruction) = domain.access, obstruction.obstacle == .busUnsettled,
      wanted.address == firstListed
    else { return [] }
    return [step(.drift(.busUnsettled), obstruction.evidence)]
  }

  private func step(_ kind: DeviceStep.Kind, _ evidence: String) -> DeviceStep {
    planner.step(wanted, found: device, kind, in: .uuid(domain.uuid), evidence: evidence)
  }

  /// Whether an entry waits whose device another bus lists too: pciback would end this one as soon as it looked at it.
  private var awaitsHeld: Bool {
    domain.entries.contains { entry in
      guard !entry.isExported, let device = entry.device else { return false }
      return planner.index.listings[device]?.contains { $0 != domain.id } == true
    }
  }

  /// The first declared device that the domain's bus lists: it alone gets the step that repairs the bus.
  private var firstListed: PCIAddress? {
    let listed = Set(domain.listed)
    return (planner.declaredDevices[domain.name] ?? []).filter(listed.contains).min()
  }
}
