import Model
import Planning
import Ports
import Synchronization

/// A living domain on which a run reports.
struct RunDomain: Hashable {
  var key: DomainKey
  var name: Name
}

/// The run locks that one run holds, one per domain it works on.
///
/// All of them are taken before anything is decided, in order of UUID, and none is taken afterwards. Two runs that meet
/// in several domains therefore neither wait for each other in a circle, nor see each other's work in contrary orders.
final class RunLocks: Sendable {
  private let held: Mutex<[DomainUUID: any HeldRunLock]>

  private init(_ held: [DomainUUID: any HeldRunLock]) { self.held = Mutex(held) }

  /// The result of an attempt to lock several domains.
  struct Taking {
    var locks: RunLocks
    var locked: Set<DomainUUID>
    /// The domains whose locks the run did not get, with the reason.
    var refused: [DomainOutcome]
    var wasInterrupted: Bool
  }

  /// Locks `domains`, with one deadline for all of them. A domain whose lock the run does not get is in `refused`.
  static func take(
    _ domains: [RunDomain], on host: Host, until deadline: ContinuousClock.Instant,
    report: (RunEvent.Kind) -> Void
  ) -> Taking {
    var held: [DomainUUID: any HeldRunLock] = [:]
    var refused: [DomainOutcome] = []
    for domain in domains.sorted(by: { $0.key.uuid < $1.key.uuid }) {
      let (uuid, name) = (domain.key.uuid, domain.name)
      func refuse(_ failure: OutcomeDetail, isBusy: Bool) {
        refused.append(
          DomainOutcome(name: name, id: domain.key.id, uuid: uuid, failure: failure, isLockBusy: isBusy))
      }
      do throws(HostError) {
        // The first attempt does not wait, so that a person who has to wait sees for whom.
        var attempt = try host.runLocks.lock(uuid, until: .now, isInterrupted: host.isInterrupted)
        if case .busy(let holder) = attempt, .now < deadline {
          report(.waitingForRun(RunEvent.Domain(name: name, uuid: uuid), holder: holder, until: deadline))
          attempt = try host.runLocks.lock(uuid, until: deadline, isInterrupted: host.isInterrupted)
        }
        switch attempt {
        case .held(let lock): held[uuid] = lock
        case .busy(let holder): refuse(holder.busyText, isBusy: true)
        case .interrupted:
          return Taking(locks: RunLocks([:]), locked: [], refused: [], wasInterrupted: true)
        }
      } catch {
        refuse(OutcomeDetail(error), isBusy: false)
      }
    }
    let locked = Set(held.keys)
    return Taking(locks: RunLocks(held), locked: locked, refused: refused, wasInterrupted: false)
  }

  /// Releases the lock of a domain on which nothing is left to do.
  func release(_ domain: DomainUUID) {
    held.withLock { $0.removeValue(forKey: domain) }?.release()
  }
}

extension RunHolder? {
  fileprivate var busyText: OutcomeDetail {
    guard let self else { return OutcomeDetail(.unknownRunAtWork) }
    return OutcomeDetail(.otherRunAtWork, "\(self)")
  }
}
