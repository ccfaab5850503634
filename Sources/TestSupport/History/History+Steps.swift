import Model
import Planning

extension History.Step {
  /// Returns where the device may be after the step if it was at `place` before.
  ///
  /// The answer is empty if the report cannot be true then. `options` are those that the run's manifest declares.
  func places(after place: History.Placement?, options: DeviceOptions) -> Set<History.Placement?> {
    let goal = History.Placement(domain, options)
    let isHere = place?.domain == domain
    let isReached = place?.satisfies(goal) == true
    switch result {
    case .done:
      switch action {
      case .attach: return place == nil ? [goal] : []
      case .move: return isHere ? [] : [goal]
      case .reattach: return !isReached && (isHere || place == nil) ? [goal] : []
      case .detach: return isHere ? [nil] : []
      case .adopt: return isReached ? [place] : []
      // A repair changes the stores, and not the device's place.
      case .repair: return [place]
      }
    case .unchanged:
      switch action {
      case .attach, .move, .reattach, .adopt: return isReached ? [place] : []
      case .detach: return isHere ? [] : [place]
      case .repair: return [place]
      }
    case .failed, .unknown: return effects(on: place, goal)
    // Nothing was done, and nothing is claimed.
    case .blocked, .pending, .interrupted: return [place]
    }
  }

  /// Returns where the device may be if the step had its effect, a part of its effect, or none.
  ///
  /// An undone step did not have its effect. The first half of a move or a reattach may remain.
  private func effects(on place: History.Placement?, _ goal: History.Placement) -> Set<History.Placement?> {
    let isHere = place?.domain == domain
    switch action {
    case .attach: return place == nil ? isUndone ? [nil] : [nil, goal] : [place]
    case .move: return isUndone ? [place, nil] : [place, nil, goal]
    case .reattach: return isHere || place == nil ? isUndone ? [place, nil] : [place, nil, goal] : [place]
    case .detach: return isHere && !isUndone ? [place, nil] : [place]
    case .adopt, .repair: return [place]
    }
  }

  /// Returns the same step with a claim of nothing; nil if the step cannot have had an effect.
  var excused: History.Step? {
    switch (action, result) {
    case (.adopt, _), (.repair, _): nil
    case (_, .unchanged), (_, .blocked), (_, .pending), (_, .interrupted): nil
    case (.attach, _), (.move, _), (.reattach, _), (.detach, _): History.Step(domain, device, action, .unknown)
    }
  }
}

extension History.Run {
  /// The steps that are judged, those that take a device away first: a move is reported by both domains.
  private var judged: [History.Step] {
    let steps = isExcused ? steps.compactMap(\.excused) : steps
    return steps.filter { $0.action == .detach } + steps.filter { $0.action != .detach }
  }

  /// Whether the run can have changed anything.
  var mayHaveActed: Bool { steps.contains { $0.excused != nil } }

  /// Returns what may hold right after the run if `places` held right before it; empty if its report is not true then.
  func outcomes(from places: History.Placements) -> Set<History.Placements> {
    var outcomes: Set<History.Placements> = [places]
    for step in judged {
      let options = wanted[step.domain]?[step.device] ?? DeviceOptions()
      var next: Set<History.Placements> = []
      for outcome in outcomes {
        for place in step.places(after: outcome[step.device], options: options) {
          var changed = outcome
          changed[step.device] = place
          next.insert(changed)
        }
      }
      outcomes = next
    }
    return isExcused || status != 0 ? outcomes : outcomes.filter(isAsDeclared)
  }

  /// Whether the domains that the manifest names have what it declares for them, and nothing else: exit status 0 says so.
  private func isAsDeclared(_ places: History.Placements) -> Bool {
    let isComplete = wanted.allSatisfy { domain, devices in
      devices.allSatisfy { device, options in
        places[device]?.satisfies(History.Placement(domain, options)) == true
      }
    }
    return isComplete
      && places.allSatisfy { device, place in wanted[place.domain].map { $0[device] != nil } ?? true }
  }
}
