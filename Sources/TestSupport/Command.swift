import Glibc

/// A program to run in a test: with its own process group, so that nothing of it outlives the test.
package struct Command: Sendable {
  package var program: String
  package var arguments: [String]
  /// Added to this process's environment, in place of what is there by the same name.
  package var environment: [String: String]
  /// What it gets on standard input; nil gives it /dev/null.
  package var input: String?

  package init(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], input: String? = nil
  ) {
    self.program = program
    self.arguments = arguments
    self.environment = environment
    self.input = input
  }

  /// How a program ended, and what it said.
  package struct Result: Sendable {
    /// The exit code; for a signal 128 and its number, as in a shell.
    package var status: Int32
    package var output: String
    package var errors: String
    package var duration: Duration
  }

  /// Why a program could not be run to its end.
  package struct Failure: Error, CustomStringConvertible {
    package var description: String
  }

  /// Runs the program to its end, on a thread of its own.
  ///
  /// Past the deadline the program and its children are killed, and the failure holds what it had said.
  package func run(within deadline: Duration = .seconds(60)) async throws -> Result {
    try await onThread { try runHere(within: deadline) }
  }

  /// Starts the program and lets it run; the caller ends it.
  package func start() throws -> RunningProcess { try RunningProcess(self) }

  private func runHere(within deadline: Duration) throws -> Result {
    let clock = ContinuousClock()
    let begin = clock.now
    let process = try RunningProcess(self)
    let isWhole = process.collect(until: begin + deadline) { _ in false }
    guard isWhole else {
      process.end(SIGKILL)
      throw Failure(description: "\(self) did not end within \(deadline)\n\(process.output)\(process.errors)")
    }
    return Result(
      status: process.waitForExit(), output: process.output, errors: process.errors, duration: clock.now - begin)
  }
}

extension Command: CustomStringConvertible {
  package var description: String { ([program] + arguments).joined(separator: " ") }
}
