import CLinux
import Glibc
import Model
import TestSupport
import Testing

@testable import LinuxAdapter

/// Routes as the kernel's messages have them, and this machine's own.
@Suite struct RouteTests {
  // MARK: Messages

  private func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
  }

  private func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
    bytes(UInt16(4 + value.count)) + bytes(type) + value
      + [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
  }

  private func message(_ type: Int, flags: Int = 0, _ body: [UInt8]) -> [UInt8] {
    bytes(UInt32(16 + body.count)) + bytes(UInt16(type)) + bytes(UInt16(flags)) + bytes(UInt32(1)) + bytes(UInt32(0))
      + body
  }

  /// A `struct rtmsg`: family, bits of the destination and of the source, service, table, protocol, scope, type, flags.
  private func route(bits: UInt8 = 0, table: UInt8 = 254, type: UInt8 = 1, _ attributes: [UInt8]) -> [UInt8] {
    [2, bits, 0, 0, table, 3, 0, type] + bytes(UInt32(0)) + attributes
  }

  private func answer(_ messages: [UInt8]...) -> RouteAnswer {
    var answer = RouteAnswer()
    for message in messages { answer.read(message[...]) }
    return answer
  }

  private let part = 2
  private let newRoute = 24

  @Test func `a list of routes ends with its own message`() {
    let one = message(newRoute, flags: part, route(attribute(4, bytes(UInt32(7)))))
    let other = message(newRoute, flags: part, route(bits: 24, table: 0, attribute(15, bytes(UInt32(1000)))))
    var found = answer(one + other)
    #expect(!found.isComplete)
    found.read(message(3, flags: part, bytes(Int32(0)))[...])
    #expect(found.isComplete && !found.isMalformed && found.failure == 0)
    #expect(
      found.routes == [
        RouteMessage(family: 2, bits: 0, table: 254, type: 1, interfaces: [7]),
        RouteMessage(family: 2, bits: 24, table: 1000, type: 1, interfaces: []),
      ])
    #expect(
      found.routes[0].isToHosts && !RouteMessage(family: 2, bits: 0, table: 255, type: 7, interfaces: []).isToHosts)
  }

  @Test func `a route of several ways has each interface`() {
    // `struct rtnexthop`: length, flags, hops, interface; the second one has an attribute of its own.
    let ways =
      bytes(UInt16(8)) + [0, 0] + bytes(UInt32(3)) + bytes(UInt16(16)) + [0, 0] + bytes(UInt32(4))
      + attribute(5, [10, 0, 0, 1])
    let found = answer(message(newRoute, route(attribute(9, ways))))
    #expect(found.isComplete && found.routes.first?.interfaces == [3, 4])
  }

  @Test func `a refusal has the error's number, and an unfinished list is known as such`() {
    #expect(answer(message(2, bytes(Int32(-ENETUNREACH)) + [0, 0, 0, 0])).failure == ENETUNREACH)
    #expect(answer(message(3, flags: part | 16, bytes(Int32(0)))).isInterrupted)
  }

  @Test func `messages that do not fit are malformed`() {
    let whole = message(newRoute, route(attribute(4, bytes(UInt32(7)))))
    for length in 1..<whole.count { #expect(answer(Array(whole[..<length])).isMalformed, "\(length) bytes") }
    // A length that says more, or less than a head.
    for wrong in [UInt32(400), 15, 0] { #expect(answer(bytes(wrong) + whole.dropFirst(4)).isMalformed) }
    for wrong in [UInt16(3), 60] {
      let attribute = bytes(wrong) + bytes(UInt16(4)) + bytes(UInt32(7))
      #expect(answer(message(newRoute, route(attribute))).isMalformed)
      #expect(
        answer(message(newRoute, route(self.attribute(9, bytes(wrong) + [0, 0] + bytes(UInt32(7)))))).isMalformed)
    }
    #expect(answer(message(2, [])).isMalformed)
    #expect(answer(message(2, bytes(Int32.min))).isMalformed)
  }

  // MARK: This machine

  @Test func `this machine's kernel answers, and has each default route that its old table shows`() throws {
    let routes = try KernelRoutes().defaultRoutes()
    // `eth0 00000000 010011AC 0003 0 0 0 00000000 …`: interface, destination, gateway, …, mask.
    for line in try FactFiles().lines("/proc/net/route").dropFirst() {
      let words = line.split(separator: "\t").map { $0.filter { $0 != " " } }
      guard words.count > 7, words[1] == "00000000", words[7] == "00000000" else { continue }
      #expect(routes.contains { $0.family == .ipv4 && $0.table == "main" && $0.interfaces.contains(String(words[0])) })
    }
    let own = try #require(InternetAddress("127.0.0.1"))
    #expect(Set(try KernelRoutes().interfaces(to: own, from: own)).isSubset(of: ["lo"]))
    // An address for documentation: with or without a route there, the answer is one.
    let peer = try #require(InternetAddress("2001:db8::1"))
    #expect(try KernelRoutes().interfaces(to: peer, from: nil).count <= 1)
  }

  // MARK: Addresses

  @Test func `addresses are read in both families, and networks by their first bits`() throws {
    func address(_ text: String) throws -> InternetAddress { try #require(InternetAddress(text)) }
    #expect(try address("::ffff:10.0.0.1") == address("10.0.0.1"))
    #expect(try address("FE80::0:1%eth0").text == "fe80::1" && address("fe80::1%eth0").scope == "eth0")
    #expect(try address("fe80::1").isOfOneLink && !address("fec0::1").isOfOneLink && !address("10.0.0.1").isOfOneLink)
    #expect(try address("10.1.2.3").isIn(address("10.1.2.0"), bits: 24))
    #expect(try !address("10.1.3.3").isIn(address("10.1.2.0"), bits: 24))
    #expect(try address("10.1.3.3").isIn(address("10.1.2.0"), bits: 23))
    #expect(try !address("10.1.3.3").isIn(address("::"), bits: 0))
    for text in ["", "10.0.0", "10.0.0.256", "::1::", "storage.example", "10.0.0.1/24"] {
      #expect(InternetAddress(text) == nil)
    }
  }
}
