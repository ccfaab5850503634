package import Model

/// One message of xenstored's protocol: a header of four words and a payload (`struct xsd_sockmsg`,
/// xen/include/public/io/xs_wire.h, Xen 4.17). The words have the host's byte order, which is little-endian wherever Xen
/// runs.
package struct StoreMessage: Hashable, Sendable {
  /// The messages in use, by their numbers in `enum xsd_sockmsg_type`.
  package enum Kind: UInt32, Sendable, CaseIterable {
    case directory = 1
    case read = 2
    case getPermissions = 3
    case watch = 4
    case unwatch = 5
    case transactionStart = 6
    case transactionEnd = 7
    case introduce = 8
    case release = 9
    case write = 11
    case makeDirectory = 12
    case remove = 13
    case setPermissions = 14
    case watchEvent = 15
    case error = 16
    case directoryPart = 22
  }

  /// The maximum number of bytes of a request's payload (`XENSTORE_PAYLOAD_MAX`).
  package static let longestPayload = 4096
  /// The maximum number of bytes of a reply's payload that is taken.
  ///
  /// oxenstored sends a long listing to a socket in one reply, whatever its length, and knows no request for a part of it
  /// (`packet_of`, tools/ocaml/xenstored/connection.ml, Xen 4.20). This is enough for the claims of 80 000 devices.
  package static let longestReply = 1 << 20
  static let headerBytes = 16

  /// What the message is; nil if Berth does not know its number.
  package let kind: Kind?
  /// The number of the request; a reply has the number of its request.
  package let request: UInt32
  package let payload: [UInt8]

  /// Returns the bytes of a request; nil if its payload is longer than xenstored accepts.
  ///
  /// Each of `words` ends in NUL. A `value`, which is written, comes last and does not.
  package static func bytes(
    of kind: Kind, _ words: [String], value: String? = nil, request: UInt32, transaction: UInt32
  ) -> [UInt8]? {
    let length = words.reduce(0) { $0 + $1.utf8.count + 1 } + (value?.utf8.count ?? 0)
    guard length <= longestPayload else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(headerBytes + length)
    for word in [kind.rawValue, request, transaction, UInt32(length)] {
      for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    for word in words {
      bytes += word.utf8
      bytes.append(0)
    }
    if let value { bytes += value.utf8 }
    return bytes
  }

  /// The payload up to its first NUL. Bytes that are not UTF-8 are replaced.
  package var firstWord: String { String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self) }

  /// The words of the payload, which NULs end. Bytes that are not UTF-8 are replaced.
  package var words: [String] { payload.split(separator: 0).map { String(decoding: $0, as: UTF8.self) } }

  /// The error number that an `error` message names. As in libxenstore, a name without a known number counts as EINVAL
  /// (`get_error`, tools/libs/store/xs.c, Xen 4.17).
  package var errorNumber: ErrorNumber { ErrorNumber(name: firstWord) ?? .invalid }
}

/// The bytes that xenstored has sent, of which messages are taken.
package struct StoreInput: Sendable {
  /// A message is longer than xenstored sends. What follows cannot be told apart any more.
  package struct Malformed: Error, Hashable {}

  private var bytes: [UInt8] = []
  /// The number of bytes in `bytes` that were taken already.
  private var taken = 0

  package init() {}

  /// Adds bytes that have arrived.
  package mutating func add(_ arrived: some Sequence<UInt8>) {
    if taken == bytes.count {
      bytes.removeAll(keepingCapacity: true)
      taken = 0
    }
    bytes += arrived
  }

  /// Returns the next whole message, and takes it; nil if none is here yet.
  package mutating func next() throws(Malformed) -> StoreMessage? {
    guard bytes.count - taken >= StoreMessage.headerBytes else { return nil }
    let length = Int(word(at: 12))
    guard length <= StoreMessage.longestReply else { throw Malformed() }
    let end = taken + StoreMessage.headerBytes + length
    guard end <= bytes.count else { return nil }
    let message = StoreMessage(
      kind: StoreMessage.Kind(rawValue: word(at: 0)), request: word(at: 4),
      payload: Array(bytes[(taken + StoreMessage.headerBytes)..<end]))
    taken = end
    return message
  }

  private func word(at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[taken + offset + $1]) << UInt32(8 * $1) }
  }
}
