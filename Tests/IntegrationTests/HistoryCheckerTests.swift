import Model
import Planning
import TestSupport
import Testing

/// The checker for histories of real processes, applied to histories that were written by hand.
struct `Histories of runs` {
  private let first = Sample.address(0)
  private let second = Sample.address(1)
  private let permissive = DeviceOptions(permissive: true)

  private func time(_ began: Int, _ ended: Int) -> ClosedRange<Duration> {
    .milliseconds(began) ... .milliseconds(ended)
  }

  private func manifest(_ domains: [String: [PCIAddress]], _ options: DeviceOptions = DeviceOptions())
    -> History.Manifest
  {
    domains.mapValues { devices in Dictionary(uniqueKeysWithValues: devices.map { ($0, options) }) }
  }

  private func order(_ history: History) -> [String]? { history.explain()?.map(\.name) }

  /// A run removes a device, and another run that wants the device reports that it is attached.
  private func contrary(_ report: History.Step, _ end: History.Found, second time: ClosedRange<Duration>) -> History {
    History(
      start: [first: History.Placement("net")],
      runs: [
        .init("A", self.time(0, 100), wants: manifest(["net": []]), [.init("net", first, .detach, .done)]),
        .init("B", time, wants: manifest(["net": [first]]), [report]),
      ], end: [first: end])
  }

  @Test func `a removal, and then an attach`() {
    let attached = History.Step("net", first, .attach, .done)
    #expect(order(contrary(attached, .placed(.init("net")), second: time(50, 150))) == ["A", "B"])
    #expect(order(contrary(attached, .placed(.init("net")), second: time(101, 150))) == ["A", "B"])
  }

  @Test func `an attach that found the device attached comes before the removal`() {
    let kept = History.Step("net", first, .attach, .unchanged)
    #expect(order(contrary(kept, .placed(nil), second: time(50, 150))) == ["B", "A"])
    #expect(order(contrary(kept, .placed(nil), second: time(101, 150))) == nil, "B began when A had ended")
  }

  @Test func `two successful attaches without the device have no order`() {
    let attached = History.Step("net", first, .attach, .done)
    #expect(order(contrary(attached, .placed(nil), second: time(50, 150))) == nil)
  }

  @Test func `a device about which the stores disagree has no order`() {
    let attached = History.Step("net", first, .attach, .done)
    #expect(order(contrary(attached, .torn("listed by net, assigned to nobody"), second: time(50, 150))) == nil)
  }

  @Test(arguments: [StepResult.unknown, .failed])
  func `an unknown outcome may have happened or not`(_ result: StepResult) {
    for end in [History.Found.placed(nil), .placed(.init("net"))] {
      var history = contrary(.init("net", first, .attach, result), end, second: time(50, 150))
      history.runs[1].status = 7
      #expect(order(history) != nil)
    }
  }

  @Test(arguments: [StepResult.unknown, .failed])
  func `an undone step did not have its effect`(_ result: StepResult) {
    let undone = History.Step("net", first, .attach, result, isUndone: true)
    var history = contrary(undone, .placed(nil), second: time(101, 150))
    history.runs[1].status = 5
    #expect(order(history) == ["A", "B"])
    history.end[first] = .placed(.init("net"))
    #expect(order(history) == nil, "A has detached it, and B says that its attach was undone")
    history.runs[1].steps = [.init("net", first, .reattach, result, isUndone: true)]
    #expect(order(history) == nil)
    history.start[first] = .init("other")
    history.runs[0].steps = []
    history.runs[1].steps = [.init("net", first, .move, result, isUndone: true)]
    #expect(order(history) == nil)
    for end in [History.Found.placed(nil), .placed(.init("other"))] {
      history.end[first] = end
      #expect(order(history) == ["A", "B"], "the removal from the other domain may have been done")
    }
    history.start[first] = .init("net")
    history.runs[1].steps = [.init("net", first, .detach, result, isUndone: true)]
    history.end[first] = .placed(nil)
    #expect(order(history) == nil)
    history.end[first] = .placed(.init("net"))
    history.runs[0].wanted = manifest(["other": []])
    #expect(order(history) == ["A", "B"])
  }

