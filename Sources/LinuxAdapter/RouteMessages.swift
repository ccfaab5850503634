import CLinux
import Glibc

/// A route, as the kernel's messages have it.
struct RouteMessage: Hashable {
  let family: UInt8
  /// How many bits of the destination count.
  let bits: Int
  let table: UInt32
  /// `RTN_UNICAST` and others.
  let type: UInt8
  /// The numbers of the interfaces by which packets may leave.
  let interfaces: [UInt32]

  /// Whether packets leave by it: other types are the host's own addresses, or refuse packets.
  var isToHosts: Bool { type == UInt8(RTN_UNICAST) }
}

/// Requests to the kernel for routes: `struct nlmsghdr` and `struct rtmsg`, then attributes (rtnetlink(7)).
enum RouteQuestion {
  private static let head = MemoryLayout<nlmsghdr>.size + MemoryLayout<rtmsg>.size

  /// Returns the request for all routes of a family.
  static func all(family: UInt8) -> [UInt8] {
    message(flags: UInt16(NLM_F_REQUEST) | UInt16(NLM_F_ROOT) | UInt16(NLM_F_MATCH), family: family, [])
  }

  /// Returns the request for the route that a packet to an address takes.
  static func one(family: UInt8, to peer: [UInt8], from source: [UInt8]?) -> [UInt8] {
    var attributes = attribute(RTA_DST, peer)
    if let source { attributes += attribute(RTA_SRC, source) }
    return message(
      flags: UInt16(NLM_F_REQUEST), family: family, attributes, bits: UInt8(peer.count * 8),
      sourceBits: UInt8((source?.count ?? 0) * 8))
  }

  private static func attribute(_ type: rtattr_type_t, _ value: [UInt8]) -> [UInt8] {
    // A value of four or sixteen bytes needs no filling.
    bytes(UInt16(MemoryLayout<rtattr>.size + value.count)) + bytes(UInt16(type.rawValue)) + value
  }

  private static func message(
    flags: UInt16, family: UInt8, _ attributes: [UInt8], bits: UInt8 = 0, sourceBits: UInt8 = 0
  ) -> [UInt8] {
    // Length, type, flags, sequence and port; then the family, bits of both addresses, and what is not asked for.
    bytes(UInt32(head + attributes.count)) + bytes(UInt16(RTM_GETROUTE)) + bytes(flags) + bytes(UInt32(1))
      + bytes(UInt32(0)) + [family, bits, sourceBits] + [UInt8](repeating: 0, count: MemoryLayout<rtmsg>.size - 3)
      + attributes
  }

  private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
  }
}

/// What the kernel answered so far.
struct RouteAnswer {
  private(set) var routes: [RouteMessage] = []
  /// The error number; 0 if there is none.
  private(set) var failure: Int32 = 0
  /// What ended the reading, or does not hold for the answer.
  private(set) var state: State = []

  struct State: OptionSet {
    let rawValue: UInt8
    static let complete = State(rawValue: 1)
    static let malformed = State(rawValue: 2)
    /// Routes changed while they were listed.
    static let interrupted = State(rawValue: 4)
  }

  var isComplete: Bool { state.contains(.complete) }
  var isMalformed: Bool { state.contains(.malformed) }
  var isInterrupted: Bool { state.contains(.interrupted) }

  /// Reads what one call returned: whole messages.
  mutating func read(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while !rest.isEmpty {
      guard let length = number(rest, at: 0, UInt32.self).flatMap({ Int(exactly: $0) }),
        length >= MemoryLayout<nlmsghdr>.size, length <= rest.count,
        let type = number(rest, at: 4, UInt16.self), let flags = number(rest, at: 6, UInt16.self)
      else { return state = [.complete, .malformed] }
      if flags & UInt16(NLM_F_DUMP_INTR) != 0 { state.insert(.interrupted) }
      take(type, isPart: flags & UInt16(NLM_F_MULTI) != 0, rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size))
      rest = rest.dropFirst(aligned(length))
    }
  }

  private mutating func take(_ type: UInt16, isPart: Bool, _ body: ArraySlice<UInt8>) {
    switch Int(type) {
    case Int(NLMSG_DONE): state.insert(.complete)
    case Int(NLMSG_ERROR):
      // A negative error number stands first (`struct nlmsgerr`).
      guard let error = number(body, at: 0, Int32.self), error > Int32.min else {
        return state = [.complete, .malformed]
      }
      (failure, state) = (-error, state.union(.complete))
    case Int(RTM_NEWROUTE):
      guard let route = RouteMessage(body) else { return state = [.complete, .malformed] }
      routes.append(route)
      if !isPart { state.insert(.complete) }
    default: break
    }
  }
}

