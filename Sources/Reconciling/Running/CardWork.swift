import Model
import Planning
import Ports

/// Takes the functions of one card from their drivers: all of them, or none. A device that is declared alone is a card of
/// one function.
///
/// ```
/// check each function ─► prepare one after the other ─► if one stops: return those that this run took
/// ```
///
/// The run holds the locks of all their records. What an ended run began comes first, so that a driver that did not
/// answer then stops the card before another function is taken.
struct CardWork {
  let members: [PrepareWork]
  /// Whether a module of the kernel may be loaded to return a device.
  let loadsModules: Bool

  /// Returns what became of each step, in the order of the members.
  func outcomes() -> [DriverOutcome] {
    guard members.count > 1 else { return members.map { $0.run().outcome } }
    let order = members.indices.sorted {
      (members[$0].step.isResumed ? 0 : 1, $0) < (members[$1].step.isResumed ? 0 : 1, $1)
    }
    for index in order {
      guard let stop = members[index].obstruction() else { continue }
      return members.indices.map { other in
        DriverOutcome(members[other].step, other == index ? stop : card(stoppedBy: index, stop.detail))
      }
    }
    var runs: [Int: PrepareWork.Run] = [:]
    for index in order {
      let run = members[index].run()
      runs[index] = run
      guard run.outcome.result != .done, run.outcome.result != .unchanged, let cause = run.outcome.detail else {
        continue
      }
      return end(runs, stoppedBy: index, cause)
    }
    return members.indices.compactMap { runs[$0]?.outcome }
  }

  /// Returns what became of each step, once the functions that this run took have their drivers again, the last one
  /// first. What may still be under way is left as it is.
  private func end(
    _ runs: [Int: PrepareWork.Run], stoppedBy stopper: Int, _ cause: OutcomeDetail
  ) -> [DriverOutcome] {
    var outcomes: [Int: DriverOutcome] = runs.mapValues(\.outcome)
    for (index, run) in runs.sorted(by: { $0.key > $1.key }) where run.hasTaken && run.outcome.result != .unknown {
      let why = index == stopper ? cause : OutcomeDetail(.cardStopped, "\(members[stopper].step.device)", cause)
      outcomes[index] = putBack(members[index], why)
    }
    return members.indices.map { index in
      outcomes[index] ?? DriverOutcome(members[index].step, card(stoppedBy: stopper, cause))
    }
  }

  /// Returns a function to its driver, unless somebody has got it from pciback in the meantime.
  private func putBack(_ member: PrepareWork, _ why: OutcomeDetail) -> DriverOutcome {
    let step = member.step
    let release = ReleaseWork(
      work: member.work,
      step: DriverStep(.release, device: step.device, deviceID: step.deviceID, driver: step.driver),
      loadsModules: loadsModules
    ).outcome()
    guard release.result == .done else {
      let rest = release.detail ?? OutcomeDetail(.failed, "nothing was to be returned")
      return DriverOutcome(step, .failed, OutcomeDetail(.notPutBack, why, rest), evidence: release.evidence)
    }
    return DriverOutcome(
      step, .failed, OutcomeDetail(.putBack, why, step.driver ?? "no driver"), evidence: release.evidence,
      isUndone: true)
  }

  private func card(stoppedBy index: Int, _ cause: OutcomeDetail) -> DriverStop {
    .card(stoppedBy: members[index].step.device, cause)
  }
}

extension DriverStop {
  /// Another function of the card could not be taken, so that this one was not begun.
  static func card(stoppedBy device: PCIAddress, _ cause: OutcomeDetail) -> DriverStop {
    DriverStop(
      result: .blocked, detail: OutcomeDetail(.cardStopped, "\(device)", cause), obstacle: .cardBlocked)
  }
}
