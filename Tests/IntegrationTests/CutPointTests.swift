import TestSupport
import Testing

/// The library that numbers the calls of a program sees messages, however the program cuts them into calls.
struct CutPointTests {
  /// Runs a Python program that has the ends `a` and `b` of a pair of sockets, and `store(type, body)`, which returns a
  /// message to xenstored. Returns its calls as `name +` or `name -`, with the text.
  private func calls(_ program: String) async throws -> [String] {
    let folder = try TemporaryFolder()
    try folder.write("calls", "")
    let preamble = """
      import os, socket, struct
      a, b = socket.socketpair()
      def store(kind, body): return struct.pack("<IIII", kind, 1, 0, len(body)) + body

      """
    let result = try await Command(
      "/usr/bin/python3", ["-B", "-c", preamble + program],
      environment: ["LD_PRELOAD": try builtFile("libBerthCut.so"), "BERTH_CUT_LOG": folder.path + "/calls"]
    ).run()
    try #require(result.status == 0, "\(result)")
    return String(decoding: try folder.read("calls"), as: UTF8.self).split(separator: "\n").compactMap { line in
      let fields = line.split(separator: "\t", maxSplits: 3, omittingEmptySubsequences: false)
      guard fields.count == 4, fields[1].hasPrefix("send") else { return nil }
      return "\(fields[2]) \(fields[3])"
    }
  }

  @Test func `header and body in two calls`() async throws {
    let found = try await calls(#"m = store(11, b"/a\0x"); a.send(m[:16]); a.send(m[16:]); a.send(store(2, b"/a\0"))"#)
    #expect(found == ["- WRITE", "+ /a.x"])
  }

  @Test func `two messages in one call`() async throws {
    let found = try await calls(
      #"a.send(store(2, b"/a\0") + store(11, b"/a\0x")); a.send(store(13, b"/a\0") + store(2, b"/b\0"))"#)
    #expect(found == ["+ WRITE", "+ RM"])
  }

  @Test func `a header in two calls`() async throws {
    let found = try await calls(
      #"m = store(13, b"/a\0"); a.send(m[:2]); a.send(m[2:9]); a.send(m[9:]); a.send(store(13, b"/b\0"))"#)
    #expect(found == ["- RM", "+ RM", "+ RM"])
  }

  @Test func `a question in two calls is still a question, and the next request is seen`() async throws {
    let found = try await calls(
      """
      a.send(b'{"execute":"query-pci"'); a.send(b'}\\r\\n'); a.send(b'{"execute":"device_del"'); a.send(b'}\\r\\n')
      a.send(store(1, b"/a\\0")[:20]); a.send(store(1, b"/a\\0")[20:]); a.send(store(12, b"/a\\0"))
      """)
    #expect(found.map { $0.prefix(1) } == ["-", "+", "+"], "\(found)")
    #expect(found.last == "+ MKDIR")
  }

  @Test func `what the kernel did not take is sent again, and read once`() async throws {
    let found = try await calls(
      """
      a.setblocking(False)
      m = store(11, b"/a\\0" + b"x" * 4000)
      sent = 0
      while True:
        try: n = a.send(m[sent:])
        except BlockingIOError: b.recv(1 << 20); continue
        sent += n
        if sent == len(m): break
      rest = store(2, b"/a\\0") * 200000
      n = a.send(rest)
      assert n < len(rest)
      b.setblocking(False)
      while n < len(rest):
        try: n += a.send(rest[n:])
        except BlockingIOError: b.recv(1 << 20)
      a.send(store(13, b"/a\\0"))
      """)
    #expect(found.last == "+ RM", "\(found)")
    #expect(found.count == 2, "\(found)")
  }

  @Test func `opening a folder is no change`() async throws {
    let found = try await calls(#"os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY)); a.send(store(13, b"/a\0"))"#)
    #expect(found == ["+ RM"])
  }
}
