import Glibc
import TestSupport
import Testing

@testable import LinuxAdapter

/// Programs that end in time, say as much as they may, and leave nothing behind.
@Suite struct BoundedProgramTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func shell(_ script: String, input: String = "", mostFileBytes: UInt64 = 1 << 20) -> BoundedProgram {
    BoundedProgram(
      path: "/bin/sh", arguments: ["-c", script], environment: ["PATH": "/usr/bin:/bin", "HERE": folder.path],
      input: Array(input.utf8), mostFileBytes: mostFileBytes)
  }

  private func run(_ script: String, input: String = "", within time: Duration = .seconds(60)) throws
    -> BoundedProgram.Answer
  {
    try shell(script, input: input).run(within: time)
  }

  @Test func `a program says what it says, and how it ended`() throws {
    let answer = try run("cat; echo no >&2; exit 3", input: "yes\n")
    #expect(answer.status == 3 && answer.output == Array("yes\n".utf8) && answer.messages == "no\n")
    #expect(try run("kill -9 $$").status == 137)
    #expect(try run("cat | wc -c", input: String(repeating: "x", count: 300_000)).output.starts(with: "300000".utf8))
    // It need not read what it is given.
    #expect(try run("exec <&-; exit 0", input: String(repeating: "x", count: 300_000)).status == 0)
  }

  @Test func `a program has the given variables, no other file, and signals with their effects`() throws {
    #expect(String(decoding: try run("env | cut -d= -f1 | sort").output, as: UTF8.self) == "HERE\nPATH\nPWD\n")
    let open = try unsafe #require(open(folder.path, O_RDONLY) as Int32?)
    defer { close(open) }
    // `ls` itself has the folder that it lists.
    #expect(String(decoding: try run("ls /proc/self/fd").output, as: UTF8.self) == "0\n1\n2\n3\n")
    // Only SIGXFSZ, number 25, is ignored.
    let ignored = String(decoding: try run("grep SigIgn /proc/self/status").output, as: UTF8.self)
    let mask = UInt64(ignored.split { $0.isWhitespace }.last ?? "", radix: 16)
    // 32 and 33 are glibc's own (nptl/pthreadP.h): no program of this process can set them, whoever ignored them before.
    #expect(mask.map { $0 & 0x7FFF_FFFF } == 0x0100_0000, "\(ignored)")
  }

  @Test func `a program that is too slow is ended, with all that it has started`() throws {
    // Both the program and its child keep a pipe open, which is at its end when both have ended.
    let pipe = "\(folder.path)/pipe"
    try #require(unsafe mkfifo(pipe, 0o600) == 0)
    let reader = try Descriptor(opening: pipe, O_RDONLY | O_NONBLOCK)
    let script = "exec 7>\"$HERE/pipe\"; echo x >&7; sleep 1000 & sleep 1000"
    #expect { try run(script, within: .milliseconds(500)) } throws: { error in
      if case BoundedProgram.Failure.timedOut = error { true } else { false }
    }
    // A pipe whose writers are gone reads as ended; with a writer it would have nothing to read yet.
    var entry = pollfd(fd: reader.number, events: Int16(POLLIN), revents: 0)
    for _ in 0..<2 {
      try #require(unsafe poll(&entry, 1, 60_000) == 1)
      var byte = [UInt8](repeating: 0, count: 16)
      if unsafe read(reader.number, &byte, byte.count) == 0 { return }
    }
    Issue.record("a process of the program is alive")
  }

  @Test func `children that outlive a program are ended with it`() throws {
    let answer = try run("sleep 1000 & echo $!")
    let child = try #require(pid_t(String(decoding: answer.output, as: UTF8.self).dropLast()))
    let deadline = ContinuousClock.now + .seconds(60)
    // It ends as soon as the kernel runs it; whoever adopted it reaps it later.
    while kill(child, 0) == 0, LockTable.stateLetter(of: Int(child)) != "Z" { try #require(.now < deadline) }
  }

  @Test func `a program that says too much is ended`() {
    #expect { try run("yes") } throws: { error in
      if case BoundedProgram.Failure.tooMuch = error { true } else { false }
    }
  }

  @Test func `messages beyond the bound are dropped`() throws {
    let answer = try run("yes | head -c 1000000 >&2; echo end")
    #expect(answer.messages.utf8.count == BoundedProgram.mostMessages && answer.output == Array("end\n".utf8))
  }

  @Test func `no file becomes larger than it may`() throws {
    let answer = try shell("head -c 5000 /dev/zero >\"$HERE/file\"", mostFileBytes: 4096).run(within: .seconds(60))
    #expect(answer.status == 1 && answer.messages.contains("File too large"), "\(answer)")
    #expect(try folder.read("file").count == 4096)
  }

  @Test func `a program that cannot be executed has failed`() throws {
    let program = BoundedProgram(path: folder.path, arguments: [], environment: [:])
    #expect(try program.run(within: .seconds(60)).status == 127)
  }
}
