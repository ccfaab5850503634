import Model
import Testing
import XenProtocol

/// xenstored's protocol as bytes.
@Suite struct StoreMessageTests {
  /// A reply with this kind and payload, as xenstored would send it.
  private func reply(_ kind: UInt32, request: UInt32 = 7, _ payload: String, length: UInt32? = nil) -> [UInt8] {
    let words: [UInt32] = [kind, request, 0, length ?? UInt32(payload.utf8.count)]
    return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> UInt32(8 * $0)) } }
      + payload.utf8
  }

  @Test func `a request is its header, its words and its value`() {
    #expect(
      StoreMessage.bytes(of: .write, ["/a"], value: "12", request: 3, transaction: 258)
        == [11, 0, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0, 5, 0, 0, 0, 0x2F, 0x61, 0, 0x31, 0x32])
    #expect(
      StoreMessage.bytes(of: .transactionStart, [""], request: 1, transaction: 0)
        == [6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
  }

  @Test func `a request that is too long is none`() {
    let longest = String(repeating: "x", count: StoreMessage.longestPayload - 3)
    #expect(StoreMessage.bytes(of: .write, ["/a"], value: longest, request: 1, transaction: 0) != nil)
    #expect(StoreMessage.bytes(of: .write, ["/a"], value: longest + "x", request: 1, transaction: 0) == nil)
    #expect(StoreMessage.bytes(of: .read, [longest + "xxx"], request: 1, transaction: 0) == nil)
  }

  @Test func `messages are taken whole, in whatever pieces they come`() throws {
    let bytes = reply(2, request: 1, "one") + reply(15, request: 0, "/a\0token\0") + reply(16, request: 2, "ENOENT\0")
    for size in 1...bytes.count {
      var input = StoreInput()
      var messages: [StoreMessage] = []
      for start in stride(from: 0, to: bytes.count, by: size) {
        input.add(bytes[start..<min(start + size, bytes.count)])
        while let message = try input.next() { messages.append(message) }
      }
      #expect(messages.map(\.kind) == [.read, .watchEvent, .error])
      #expect(messages.map(\.request) == [1, 0, 2])
      #expect(messages[0].payload == Array("one".utf8))
      #expect(messages[1].words == ["/a", "token"])
      #expect(messages[2].errorNumber == .noEntry)
    }
  }

  @Test func `a message longer than xenstored sends is malformed before its end has come`() throws {
    var input = StoreInput()
    input.add(reply(2, "", length: UInt32(StoreMessage.longestReply + 1)))
    #expect(throws: StoreInput.Malformed.self) { try input.next() }
    var longest = StoreInput()
    longest.add(reply(2, String(repeating: "x", count: StoreMessage.longestReply)))
    #expect(try longest.next()?.payload.count == StoreMessage.longestReply)
  }

  @Test func `an unknown kind is kept apart, and an unknown error counts as EINVAL`() throws {
    var input = StoreInput()
    input.add(reply(99, "x") + reply(16, "EQUOTA\0") + reply(16, ""))
    #expect(try input.next()?.kind == nil)
    #expect(try input.next()?.errorNumber == .invalid)
    #expect(try input.next()?.errorNumber == .invalid)
    #expect(try input.next() == nil)
  }
}
