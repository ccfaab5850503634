import Model
import Planning
import Ports
import XenProtocol

/// Attaches devices, all in one transaction and one round.
///
/// ```
/// IntendedAttach ─claim─► ClaimedAttach ─publish─► PublishedAttach ─follow─► TakenAttach ─show─► ShownAttach ─prove─►
///                              ▲                        │
///                              └──────── withdrawn ─────┘   returnToXen: nothing of it is left
/// ```
///
/// A phase is what exists at that moment. It can be left once, since it cannot be copied, and it has the undoing of
/// what it holds beside the doing. Dropping a phase drops its intent, and so leaves the rest to the next run.
struct AttachPhases {
  let parts: DomainParts

  /// Attaches the devices of `steps`, and reports an outcome for each.
  func attach(_ steps: [Addition]) throws(EngineError) {
    guard !steps.isEmpty else { return }
    guard let intended = try IntendedAttach.open(steps, with: parts) else { return }
    guard let claimed = try intended.claim() else { return }
    // An array of its own. Swift 6.3 with -O frees the array of `claimed` with it, although a copy is used afterwards.
    let taken = claimed.held.map(\.step)
    guard let published = try claimed.publish() else { return }
    do throws(EngineError) {
      if parts.session.mode == .cold { return try published.proveCold() }
      guard let answered = try published.follow() else { return }
      try answered.show().prove()
    } catch {
      // Published: the guest may have the devices, so nothing is undone. The next run resumes the attach.
      let open = parts.report.unconcluded(taken)
      parts.report.conclude(open, .unknown, parts.report.describe(error))
    }
  }
}

/// The intent is on disk, and the devices are on record.
struct IntendedAttach: ~Copyable {
  private let parts: DomainParts
  private let intent: OpenedIntent
  private let steps: [Addition]

  private init(_ parts: DomainParts, _ intent: consuming OpenedIntent, _ steps: [Addition]) {
    (self.parts, self.steps) = (parts, steps)
    self.intent = intent
  }

  /// Returns nil if there is nothing left to do; then everything is reported.
  static func open(_ steps: [Addition], with parts: DomainParts) throws(EngineError) -> IntendedAttach? {
    // The intent first. A record of a device that is not attached reads as a left-over, unless an intent names it.
    // The record precedes the attach: nobody removes a device that is attached without a record.
    let intent = try parts.intents.open(.attach, steps.map(\.device))
    let steps = try parts.otherRuns.awaitDetachingRuns(steps)
    guard !steps.isEmpty else {
      try intent.close()
      return nil
    }
    try parts.records.add(steps.map(\.device))
    parts.report.reached(.intended, steps)
    return IntendedAttach(parts, intent, steps)
  }

  /// Takes the devices for the domain. Returns nil if it got none; then everything is reported.
  consuming func claim() throws(EngineError) -> ClaimedAttach? {
    var held: [ClaimedDevice] = []
    for step in steps {
      switch parts.claims.claim(step) {
      case .held(let device): held.append(device)
      case .blocked(let reason, let evidence):
        parts.report.conclude(step, .blocked, OutcomeDetail(.refused, reason.name, evidence), reason: reason)
      case .failed(let error): parts.report.conclude([step], .failed, OutcomeDetail(error))
      }
    }
    let failures = parts.claims.grant(held)
    for device in held {
      if let failure = failures[device.step.device] { parts.report.conclude([device.step], .failed, failure) }
    }
    held.removeAll { failures[$0.step.device] != nil }
    let refused = steps.filter { step in !held.contains { $0.step.device == step.device } }
    if !refused.isEmpty {
      let listed = Set(try parts.session.look().backEnd.entries.compactMap(\.device))
      try parts.records.forget(refused.filter { !listed.contains($0.device) })
    }
    guard !held.isEmpty else {
      try parts.claims.close(intent)
      return nil
    }
    parts.report.reached(.claimed, held.map(\.step))
    let log = parts.session.host.tree.listenForExports(sinceBoot: false)
    return ClaimedAttach(parts, intent, held, log)
  }
}
