import Glibc
import TestSupport
import Testing

/// The basis of the other tests: a program's run is reported in full, and the program never outlives its test.
struct `Running programs` {
  @Test func `the exit code and both outputs are reported`() async throws {
    let result = try await Command(
      "/bin/sh", ["-c", "read a; echo out $a $B; echo err >&2; exit 7"],
      environment: ["B": "b"], input: "in\n"
    ).run()
    #expect(result.status == 7)
    #expect(result.output == "out in b\n")
    #expect(result.errors == "err\n")
  }

  @Test func `a program past its deadline is a failure that contains its output`() async throws {
    let command = Command("/bin/sh", ["-c", "echo so far; sleep 1000"])
    let failure = await #expect(throws: Command.Failure.self) { try await command.run(within: .milliseconds(300)) }
    #expect(failure?.description.contains("so far") == true)
  }

  @Test func `a program's children end with it`() throws {
    let process = try Command("/bin/sh", ["-c", "sleep 1000 & echo begun; wait"]).start()
    #expect(process.collect(until: .now + .seconds(20)) { $0.output == "begun\n" })
    #expect(process.end(SIGTERM) == 128 + SIGTERM)
    // The child had the outputs too: they close when it is gone.
    #expect(process.collect(until: .now + .seconds(20)) { _ in false })
  }

  @Test func `the programs of a schedule begin at their moments, and end in the schedule's order`() async throws {
    let commands = [200, 0].map { delay in
      (delay: Duration.milliseconds(delay), command: Command("/bin/sh", ["-c", "echo \(delay)"]))
    }
    let ends = try await ProgramStarts(commands).run()
    #expect(ends.map(\.result.output) == ["200\n", "0\n"])
    #expect(ends[0].time.lowerBound >= .milliseconds(200))
  }

  @Test func `a missing program is reported`() async throws {
    await #expect(throws: Command.Failure.self) { try await Command("/usr/bin/not-there").run() }
  }
}
