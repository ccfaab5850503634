import Model
import Planning
import Rendering
import Synchronization

/// Writes the events of a run to standard output, one JSON document per line, as they happen.
final class EventLines: Sendable {
  private let write: @Sendable (TerminalText) -> Void
  private let now: @Sendable () -> Int64
  private let place: HostPlace
  /// Events come from several threads, and each line is written whole.
  private let turn = Mutex(())

  init(context: CommandContext, place: HostPlace) {
    write = context.standardOutput
    now = context.wallClock
    self.place = place
  }

  func report(_ event: RunEvent) {
    guard let document = RunEventDocument(event, at: now(), place: place) else { return }
    turn.withLock { _ in
      // An event that cannot be written is no reason to end the run; the last line has the whole result.
      do { write(try document.line()) } catch { return }
    }
  }
}
