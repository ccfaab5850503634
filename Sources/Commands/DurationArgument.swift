import ArgumentParser

/// A length of time on the command line: `10s`, `500ms`, `2m`.
package struct DurationArgument: ExpressibleByArgument, Hashable, Sendable {
  let duration: Duration

  init(_ duration: Duration) { self.duration = duration }

  /// Reads a whole number and its unit; returns nil for anything else, for a missing unit, and beyond a day.
  package init?(argument: String) {
    let digits = argument.prefix { ("0"..."9").contains($0) }
    guard (1...9).contains(digits.utf8.count), let number = Int64(digits) else { return nil }
    let milliseconds: Int64
    switch argument.dropFirst(digits.count) {
    case "ms": milliseconds = number
    case "s": milliseconds = number * 1000
    case "m": milliseconds = number * 60_000
    case "h": milliseconds = number * 3_600_000
    default: return nil
    }
    guard milliseconds <= 86_400_000 else { return nil }
    duration = .milliseconds(milliseconds)
  }

  /// Reads the same. Throws what to write instead.
  package static func parse(_ argument: String) throws -> DurationArgument {
    if let duration = DurationArgument(argument: argument) { return duration }
    let isNumber = !argument.isEmpty && argument.allSatisfy { ("0"..."9").contains($0) }
    throw DurationFailure(
      description: isNumber
        ? "give a unit, such as \(argument)s" : "give a whole number and a unit, such as 10s or 500ms")
  }

  /// Reads the same, and throws for no time at all.
  package static func parseSome(_ argument: String) throws -> DurationArgument {
    let parsed = try parse(argument)
    guard parsed.duration > .zero else { throw DurationFailure(description: "give at least 1ms") }
    return parsed
  }

  /// The duration in whole milliseconds.
  package var milliseconds: Int64 {
    let (seconds, rest) = duration.components
    return seconds * 1000 + rest / 1_000_000_000_000_000
  }

  package var defaultValueDescription: String {
    milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
  }
}

/// Why a text is no duration.
struct DurationFailure: Error, CustomStringConvertible {
  var description: String
}
