import TestSupport

/// Runs blocking work on `count` threads at once, and waits for all of them.
func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) async throws {
  try await withThrowingTaskGroup(of: Void.self) { group in
    for index in 0..<count { group.addTask { try await onThread { try body(index) } } }
    try await group.waitForAll()
  }
}
