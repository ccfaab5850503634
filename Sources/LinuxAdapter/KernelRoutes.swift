import CLinux
import Glibc
import Model

/// The routes of this machine, from its kernel (rtnetlink(7)).
///
/// `/proc/net/route` has the main table of IPv4 only. A default route in another table, which a rule selects, is not there.
struct KernelRoutes: RouteSource {
  /// The kernel answers at once. If it does not, something is wrong with what it is asked.
  private static let seconds = 5
  /// While routes change, the kernel marks a list that may not be whole.
  private static let mostAttempts = 4

  func defaultRoutes() throws(ReadFailure) -> [DefaultRoute] {
    var found: [DefaultRoute] = []
    for (family, number) in [(DefaultRoute.Family.ipv4, AF_INET), (.ipv6, AF_INET6)] {
      for route in try ask(RouteQuestion.all(family: UInt8(number))) {
        guard route.family == UInt8(number), route.isToHosts, route.bits <= family.mostBitsOfEverywhere else {
          continue
        }
        found.append(
          DefaultRoute(
            family: family, table: Self.name(ofTable: route.table),
            interfaces: route.interfaces.map(Self.name(ofInterface:))))
      }
    }
    return found
  }

  func interfaces(to peer: InternetAddress, from source: InternetAddress?) throws(ReadFailure) -> [String] {
    let family = UInt8(peer.family == .ipv4 ? AF_INET : AF_INET6)
    let source = source.flatMap { $0.family == peer.family ? $0.bytes : nil }
    do throws(ReadFailure) {
      return try ask(RouteQuestion.one(family: family, to: peer.bytes, from: source)).flatMap(\.interfaces)
        .map(Self.name(ofInterface:))
    } catch {
      // No route leads there, or the address is none of this machine's any more.
      let unknown: [Int32] = [ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL, ESRCH, ENOENT]
      if case .failed(let number) = error.cause, unknown.contains(number) { return [] }
      throw error
    }
  }

  /// `RT_TABLE_MAIN` and its like have names (include/uapi/linux/rtnetlink.h).
  private static func name(ofTable number: UInt32) -> String {
    switch number {
    case 253: "default"
    case 254: "main"
    case 255: "local"
    default: "\(number)"
    }
  }

  private static func name(ofInterface number: UInt32) -> String {
    var buffer = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
    guard unsafe if_indextoname(number, &buffer) != nil else { return "#\(number)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: The socket

  private func ask(_ question: [UInt8]) throws(ReadFailure) -> [RouteMessage] {
    for _ in 0..<Self.mostAttempts {
      var answer = RouteAnswer()
      do throws(SystemFailure) { try Self.exchange(question, &answer) } catch {
        throw ReadFailure(place: "rtnetlink", .failed(error.errno))
      }
      if answer.isMalformed { throw ReadFailure(place: "rtnetlink", .malformed) }
      if answer.failure != 0 { throw ReadFailure(place: "rtnetlink", .failed(answer.failure)) }
      if !answer.isInterrupted { return answer.routes }
    }
    throw ReadFailure(place: "rtnetlink", .failed(EAGAIN))
  }

  private static func exchange(_ question: [UInt8], _ answer: inout RouteAnswer) throws(SystemFailure) {
    let socket = Descriptor(
      opened: try retrying("socket") {
        Glibc.socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), NETLINK_ROUTE)
      })
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      _ = try retrying("setsockopt") {
        unsafe setsockopt(socket.number, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
      }
    }
    _ = try retrying("send") {
      unsafe question.withUnsafeBytes { unsafe Int32(send(socket.number, $0.baseAddress, $0.count, 0)) }
    }
    // The kernel fills at most 32 KiB at once (`netlink_dump`, Linux net/netlink/af_netlink.c, 6.1).
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while !answer.isComplete {
      let count = Int(
        try retrying("receive") { unsafe Int32(recv(socket.number, &buffer, buffer.count, Int32(MSG_TRUNC))) })
      guard count > 0, count <= buffer.count else { throw SystemFailure("receive", EMSGSIZE) }
      answer.read(buffer[..<count])
    }
  }
}
