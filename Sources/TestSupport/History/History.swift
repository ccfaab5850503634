package import Model
package import Planning

/// Concurrent runs of `berth apply`: what held before them, what each wanted and reported, and what held afterwards.
///
/// All devices at the start were attached by Berth. A history is a value: `explain` looks for an order of the runs in
/// which every report is true.
package struct History: Hashable, Sendable {
  /// The domain that has a device, and the options it has it with.
  package struct Placement: Hashable, Sendable {
    package var domain: String
    package var options: DeviceOptions

    package init(_ domain: String, _ options: DeviceOptions = DeviceOptions()) {
      (self.domain, self.options) = (domain, options)
    }

    /// Returns whether this is what `goal` asks for.
    func satisfies(_ goal: Placement) -> Bool { domain == goal.domain && options.satisfies(goal.options) }
  }

  /// Where each device is; a device without an entry is free.
  package typealias Placements = [PCIAddress: Placement]

  /// What the places that know of a device say at the end.
  package enum Found: Hashable, Sendable {
    /// All of them agree. A nil placement means a free device.
    case placed(Placement?)
    /// They disagree, as described. No order of runs ends so.
    case torn(String)
  }

  /// What one run reports of one device in one domain, as the ApplyResult document does.
  package struct Step: Hashable, Sendable {
    package var domain: String
    package var device: PCIAddress
    package var action: ChangeKind
    package var result: StepResult
    /// Whether the run reports that it undid what it had done.
    package var isUndone: Bool

    package init(
      _ domain: String, _ device: PCIAddress, _ action: ChangeKind, _ result: StepResult, isUndone: Bool = false
    ) {
      (self.domain, self.device, self.action, self.result) = (domain, device, action, result)
      self.isUndone = isUndone
    }
  }

  /// What a manifest declares: the devices of each domain that it names, with their options.
  package typealias Manifest = [String: [PCIAddress: DeviceOptions]]

  /// One run of `berth apply`: its time, what it wanted, and what it reported.
  package struct Run: Hashable, Sendable {
    package var name: String
    /// A moment before the process began, since the history began.
    package var began: Duration
    /// A moment after the process ended.
    package var ended: Duration
    package var wanted: Manifest
    package var steps: [Step]
    package var status: Int32
    /// What the document says beside its steps; it is printed and never judged.
    package var remarks: [String]
    /// Whether the run may have had its effects, and nothing that it reported is held against it.
    package var isExcused = false

    package init(
      _ name: String, _ time: ClosedRange<Duration>, wants wanted: Manifest, _ steps: [Step] = [], status: Int32 = 0,
      remarks: [String] = []
    ) {
      (self.name, began, ended) = (name, time.lowerBound, time.upperBound)
      (self.wanted, self.steps, self.status, self.remarks) = (wanted, steps, status, remarks)
    }
  }

  package var start: Placements
  package var runs: [Run]
  package var end: [PCIAddress: Found]

  package init(start: Placements, runs: [Run], end: [PCIAddress: Found]) {
    (self.start, self.runs, self.end) = (start, runs, end)
  }

  /// Returns the same history without a device.
  package func without(_ device: PCIAddress) -> History {
    var rest = self
    rest.start[device] = nil
    rest.end[device] = nil
    for index in runs.indices {
      rest.runs[index].steps.removeAll { $0.device == device }
      rest.runs[index].wanted = runs[index].wanted.mapValues { $0.filter { $0.key != device } }
    }
    return rest
  }
}
