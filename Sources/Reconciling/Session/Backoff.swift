/// Pauses between two looks: each is twice as long as the one before, up to a limit.
struct Backoff {
  private var pause: Duration
  private let limit: Duration

  init(from first: Duration, to limit: Duration) { (pause, self.limit) = (first, limit) }

  /// Returns the next pause.
  mutating func next() -> Duration {
    defer { pause = min(pause * 2, limit) }
    return pause
  }
}