  @Test(arguments: [StepResult.blocked, .pending, .interrupted])
  func `a step that was not begun has no effect`(_ result: StepResult) {
    var history = contrary(.init("net", first, .attach, result), .placed(nil), second: time(50, 150))
    history.runs[1].status = 4
    #expect(order(history) != nil)
    history.end[first] = .placed(.init("net"))
    #expect(order(history) == nil)
  }

  @Test func `exit status 0 means that everything is as declared`() {
    var history = contrary(.init("net", first, .attach, .pending), .placed(nil), second: time(150, 200))
    #expect(order(history) == nil, "B says that net has the device")
    history.runs[1].status = 75
    #expect(order(history) == ["A", "B"])
    history.runs[1] = .init("B", time(150, 200), wants: manifest(["net": []]))
    #expect(order(history) == ["A", "B"])
    history.runs[0] = .init("A", time(0, 100), wants: manifest(["net": [first]]))
    history.end[first] = .placed(.init("net"))
    #expect(order(history) == nil, "B says that net has nothing")
    history.runs[1].wanted = manifest(["other": []])
    #expect(order(history) == ["A", "B"], "B's manifest does not name net")
  }

  @Test func `a move takes the device from one domain to the other, once`() {
    let moved: [History.Step] = [.init("two", first, .move, .done), .init("one", first, .detach, .done)]
    let back: [History.Step] = [.init("one", first, .move, .done), .init("two", first, .detach, .done)]
    var history = History(
      start: [first: .init("one")],
      runs: [
        .init("back", time(0, 90), wants: manifest(["one": [first], "two": []]), back),
        .init("move", time(0, 100), wants: manifest(["one": [], "two": [first]]), moved),
      ], end: [first: .placed(.init("one"))])
    #expect(order(history) == ["move", "back"])
    history.end[first] = .placed(.init("two"))
    #expect(order(history) == nil)
    history.runs[0].steps = []
    #expect(order(history) == ["back", "move"], "nothing was to be done before the move")
  }

  @Test func `an attach takes nothing from another domain`() {
    var history = History(
      start: [first: .init("one")],
      runs: [.init("A", time(0, 90), wants: manifest(["two": [first]]), [.init("two", first, .attach, .done)])],
      end: [first: .placed(.init("two"))])
    #expect(order(history) == nil)
    history.start = [:]
    #expect(order(history) == ["A"])
  }

  @Test func `options are part of what a run wants`() {
    let reattached = History.Step("net", first, .reattach, .done)
    var history = History(
      start: [first: .init("net")],
      runs: [
        .init("plain", time(0, 90), wants: manifest(["net": [first]]), [reattached]),
        .init("permissive", time(0, 90), wants: manifest(["net": [first]], permissive), [reattached]),
      ], end: [first: .placed(.init("net"))])
    #expect(order(history) == ["permissive", "plain"])
    history.end[first] = .placed(.init("net", permissive))
    #expect(order(history) == nil)
    history.runs[0].steps = [.init("net", first, .reattach, .unchanged)]
    #expect(order(history) == ["plain", "permissive"])
  }

  @Test func `three runs have the one order that time and reports leave`() {
    let (attach, detach) = (History.Step("net", first, .attach, .done), History.Step("net", first, .detach, .done))
    var history = History(
      start: [first: .init("net")],
      runs: [
        .init("A", time(0, 300), wants: manifest(["net": [first]]), [attach]),
        .init("B", time(10, 100), wants: manifest(["net": []]), [detach]),
        .init("C", time(120, 200), wants: manifest(["net": []]), [.init("net", first, .detach, .unchanged)]),
      ], end: [first: .placed(.init("net"))])
    #expect(order(history) == ["B", "C", "A"])
    history.end[first] = .placed(nil)
    #expect(order(history) == nil)
    history.runs[2].steps = [detach]
    #expect(order(history) == ["B", "A", "C"])
  }

