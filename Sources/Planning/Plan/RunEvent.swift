package import Model

/// Names one run of Berth among all runs on a host.
package struct RunID: Hashable, Sendable, CustomStringConvertible {
  /// 16 hexadecimal digits.
  package let description: String

  /// A name that no other run has.
  package static func random() -> RunID { RunID(hex(UInt64.random(in: 0...UInt64.max), 16)) }

  package init(_ text: String) { description = text }
}

/// What a run reports while it is at work. Progress on a terminal and `-o jsonl` read the same events.
package struct RunEvent: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// The locks are taken, and these steps are about to be done.
    case runBegan([StepID])
    /// Another run of Berth is at work on the domain; its end is waited for.
    case waitingForRun(Domain, holder: RunHolder?, until: ContinuousClock.Instant)
    /// The work on a device's driver begins.
    case driverBegan(DriverStep)
    case driverEnded(DriverOutcome)
    /// The work on a domain begins.
    case domainBegan(Domain, [StepID])
    /// Steps of one domain have come this far, together.
    case phase(Phase, Domain, [StepID])
    /// The change is made, and the guest is waited for.
    case waiting(Domain, [StepID], until: ContinuousClock.Instant)
    /// Another toolstack may overwrite an entry of the domain, so the entries are looked at once more later.
    case auditing(Domain, until: ContinuousClock.Instant)
    /// The step's result; the id is nil for a result of no planned step, as of an entry that was put back.
    case stepEnded(Domain, StepID?, StepOutcome)
    /// The work on a domain is over; with the failure that ended it early.
    case domainEnded(Domain, OutcomeDetail?)
    case runEnded
  }

  /// How far a step has come.
  package enum Phase: String, Hashable, Sendable, CaseIterable {
    /// The intent is on disk.
    case intended
    /// The hypervisor has assigned the device, and access is granted.
    case claimed
    /// The entry is committed; the guest may have the device.
    case published
    /// Both ends of the bus are connected, and the guest has the device.
    case taken
    /// The device model shows the device.
    case shown
    /// The device model shows the device no longer.
    case withdrawn
    /// The entry is marked, and the guest is asked to release the device.
    case marked
    /// The guest has released the device.
    case released
    /// The entry is gone.
    case compacted
  }

  /// A domain as events name it.
  package struct Domain: Hashable, Sendable {
    package let name: Name
    package let uuid: DomainUUID

    package init(name: Name, uuid: DomainUUID) {
      self.name = name
      self.uuid = uuid
    }
  }

  package let run: RunID
  package let kind: Kind

  package init(run: RunID, kind: Kind) {
    self.run = run
    self.kind = kind
  }
}

extension DomainTarget {
  /// The domain as events name it.
  package var eventDomain: RunEvent.Domain { RunEvent.Domain(name: name, uuid: key.uuid) }
}
