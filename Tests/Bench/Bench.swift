import Glibc

/// Measures Berth: a table for people on standard output, and the same figures as one flat JSON object in a file.
///
///     berth-bench [--json FILE] [PART…]
///
/// Without parts, all are measured. `berth` and the preload library must be beside this program.
@main
struct Bench {
  private static let parts: [(name: String, measure: @Sendable (Programs) throws -> Section)] = [
    // These parts are first: a new process begins with the memory peak of the process that started it (exec_mmap,
    // fs/exec.c).
    ("start-up", measureStartUp), ("fleet", measureFleet), ("plan", measureLargePlan), ("requests", measureRequests),
    ("kinds", measureKindRequests), ("lock", measureLock),
    ("planner", measurePlanner), ("saved-plan", measureSavedPlan), ("inventory", measureInventory),
  ]

  static func main() {
    var words = CommandLine.arguments.dropFirst()
    var file: String?
    if words.first == "--json" {
      words = words.dropFirst()
      file = words.popFirst()
    }
    let unknown = words.filter { word in !parts.contains { $0.name == word } }
    guard unknown.isEmpty else {
      tell(
        "berth-bench: no such part: \(unknown.joined(separator: " ")); there are "
          + parts.map(\.name).joined(separator: " "), to: STDERR_FILENO)
      exit(64)
    }
    var figures: [Figure] = []
    do {
      let programs = try Programs()
      for part in parts where words.isEmpty || words.contains(part.name) {
        let section = try part.measure(programs)
        tell(section.text, to: STDOUT_FILENO)
        figures += section.figures
      }
      if let file { try write(jsonObject(figures), to: file) }
    } catch {
      tell("berth-bench: \(error)", to: STDERR_FILENO)
      exit(1)
    }
  }

  private static func jsonObject(_ figures: [Figure]) -> String {
    "{\n" + figures.map { "  \"\($0.key)\": \($0.value)" }.joined(separator: ",\n") + "\n}\n"
  }
}

/// One measured number under its stable name.
struct Figure {
  let key: String
  /// The figure in its JSON form.
  let value: String

  init(_ key: String, _ value: Int) { (self.key, self.value) = (key, String(value)) }
  init(_ key: String, _ value: Double) { (self.key, self.value) = (key, value.text(decimals: 3)) }
}

/// The results of one part.
struct Section {
  var title: String
  /// The first row is the head.
  var rows: [[String]]
  var figures: [Figure]
  var notes: [String] = []

  /// The rows in columns: the first is left-aligned, the others are right-aligned.
  var text: String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    let lines = rows.map { row in
      row.enumerated().map { column, cell in
        let blanks = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? cell + blanks : blanks + cell
      }.joined(separator: "  ")
    }
    return (["", title] + lines.map { "  " + $0 } + notes.map { "  " + $0 }).joined(separator: "\n") + "\n"
  }
}

/// Why a figure cannot be measured.
struct BenchError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Writes the whole text, unless its reader is gone.
func tell(_ text: String, to descriptor: Int32) {
  var rest = Array((text.hasSuffix("\n") ? text : text + "\n").utf8)[...]
  while !rest.isEmpty {
    let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    guard count > 0 else { return }
    rest = rest.dropFirst(count)
  }
}

/// Writes a file, in place of an earlier one.
func write(_ text: String, to path: String) throws(BenchError) {
  guard let file = unsafe fopen(path, "w") else { throw BenchError("cannot write \(path): errno \(errno)") }
  let isWritten = unsafe fputs(text, file) >= 0
  guard unsafe fclose(file) == 0, isWritten else { throw BenchError("cannot write \(path): errno \(errno)") }
}

extension Double {
  /// Returns the number rounded to the given number of decimals.
  func text(decimals: Int) -> String {
    let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
    let whole = Int((self * scale).rounded())
    guard decimals > 0 else { return String(whole) }
    let digits = String(abs(whole))
    let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
    return (whole < 0 ? "-" : "") + padded.dropLast(decimals) + "." + padded.suffix(decimals)
  }
}

extension Duration {
  var milliseconds: Double {
    Double(components.seconds) * 1000 + Double(components.attoseconds) / 1_000_000_000_000_000
  }
}

extension [Double] {
  /// The median; the lower one of two middle values.
  var median: Double { isEmpty ? 0 : sorted()[(count - 1) / 2] }
  var least: Double { self.min() ?? 0 }
  var most: Double { self.max() ?? 0 }
}

/// Returns how long `body` takes, in milliseconds.
func milliseconds(of body: () throws -> Void) rethrows -> Double {
  let start = ContinuousClock.now
  try body()
  return (ContinuousClock.now - start).milliseconds
}
