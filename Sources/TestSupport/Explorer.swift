/// A host, who is at work on it, and what is wrong with it once they have ended.
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

/// Tries interleavings of a world's actors, each from a world made anew.
package struct Explorer: Sendable {
  /// How a finding begins that is known by its name, and left alone.
  package static let refused = "refused: "

  package var make: @Sendable () throws -> World
  package var kernelsSettle = true
  package var kinds = Set(StepKind.allCases)
  /// The schedules tried so far, and those after which something was wrong.
  package private(set) var schedules = 0
  package private(set) var violations = 0
  /// The schedules after which all that was wrong is refused by its name, for somebody to mend.
  package private(set) var refusals = 0
  /// The schedules of each number of switches.
  package private(set) var perBound: [Int] = []
  /// The violation with the fewest switches, and of those the one with the fewest steps.
  package private(set) var shortest: Counterexample?

  package init(
    kernelsSettle: Bool = true, kinds: Set<StepKind> = Set(StepKind.allCases),
    make: @escaping @Sendable () throws -> World
  ) {
    (self.make, self.kernelsSettle, self.kinds) = (make, kernelsSettle, kinds)
  }

  /// All schedules of at most `bound` switches from one who could have gone on; first those of none, then of one, ….
  ///
  /// Stops after the number of switches at which something is wrong. Where there are more than `limit`, as many as that
  /// are tried, spread evenly, and the answer is false.
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
          // What is out of bounds is not even listed.
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

  /// Schedules of any number of switches, one for each seed.
  package mutating func wander(seeds: Range<UInt64>) throws {
    for seed in seeds { try attempt([], Int.max, seed: seed) }
  }

  /// One schedule; what happened is kept where something is wrong.
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
