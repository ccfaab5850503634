import Glibc

/// A program to run in a test. It has its own process group, so that no child outlives the test.
package struct Command: Sendable {
  package var program: String
  package var arguments: [String]
  /// Variables that are added to this process's environment, replacing those with the same name.
  package var environment: [String: String]
  /// The text for standard input; nil gives the program /dev/null.
  package var input: String?

  package init(
    _ program: String, _ arguments: [String] = [], environment: [String: String] = [:], input: String? = nil
  ) {
    self.program = program
    self.arguments = arguments
    self.environment = environment
    self.input = input
  }

  /// A program's exit code and output.
  package struct Result: Sendable {
    /// The exit code; for a signal 128 plus its number, as in a shell.
    package var status: Int32
    package var output: String
    package var errors: String
    package var duration: Duration
  }

  /// The reason why a program could not be run to its end.
  package struct Failure: Error, CustomStringConvertible {
    package var description: String
  }

  /// Runs the program to its end, on a thread of its own.
  ///
  /// After the deadline the program and its children are killed, and the failure has the output so far.
  package func run(within deadline: Duration = .seconds(60)) async throws -> Result {
    try await onThread { try runHere(within: deadline) }
  }

  /// Starts the program and returns; the caller ends it.
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