  /// A comes first according to one device, B according to the other.
  private var twisted: History {
    History(
      start: [:],
      runs: [
        .init(
          "A", time(0, 100), wants: manifest(["one": [first], "two": [second]]),
          [.init("one", first, .attach, .done), .init("two", second, .attach, .done)]),
        .init("B", time(0, 100), wants: manifest(["one": [], "two": []]), [.init("one", first, .detach, .done)]),
      ], end: [first: .placed(nil), second: .placed(.init("two"))])
  }

  @Test func `an order per device is not an order of the runs`() {
    #expect(order(twisted.without(second)) == ["A", "B"])
    #expect(order(twisted.without(first)) == ["B", "A"])
    #expect(order(twisted) == nil)
    let least = twisted.shortest()
    #expect(least.end.count == 2, "neither device can be left out")
    #expect(least.runs.map(\.isExcused) == [true, false], "A may have acted, and what B says is not so either way")
  }

  @Test func `the shortest history contains what the contradiction needs`() {
    var history = contrary(.init("net", first, .attach, .done), .placed(nil), second: time(50, 150))
    history.start[second] = .init("net")
    history.end[second] = .placed(.init("out", permissive))
    history.runs[0].wanted["net"]?[second] = DeviceOptions()
    history.runs[1].wanted["net"]?[second] = DeviceOptions()
    history.runs.append(
      .init("C", time(200, 300), wants: manifest(["out": [second]], permissive), [.init("out", second, .move, .done)])
    )
    let least = history.shortest()
    #expect(least.runs.map(\.name) == ["A", "B"])
    #expect(Array(least.end.keys) == [first])
    #expect(
      least.description == """
        run    time       wants                reports                             exit
        start             0000:03:00.0 in net
        A      0–100 ms   net: nothing         net: detach 0000:03:00.0 done       0
                                               (not needed for the contradiction)
        B      50–150 ms  net: 0000:03:00.0    net: attach 0000:03:00.0 done       0
        end               0000:03:00.0 free
        """)
    history.end[second] = .torn("seen by net")
    #expect(Array(history.shortest().end.keys) == [second], "what the stores disagree about is shown first")
  }

  @Test func `a run that is not needed may still have acted`() {
    var history = contrary(.init("net", first, .attach, .done), .placed(nil), second: time(50, 150))
    history.runs.append(
      .init("C", time(200, 300), wants: manifest(["net": []]), [.init("net", first, .detach, .done)]))
    #expect(order(history) == ["A", "B", "C"])
    #expect(history.shortest() == history)
    history.start[first] = nil
    let least = history.shortest()
    #expect(least.explain() == nil)
    #expect(least.runs.map(\.isExcused) == [false, true, false], "two remove what B may have brought once: \(least)")
  }

  @Test func `a report is read from the output of apply`() throws {
    let text = """
      {"exitStatus": 4, "changed": true, "later": {}, "domains": [{"name": "net", "rounds": 1, "failure": "busy: run 17",
      "steps": [{"device": {"address": "0000:03:00.0"}, "action": "attach", "result": "unchanged", "isUndone": false,
      "later": 1},
      {"device": {"address": "0000:03:01.0"}, "action": "detach", "result": "blocked", "isUndone": true,
      "detail": "nobody was shown it"}]}]}
      """
    func run(_ status: Int32, _ output: String, _ errors: String = "") throws -> History.Run {
      try History.Run("A", time(0, 1), wants: [:], output: output, errors: errors, status: status)
    }
    let stale = try run(4, text)
    #expect(
      stale.steps == [
        .init("net", first, .attach, .unchanged), .init("net", second, .detach, .blocked, isUndone: true),
      ])
    #expect(stale.remarks == ["0000:03:01.0: nobody was shown it", "net: busy: run 17"])
    #expect(throws: Command.Failure.self) { _ = try run(0, text) }
    for (word, unknown) in [("attach", "keep"), ("unchanged", "mostly"), ("isUndone", "wasUndone")] {
      let text = text.replacing("\"\(word)\"", with: "\"\(unknown)\"")
      #expect(throws: Command.Failure.self, "\(unknown)") { _ = try run(4, text) }
    }
    #expect(try run(75, "", "xenstore is busy").remarks == ["xenstore is busy"])
    #expect(throws: Command.Failure.self, "a process that was killed reports nothing") { _ = try run(137, "") }
  }
}
