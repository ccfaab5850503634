extension History {
  /// Returns an order of the runs in which every report is true and which ends in the state found; nil if there is none.
  ///
  /// A run that ended before another began comes first. The order is one of whole runs: a run's steps in all domains,
  /// and what its exit status says, hold at one moment.
  package func explain() -> [Run]? {
    var search = Search(history: self)
    return search.order(of: Set(runs.indices), from: [start])?.map { runs[$0] }
  }

  /// Returns the least that no order explains: fewer devices, and fewer runs that are held to their reports.
  ///
  /// A run whose report is not needed is excused: it may still have had its effects, so that leaving its report out
  /// never makes the rest unexplained. It is left out as a whole if it cannot have changed anything. An explained
  /// history is returned as it is.
  package func shortest() -> History {
    guard explain() == nil else { return self }
    var least = self
    // Those of which the stores disagree go last: they show the most.
    let agreed = end.keys.sorted().filter { if case .placed = end[$0] { true } else { false } }
    for device in agreed + end.keys.sorted().filter({ !agreed.contains($0) }) where least.end.count > 1 {
      let fewer = least.without(device)
      if fewer.explain() == nil { least = fewer }
    }
    for index in runs.indices {
      var weaker = least
      weaker.runs[index].isExcused = true
      if weaker.explain() == nil { least = weaker }
    }
    least.runs.removeAll { $0.isExcused && !$0.mayHaveActed }
    return least
  }

  /// Whether these placements are what was found at the end.
  private func isFound(_ places: Placements) -> Bool {
    end.allSatisfy { device, found in
      guard case .placed(let place) = found else { return false }
      guard let goal = places[device] else { return place == nil }
      return place?.satisfies(goal) == true
    }
  }

  /// A search through the orders of a history's runs, which tries no state twice with the same runs left.
  private struct Search {
    private struct State: Hashable {
      var left: Set<Int>
      var places: Set<Placements>
    }

    let history: History
    private var hopeless: Set<State> = []

    init(history: History) { self.history = history }

    /// Returns an order of the runs that are left, which may begin from any of `places`.
    mutating func order(of left: Set<Int>, from places: Set<Placements>) -> [Int]? {
      guard !left.isEmpty else { return places.contains(where: history.isFound) ? [] : nil }
      let state = State(left: left, places: places)
      guard !hopeless.contains(state) else { return nil }
      for run in left.sorted() where mayBeFirst(run, of: left) {
        let outcomes = places.reduce(into: Set<Placements>()) { $0.formUnion(history.runs[run].outcomes(from: $1)) }
        guard !outcomes.isEmpty else { continue }
        if let rest = order(of: left.subtracting([run]), from: outcomes) { return [run] + rest }
      }
      hopeless.insert(state)
      return nil
    }

    /// Whether no other run that is left had ended when this one began.
    private func mayBeFirst(_ run: Int, of left: Set<Int>) -> Bool {
      let began = history.runs[run].began
      return left.allSatisfy { $0 == run || history.runs[$0].ended >= began }
    }
  }
}
