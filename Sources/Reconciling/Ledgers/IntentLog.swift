import Model
import Planning
import Ports
import XenProtocol

/// An intent on disk, while its file is held.
///
/// Dropping it means leaving it: the record stays for the next run, and reads as an ended run's once nobody holds the
/// file. That is the safe end, and so the one that needs no call. The value cannot be copied, and closing it consumes
/// it, so an intent ends once.
struct OpenedIntent: ~Copyable {
  private let file: any OpenIntent

  fileprivate init(_ file: any OpenIntent) { self.file = file }

  /// Removes the intent, because the outcome is proven.
  consuming func close() throws(EngineError) {
    do throws(HostError) { try end() } catch { throw .host(error) }
  }

  /// Removes the intent, as `close` does.
  consuming func end() throws(HostError) { try file.close() }
}

/// The journal of what runs of Berth are about to do to this domain.
final class IntentLog {
  private let session: DomainSession
  /// The intents this run has opened.
  private var own: Set<String> = []

  init(session: DomainSession) { self.session = session }

  /// Writes an intent, and has it on disk when this returns.
  func open(_ operation: Intent.Operation, _ devices: [PCIAddress]) throws(EngineError) -> OpenedIntent {
    do throws(HostError) { return try write(operation, devices) } catch { throw .host(error) }
  }

  /// Writes the intent to rebind a device, as `open` does. `reserves` says whether the run reserves the device for that.
  func openRebind(of device: PCIAddress, reserves: Bool) throws(HostError) -> OpenedIntent {
    try write(.rebind, [device], reserves: reserves)
  }

  private func write(
    _ operation: Intent.Operation, _ devices: [PCIAddress], reserves: Bool = false
  ) throws(HostError) -> OpenedIntent {
    let key = session.key
    let identifier = IntentName.make(for: key, operation)
    var intent = Intent(
      identifier: identifier, domain: key, operation: operation, devices: devices, since: session.host.wallClock(),
      isLive: true)
    intent.reserves = reserves
    own.insert(identifier)
    return OpenedIntent(try session.host.intents.open(intent))
  }

  // MARK: Reading

  /// Returns every intent to attach or detach something of this domain. Throws if an intent is damaged that may be of
  /// this domain.
  func all() throws(HostError) -> [Intent] {
    try session.host.intents.readIntents().contents(for: session.key)
      .filter { $0.domain == session.key && $0.operation != .rebind }
  }

  private func ofOthers() throws(HostError) -> [Intent] {
    try all().filter { !own.contains($0.identifier) }
  }

  /// Returns the devices that other living runs are working on.
  func devices(othersNow operation: Intent.Operation) throws(HostError) -> Set<PCIAddress> {
    Set(try ofOthers().filter { $0.isLive && $0.operation == operation }.flatMap(\.devices))
  }

  /// Returns the devices that other runs, dead ones too, said they detach.
  func detachedByOthers() throws(HostError) -> Set<PCIAddress> {
    Set(try ofOthers().filter { $0.operation == .detach }.flatMap(\.devices))
  }

  /// Returns the devices whose removal a run began that has ended since.
  func removalsOfEndedRuns() throws(EngineError) -> Set<PCIAddress> {
    do throws(HostError) {
      return Set(try all().filter { !$0.isLive && $0.operation == .detach }.flatMap(\.devices))
    } catch {
      throw .host(error)
    }
  }

  /// Returns the devices of other runs that have ended, without those that a living run is working on.
  func devicesOfEndedRuns() throws(EngineError) -> Set<PCIAddress> {
    do throws(HostError) {
      let intents = try ofOthers()
      let live = Set(intents.filter(\.isLive).flatMap(\.devices))
      return Set(intents.filter { !$0.isLive }.flatMap(\.devices)).subtracting(live)
    } catch {
      throw .host(error)
    }
  }

  // MARK: Discarding

  /// Removes what ended runs wrote about devices whose state is known now.
  func discardSettled(by report: RunReport) throws(EngineError) {
    guard !report.hasFailure else { return }
    do throws(HostError) {
      for intent in try all() where !intent.isLive {
        guard try areSettled(intent.devices, report.results(for: intent.devices)) else { continue }
        try session.host.intents.discard(identifier: intent.identifier)
      }
    } catch {
      throw .host(error)
    }
  }

  /// Returns whether no trace of these devices is left that only an intent explains. This run has proven what became of
  /// them, or the bus lists them, or Xen has them again.
  private func areSettled(_ devices: [PCIAddress], _ results: [StepOutcome]) throws(HostError) -> Bool {
    guard results.allSatisfy({ $0.result == .done || $0.result == .unchanged }) else { return false }
    let rest = Set(devices).subtracting(results.map(\.device))
    guard !rest.isEmpty else { return true }
    guard let bus = try session.view()?.backEnd else { return false }
    for device in rest {
      if let entry = bus.entry(for: device) {
        if entry.isMarked { return false }
        continue
      }
      let probe = try session.host.hypervisor.probe(device, for: nil)
      guard probe == .free else { return false }
    }
    return true
  }
}
