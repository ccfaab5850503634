import Model
import Planning
import Ports
import XenProtocol

/// What this run does if another run of Berth is at work on the same device of the same domain.
///
/// The run lock excludes it, unless one of the two is a Berth that knows no run lock. The intents then decide. Each run
/// has its own intent on disk before it looks for the other's, so at least one of two sees the other. A detach gives
/// way at once, because the guest still has the device. An attach waits for the end of a detach, and then looks again.
struct OtherRuns {
  let session: DomainSession
  let report: RunReport
  let intents: IntentLog

  /// Returns the steps whose devices no other run is attaching; the others are reported as pending.
  ///
  /// The caller's own intent must be on disk.
  func withdrawn(_ steps: [Removal]) throws(EngineError) -> [Removal] {
    let contested = try devices(beingWorkedOn: .attach)
    return leave(steps, contested, OutcomeDetail(.otherRunAttaches))
  }

  /// Waits until no other run is detaching the steps' devices, at most one wait for a guest. Returns the steps whose
  /// devices are free of other runs then; the others are reported as pending.
  ///
  /// The caller's own intent must be on disk.
  func awaitDetachingRuns(_ steps: [Addition]) throws(EngineError) -> [Addition] {
    let devices = Set(steps.map(\.device))
    guard try !self.devices(beingWorkedOn: .detach).isDisjoint(with: devices) else { return steps }
    var waited = Duration.zero
    var backoff = Backoff(from: .milliseconds(10), to: .milliseconds(200))
    while waited < session.options.waitTimeout {
      let pause = backoff.next()
      // No node changes when a run ends: its last effects are hypercalls and files.
      let outcome = try session.wait(until: .now + pause, watching: [.backEnd(session.busID)]) {
        () throws(EngineError) -> Void? in
        try self.devices(beingWorkedOn: .detach).isDisjoint(with: devices) ? () : nil
      }
      switch outcome {
      case .satisfied: return steps
      case .interrupted: return leave(steps, devices, OutcomeDetail(.stoppedBefore), .interrupted)
      case .timedOut: waited += pause
      }
    }
    return leave(steps, try self.devices(beingWorkedOn: .detach), OutcomeDetail(.otherRunDetaches))
  }

  /// The devices of live intents of other runs on this domain.
  private func devices(beingWorkedOn operation: Intent.Operation) throws(EngineError) -> Set<PCIAddress> {
    do throws(HostError) { return try intents.devices(othersNow: operation) } catch { throw .host(error) }
  }

  private func leave<Work: DeviceWork>(
    _ steps: [Work], _ contested: Set<PCIAddress>, _ detail: OutcomeDetail, _ result: StepResult = .pending
  ) -> [Work] {
    report.conclude(steps.filter { contested.contains($0.device) }, result, detail)
    return steps.filter { !contested.contains($0.device) }
  }
}
