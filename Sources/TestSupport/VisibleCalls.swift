import FoundationEssentials
import Glibc

/// A call by which a program changed what others can see, as the preloaded library BerthCut records it.
package struct VisibleCall: Sendable, CustomStringConvertible {
  /// The number, from 1, in the order of the program's calls.
  package var number: Int
  package var name: String
  /// Whether the call completes a request that another process will answer.
  package var endsMessage: Bool
  /// The path, or the beginning of the written text.
  package var what: String

  package var description: String { "call \(number), \(name) \(what.prefix(100))" }

  init?(_ line: Substring) {
    let fields = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false)
    guard fields.count == 4, let number = Int(fields[0]) else { return nil }
    self.number = number
    name = String(fields[1])
    endsMessage = fields[2] == "+"
    what = String(fields[3])
  }
}

/// A point at which a program is ended by SIGKILL.
package struct CutPoint: Sendable {
  /// The number of a visible call.
  package var number: Int
  /// Whether the point is right after the call, with the answer unread; otherwise it is before the call. If no process
  /// answers a call, the points after it and before the next one are the same.
  package var isAfter: Bool

  package init(number: Int, isAfter: Bool = false) { (self.number, self.isAfter) = (number, isAfter) }

  /// Returns a number of points, from the first to the last: before calls, and after calls that another process
  /// answers.
  package static func sample(of calls: [VisibleCall], _ count: Int) -> [CutPoint] {
    let all = calls.flatMap { call in
      (call.endsMessage ? [false, true] : [false]).map { CutPoint(number: call.number, isAfter: $0) }
    }
    return all.isEmpty ? [] : (0..<count).map { all[$0 * all.count / count] }
  }
}

extension TestHost {
  /// Runs `berth` on this sandbox, and kills it at `cut`, if it gets that far. If `stopping` is given, sends `signal` to
  /// that process instead. Returns its calls so far, in order.
  package func berth(
    _ words: [String], cutAt cut: CutPoint?, stopping process: Int32? = nil, by signal: Int32 = SIGSTOP
  ) async throws -> (result: Command.Result, calls: [VisibleCall]) {
    try folder.write(Self.callLog, "")
    var environment = [
      "LD_PRELOAD": try builtFile("libBerthCut.so"), "BERTH_CUT_LOG": "\(folder.path)/\(Self.callLog)",
    ]
    if let cut { environment["BERTH_CUT_AT"] = "\(cut.number)\(cut.isAfter ? "+" : "")" }
    if let process {
      environment["BERTH_CUT_STOP"] = "\(process)"
      environment["BERTH_CUT_SIGNAL"] = "\(signal)"
    }
    let result = try await berth(words, environment: environment)
    return (result, try visibleCalls())
  }

  /// Runs `berth` on this sandbox, stops it at `cut`, if it gets that far, and runs another command before it continues.
  ///
  /// Returns its calls, in order, and whether it was stopped.
  package func berth(
    _ words: [String], stoppedAt cut: CutPoint, during other: [String]
  ) async throws -> (result: Command.Result, calls: [VisibleCall], wasStopped: Bool) {
    try folder.write(Self.callLog, "")
    let command = try Command.berth(
      words,
      environment: [
        "BERTH_SANDBOX": directory, "LD_PRELOAD": try builtFile("libBerthCut.so"),
        "BERTH_CUT_LOG": "\(folder.path)/\(Self.callLog)", "BERTH_CUT_AT": "\(cut.number)\(cut.isAfter ? "+" : "")",
        "BERTH_CUT_STOP": "self",
      ])
    let second = try Command.berth(other, environment: ["BERTH_SANDBOX": directory])
    let (result, wasStopped) = try await onThread {
      let begin = ContinuousClock.now
      let process = try command.start()
      let wasStopped = process.waitUntilStopped()
      if wasStopped {
        let meanwhile = try second.start()
        _ = meanwhile.collect(until: .now + .seconds(120)) { _ in false }
        guard meanwhile.end(SIGTERM) == 0 else { throw Command.Failure(description: "\(other): \(meanwhile.errors)") }
        kill(process.pid, SIGCONT)
      }
      _ = process.collect(until: .now + .seconds(120)) { _ in false }
      let status = process.end(SIGTERM)
      let result = Command.Result(
        status: status, output: process.output, errors: process.errors, duration: .now - begin)
      return (result, wasStopped)
    }
    return (result, try visibleCalls(), wasStopped)
  }

  private static var callLog: String { "calls" }

  /// Returns the calls that the last program with the library has recorded.
  private func visibleCalls() throws -> [VisibleCall] {
    let lines = String(decoding: try folder.read(Self.callLog), as: UTF8.self).split(separator: "\n")
    let calls = try lines.map { line in
      guard var call = VisibleCall(line) else { throw Command.Failure(description: "not a call: \(line)") }
      // The sandbox's path differs from run to run.
      if call.what.hasPrefix(directory) { call.what = "…" + call.what.dropFirst(directory.count) }
      return call
    }
    return calls.sorted { $0.number < $1.number }
  }
}
