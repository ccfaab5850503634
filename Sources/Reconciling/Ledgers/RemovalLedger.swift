import Model
import Planning
import Ports
import XenProtocol

/// The half-done removals that this run may finish.
///
/// An entry that is marked for removal keeps its index until whoever marked it deletes it. This run deletes one only if
/// nobody else will.
final class RemovalLedger {
  private let session: DomainSession
  private let intents: IntentLog
  private let records: DomainRecords
  /// The devices whose removal may be finished here.
  private(set) var mayFinish: Set<PCIAddress> = []

  init(session: DomainSession, intents: IntentLog, records: DomainRecords) {
    (self.session, self.intents, self.records) = (session, intents, records)
  }

  /// Adds removals of devices that this run has seen the guest release.
  func addOwn(_ devices: Set<PCIAddress>) { mayFinish.formUnion(devices) }

  /// Takes removals back that are marked once more: the guest's release of an earlier mark says nothing of this one.
  func retract(_ devices: Set<PCIAddress>) { mayFinish.subtract(devices) }

  /// Adds the removals that ended runs of Berth marked. Nobody is waited for.
  func adoptThoseOfEndedRuns() throws(EngineError) { mayFinish.formUnion(try intents.removalsOfEndedRuns()) }

  /// Adds removals that somebody left half done. The guest released these devices when the round ended in which they
  /// were marked.
  func adoptOverdue(_ devices: Set<PCIAddress>) throws(EngineError) {
    mayFinish.formUnion(devices)
    // Unless pciback was at 7, at which it reads no marks if no front end answers.
    if session.route.hasFrontEndDriver { try records.forgetExports(devices) }
  }

  /// Returns whether each of `devices` is in a Berth's journal for this domain, or may be finished here.
  func areOurs(_ devices: Set<PCIAddress>) -> Bool {
    do throws(HostError) {
      let intended = try intents.all().flatMap(\.devices)
      return devices.subtracting(mayFinish).isSubset(of: intended)
    } catch {
      // A journal that cannot be read proves nothing: treat the devices as another's, which only waits longer.
      return false
    }
  }
}
