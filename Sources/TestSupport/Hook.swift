import Synchronization

/// A function that a test sets, and that the code beside the test calls.
///
/// A `Mutex` does not hold the function itself. A generic type keeps functions in its own form, and each access to one
/// from outside puts another adapter around it. After a thousand accesses, one call would pass two thousand adapters.
package final class Hook<Input, Output>: Sendable {
  package typealias Function = @Sendable (Input) -> Output
  private struct Held: Sendable { var function: Function? }
  private let held = Mutex(Held())

  package init() {}

  /// The function, or nil if none is set.
  package var function: Function? {
    get { held.withLock { $0.function } }
    set { held.withLock { $0.function = newValue } }
  }

  /// Calls the function without the lock. Returns nil if none is set.
  @discardableResult
  package func callAsFunction(_ input: Input) -> Output? {
    let held = held.withLock { $0 }
    return held.function?(input)
  }

  /// Removes the function, and returns it.
  package func take() -> Function? {
    held.withLock { held in
      defer { held.function = nil }
      return held.function
    }
  }
}

extension Hook where Input == Void {
  /// Calls the function without the lock. Returns nil if none is set.
  @discardableResult
  package func callAsFunction() -> Output? { callAsFunction(()) }
}
