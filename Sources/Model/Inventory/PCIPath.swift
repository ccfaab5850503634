/// The way from a root bus to a function, in Qubes' text form: `00_1c.4-00_00.0`.
///
/// Each step is a function. Its bus number is relative to the first bus behind the bridge before it, and absolute for the
/// first step (`sbdf_to_path`, qubes-core-admin). So the path stays the same if the firmware gives the buses other numbers. The
/// path changes if the card moves to another slot.
package struct PCIPath: Hashable, Sendable {
  package struct Step: Hashable, Sendable {
    package let bus: UInt8
    package let place: SlotPlace
    package init(bus: UInt8, place: SlotPlace) { (self.bus, self.place) = (bus, place) }
  }

  package let segment: UInt32
  /// At least one.
  package let steps: [Step]

  /// PCI has 256 buses per segment, so a longer way is none.
  private static let mostSteps = 256

  /// Returns nil if there is no step, or more than a segment has buses.
  package init?(segment: UInt32, steps: [Step]) {
    guard (1...Self.mostSteps).contains(steps.count) else { return nil }
    (self.segment, self.steps) = (segment, steps)
  }

  /// Reads `[SSSS_]BB_DD.F-BB_DD.F…`, hexadecimal in either case.
  package init?(_ text: some StringProtocol) {
    var segment: UInt32 = 0
    var steps: [Step] = []
    for part in text.split(separator: "-", maxSplits: Self.mostSteps, omittingEmptySubsequences: false) {
      var words = part.split(separator: "_", omittingEmptySubsequences: false)
      if words.count == 3, steps.isEmpty {
        guard let number = hexadecimal(words.removeFirst(), digits: 4...8) else { return nil }
        segment = UInt32(number)
      }
      guard words.count == 2, let bus = hexadecimal(words[0], digits: 2...2), let place = SlotPlace(words[1]) else {
        return nil
      }
      steps.append(Step(bus: UInt8(bus), place: place))
    }
    self.init(segment: segment, steps: steps)
  }
}

extension PCIPath: CustomStringConvertible {
  package var description: String {
    let start = segment == 0 ? "" : hex(UInt64(segment), 4) + "_"
    return start + steps.map { hex(UInt64($0.bus), 2) + "_" + $0.place.description }.joined(separator: "-")
  }
}

extension PCIPath: TextCodable {
  package init?(text: String) { self.init(text) }
  package var text: String { description }
}