extension RouteMessage {
  /// Reads a `struct rtmsg` and its attributes; returns nil if they do not fit.
  fileprivate init?(_ body: ArraySlice<UInt8>) {
    guard let family = number(body, at: 0, UInt8.self), let bits = number(body, at: 1, UInt8.self),
      let shortTable = number(body, at: 4, UInt8.self), let type = number(body, at: 7, UInt8.self)
    else { return nil }
    var table = UInt32(shortTable)
    var interfaces: [UInt32] = []
    guard
      let attributes = attributes(body.dropFirst(MemoryLayout<rtmsg>.size), headSize: MemoryLayout<rtattr>.size)
    else { return nil }
    for (kind, value) in attributes {
      switch Int(kind) {
      case Int(RTA_TABLE.rawValue): table = number(value, at: 0, UInt32.self) ?? table
      case Int(RTA_OIF.rawValue): interfaces += [number(value, at: 0, UInt32.self)].compactMap(\.self)
      case Int(RTA_MULTIPATH.rawValue):
        guard let hops = Self.hops(value) else { return nil }
        interfaces += hops
      default: break
      }
    }
    (self.family, self.bits, self.table, self.type, self.interfaces) = (family, Int(bits), table, type, interfaces)
  }

  /// Reads the interfaces of several ways: a row of `struct rtnexthop`, each with attributes of its own.
  private static func hops(_ value: ArraySlice<UInt8>) -> [UInt32]? {
    var rest = value
    var interfaces: [UInt32] = []
    while !rest.isEmpty {
      guard let length = number(rest, at: 0, UInt16.self), Int(length) >= MemoryLayout<rtnexthop>.size,
        Int(length) <= rest.count, let interface = number(rest, at: 4, UInt32.self)
      else { return nil }
      interfaces.append(interface)
      rest = rest.dropFirst(aligned(Int(length)))
    }
    return interfaces
  }
}

/// Returns the attributes in a row of them: length, type, value. Nil if one does not fit.
private func attributes(_ bytes: ArraySlice<UInt8>, headSize: Int) -> [(type: UInt16, value: ArraySlice<UInt8>)]? {
  var rest = bytes
  var found: [(UInt16, ArraySlice<UInt8>)] = []
  while !rest.isEmpty {
    guard let length = number(rest, at: 0, UInt16.self), let type = number(rest, at: 2, UInt16.self),
      Int(length) >= headSize, Int(length) <= rest.count
    else { return nil }
    // Two bits of a type are flags (`NLA_TYPE_MASK`).
    found.append((type & 0x3FFF, rest.prefix(Int(length)).dropFirst(headSize)))
    rest = rest.dropFirst(aligned(Int(length)))
  }
  return found
}

/// Returns a length with what fills it to four bytes (`NLMSG_ALIGN`, `RTA_ALIGN`).
private func aligned(_ length: Int) -> Int { (length + 3) & ~3 }

/// Returns the number at an offset, in the order of this machine; nil if it is not there.
private func number<Number: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, at offset: Int, _: Number.Type) -> Number? {
  let part = bytes.dropFirst(offset).prefix(MemoryLayout<Number>.size)
  guard part.count == MemoryLayout<Number>.size else { return nil }
  return unsafe part.withUnsafeBytes { unsafe $0.loadUnaligned(as: Number.self) }
}
