import Glibc

/// The length of the concurrency tests, and the file for their figures.
///
/// `make soak` sets `BERTH_ROUNDS` and `BERTH_RACES`, and collects the figures from the file that `BERTH_SOAK_REPORT`
/// names.
package enum SoakReport {
  /// The number of rounds of a test that could continue for ever.
  package static let rounds = environment("BERTH_ROUNDS").flatMap { Int($0) } ?? 2
  /// The number of races of processes on each xenstored.
  package static let races = environment("BERTH_RACES").flatMap { Int($0) } ?? 2
  /// The number of sandboxes on which they run at once. Each of them waits most of the time.
  package static let raceTracks = isSoak ? 4 : 1
  /// The number of rounds of a race in which each round takes as long as another toolstack may wait.
  package static let longRounds = environment("BERTH_ROUNDS").flatMap { Int($0) } ?? 1

  /// Whether everything is tried, instead of a sample.
  package static let isSoak = environment("BERTH_ROUNDS") != nil

  /// Adds figures, one line each. Figures with the same name are added up later.
  package static func add(_ figures: KeyValuePairs<String, Int>) throws {
    guard let path = environment("BERTH_SOAK_REPORT") else { return }
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw Command.Failure(description: "cannot write \(path): \(errno)") }
    defer { close(file) }
    let text = Array(figures.map { "\($0.key) \($0.value)\n" }.joined().utf8)
    guard unsafe write(file, text, text.count) == text.count else {
      throw Command.Failure(description: "cannot write \(path): \(errno)")
    }
  }

  private static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}
