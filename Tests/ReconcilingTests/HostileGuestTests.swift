import Model
import Planning
import Reconciling
import Synchronization
import TestSupport
import Testing

/// Guests that write arbitrary text to their own nodes, before, during and after an apply.
@Suite struct HostileGuestTests {
  static let changes = PortFaultTests.changes.filter { !$0.isCold && $0.killed == $0.after && $0.kind != .traditional }
  /// One change, beside an uninvolved domain.
  struct Trial {
    let change: Change
    let model: ModelHost
    let keys: [String: DomainKey]
    let bystander: DomainKey
    let run: Run
    /// The domain that has the front end.
    var guest: UInt32 { change.kind == .stubDomain ? 15 : 5 }

    init(_ change: Change) throws {
      self.change = change
      (model, keys) = change.makeHost()
      bystander = model.addDomain(7, "bystander")
      model.addDevice(Sample.address(9), interrupt: 17)
      run = Run(model: model, options: .hasty)
      try run.apply(Sample.desired(["bystander": [Sample.address(9)]]))
      try run.apply(desired(change.initial))
    }

    func desired(_ own: DesiredState) -> DesiredState {
      var desired = own
      desired.domains.append(DesiredDomain(name: "bystander", devices: [DesiredDevice(address: Sample.address(9))]))
      return desired
    }

    /// Returns changes to others' nodes, and what the uninvolved domain lost.
    func trespasses(since before: Set<String>) -> [String] {
      var own = ["/libxl/pci/0000-03-0"]
      for number: UInt32 in [5, 15, 6] where number != 6 || change.killed["other"] != nil {
        own += ["/local/domain/0/backend/pci/\(number)", "/local/domain/\(number)/device/pci"]
      }
      let foreign = model.store.touched.subtracting(before).filter { path in !own.contains { path.hasPrefix($0) } }
      return foreign.sorted().map { "touched \($0)" }
        + disagreements(model, bystander, [Sample.address(9)], among: [Sample.address(9)])
        .filter { !$0.hasPrefix("intents") }.map { "bystander \($0)" }
    }

    /// Returns what is left when the guest behaves again. It is empty if one apply repaired it, or if the requested
    /// restart does.
    func leftovers() throws -> [String] {
      model.killWriters()
      model.behave(guest)
      let outcome = try run.apply(desired(change.final))
      let plan = try run.plan(desired(change.final))
      let left = change.disagreements(model, keys) + unrest(plan) + failures(outcome)
      guard !left.isEmpty else { return [] }
      // If the guest did not close its bus after the last device, the bus may stay, empty: the next attach uses it.
      if left.allSatisfy({ $0.hasPrefix("net bus:") }), model.node(guest, "num_devs") == "0" {
        let (one, attached) = (Sample.address(1), change.desired(["net": [Sample.address(1)]]))
        try run.apply(desired(attached))
        return disagreements(model, keys["net"] ?? bystander, [one], bus: guest, hasDeviceModel: change.kind != .pv)
      }
      let asks =
        plan.steps.contains { $0.remedy?.contains("restart") == true }
        || outcome.domains.flatMap(\.steps).contains { $0.detail?.contains("estarting the domain") == true }
      return asks ? [] : left
    }
  }

  private func check(_ trial: Trial, _ what: String, _ body: () throws -> ApplyOutcome) throws -> Bool {
    let before = trial.model.store.touched
    let outcome = try body()
    var findings = trial.trespasses(since: before)
    for step in outcome.domains.flatMap(\.steps) where step.result == .done && step.action == .detach {
      if trial.model.exports(to: trial.guest).contains(step.device) {
        findings.append("\(step.device) is still exported")
      }
    }
    findings += try trial.leftovers()
    findings += trial.trespasses(since: before)
    if !findings.isEmpty { Issue.record("\(what): \(findings)") }
    return findings.isEmpty
  }

  @Test(arguments: HostileGuestTests.changes)
  func `a hostile guest before an apply`(_ change: Change) throws {
    for (number, mischief) in Mischief.all.enumerated() {
      // A sample, unless all are requested: each change and each mischief, with an answering guest or a silent one.
      for answers in [true, false] where SoakReport.isSoak || (number * 2 + (answers ? 0 : 1)) % 5 == change.sample % 5
      {
        let trial = try Trial(change)
        trial.model.change(trial.guest) { $0.answers = answers }
        trial.model.doMischief(mischief, trial.guest)
        _ = try check(trial, "\(mischief), answering: \(answers)") {
          try trial.run.apply(trial.desired(change.troubled))
        }
      }
    }
  }

  @Test(arguments: HostileGuestTests.changes)
  func `a hostile guest at any request of an apply`(_ change: Change) throws {
    // Trying every request takes a day.
    let stride = SoakReport.isSoak ? 23 : 211
    for (number, mischief) in Mischief.all.enumerated() where SoakReport.isSoak || number % 5 == change.sample % 5 {
      for index in Swift.stride(from: 1 + number * 17 % stride, to: 2000, by: stride) {
        let trial = try Trial(change)
        let isDone = Flag()
        let (model, guest, start) = (trial.model, trial.guest, trial.model.store.requests)
        trial.model.store.beforeRequest.function = { store in
          guard store.requests - start >= index, isDone.raise() else { return }
          model.change(guest) { $0.answers = false }
          model.doMischief(mischief, guest)
        }
        let isRight = try check(trial, "\(mischief) at request \(index)") {
          defer { trial.model.stopInterfering() }
          return try trial.run.apply(trial.desired(change.troubled))
        }
        if !isRight || !isDone.isUp { break }
      }
    }
  }

  @Test(
    arguments: HostileGuestTests.changes.filter { SoakReport.isSoak || $0.kind == .pv && $0.before["net"]?.count == 1 })
  func `a front end state that never rests`(_ change: Change) throws {
    for states in [["4", "7"], ["1", "4", "5", "6", "7", "x", ""]] {
      let trial = try Trial(change)
      let underLock = Mutex((longest: 0, now: 0))
      let (model, guest) = (trial.model, trial.guest)
      trial.model.store.beforeRequest.function = { store in
        underLock.withLock { count in
          count.now = model.isLocked ? count.now + 1 : 0
          count.longest = max(count.longest, count.now)
        }
        model.doMischief(.state(states[store.requests % states.count]), guest)
      }
      let start = trial.model.store.requests
      let isRight = try check(trial, "\(states) for ever") {
        defer { trial.model.stopInterfering() }
        return try trial.run.apply(trial.desired(change.troubled))
      }
      let (all, longest) = (trial.model.store.requests - start, underLock.withLock(\.longest))
      // Twenty attempts to read a bus of a few devices. libxl waits for the lock in the meantime.
      #expect(longest <= 1000, "\(states) for ever")
      if isRight { print("\(change.testDescription): \(states) for ever: \(all) requests, \(longest) under one lock") }
    }
  }
}

extension Change {
  /// Gives each change a different sample.
  fileprivate var sample: Int { testDescription.utf8.count }
}

/// A flag that can be raised once.
private final class Flag: Sendable {
  private let state = Mutex(false)
  var isUp: Bool { state.withLock { $0 } }
  func raise() -> Bool {
    state.withLock { state in
      defer { state = true }
      return !state
    }
  }
}
