/// A host, the actors that work on it, and a function that returns what is wrong after they have ended.
package struct World: Sendable {
  package var model: ModelHost
  package var actors: [Actor]
  package var findings: @Sendable () -> [String]
  package init(model: ModelHost, actors: [Actor], findings: @escaping @Sendable () -> [String]) {
    (self.model, self.actors, self.findings) = (model, actors, findings)
  }
}

/// A schedule after which something was wrong.
package struct Counterexample: Sendable, CustomStringConvertible {
  package var switches: Int
  package var schedule: [Deviation]
  package var findings: [String]
  package var lines: [String]
  package var description: String {
    (["\(switches) \(switches == 1 ? "switch" : "switches"), \(lines.count) steps"] + lines
      + findings.map { "=> \($0)" }).joined(separator: "\n")
  }
}

/// Tries interleavings of a world's actors. Each begins with a new world.
// Size 4/8: the counts of a search are part of its result.
package struct Explorer: Sendable {
  /// The start of a finding that is known by its name and therefore not repaired.
  package static let refused = "refused: "

  package var make: @Sendable () throws -> World
  package var kernelsSettle = true
  package var kinds = Set(StepKind.allCases)
  /// The number of schedules tried so far.
  package private(set) var schedules = 0
  package private(set) var violations = 0
  /// The number of schedules after which everything wrong was refused under a known name. A person must repair that.
  package private(set) var refusals = 0
  /// The number of schedules tried for each number of switches.
  package private(set) var perBound: [Int] = []
  /// The violation with the fewest switches, and of those the one with the fewest steps.
  package private(set) var shortest: Counterexample?

  package init(
    kernelsSettle: Bool = true, kinds: Set<StepKind> = Set(StepKind.allCases),
    make: @escaping @Sendable () throws -> World
  ) {
    (self.make, self.kernelsSettle, self.kinds) = (make, kernelsSettle, kinds)
  }

  /// Tries all schedules with at most `bound` switches away from an actor that could continue: first those without a
  /// switch, then with one, ….
  ///
  /// It stops after the number of switches at which something is wrong. If a number of switches has more schedules than
  /// `limit` allows, only that many are tried, evenly spread, and the function returns false.
  @discardableResult
  package mutating func explore(bound: Int, limit: Int = .max) throws -> Bool {
    var level: [[Deviation]] = [[]]
    var isWhole = true
    for switches in 0...bound {
      var next: [[Deviation]] = []
      var count = 0
      while let schedule = level.popLast() {
        guard schedules < limit else { return false }
        let choices = try attempt(schedule, switches).choices
        count += 1
        for choice in choices where choice.step > schedule.last?.step ?? -1 {
          // Schedules beyond the bound are not listed.
          guard choice.isFree || switches < bound else { continue }
          let children = choice.others.map { schedule + [Deviation(step: choice.step, actor: $0)] }
          if choice.isFree { level += children } else { next += children }
        }
      }
      perBound.append(count)
      if shortest != nil { return true }
      level = next
      let room = max(limit - schedules, 0)
      if level.count > room {
        isWhole = false
        level = (0..<room).map { next[$0 * next.count / room] }
      }
    }
    return isWhole
  }

  /// Tries schedules with any number of switches, one per seed.
  package mutating func wander(seeds: Range<UInt64>) throws {
    for seed in seeds { try attempt([], Int.max, seed: seed) }
  }

  /// Runs one schedule, and keeps its trace if something is wrong.
  @discardableResult
  package mutating func attempt(_ schedule: [Deviation], _ switches: Int, seed: UInt64? = nil) throws -> Course {
    let world = try make()
    let course = Interleaving(
      world.model, world.actors, kernelsSettle: kernelsSettle, kinds: kinds, deviations: schedule, seed: seed
    ).run()
    schedules += 1
    let findings = (course.fault.map { [$0] } ?? []) + world.findings()
    guard !findings.isEmpty else { return course }
    if findings.allSatisfy({ $0.hasPrefix(Self.refused) }) {
      refusals += 1
      return course
    }
    violations += 1
    let names = world.actors.map(\.name) + ["kernels"]
    let width = names.map(\.count).max() ?? 0
    let lines = course.trace.filter { !$0.text.isEmpty }.map { step in
      let name = names[step.actor]
      return name + String(repeating: " ", count: width - name.count + 2) + step.text
    }
    if (shortest?.switches ?? Int.max, shortest?.lines.count ?? Int.max) > (switches, lines.count) || shortest == nil {
      shortest = Counterexample(
        switches: switches == .max ? -1 : switches, schedule: schedule, findings: findings, lines: lines)
    }
    return course
  }
}
