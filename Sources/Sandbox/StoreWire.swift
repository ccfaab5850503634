import Glibc
import Model
import Ports

/// One connection to xenstored in its own protocol (xen/include/public/io/xs_wire.h, Xen 4.17).
///
/// The simulator speaks the protocol itself, as the kernels that it simulates do. It serves many watches from one event
/// loop and introduces domains; Berth's own ports need neither. Not safe for several threads.
final class StoreWire {
  /// The requests in use, by their numbers in `xsd_sockmsg_type`.
  enum Request: UInt32 {
    case directory = 1
    case read, getPermissions, watch, unwatch, transactionStart, transactionEnd, introduce, release
    case write = 11
    case remove = 13
    case setPermissions, watchEvent, error
    case directoryPart = 22
  }

  /// The maximum number of bytes of a request or a reply (`XENSTORE_PAYLOAD_MAX`).
  static let longestPayload = 4096
  private static let headerBytes = 16

  private let socket: Descriptor
  private var received: [UInt8] = []
  private var events: [String] = []
  private var lastRequest: UInt32 = 0

  var descriptor: Int32 { socket.number }

  init(path: String) throws(StoreError) {
    do {
      socket = try Sockets.connect(path)
    } catch {
      throw StoreError(
        error.code == .notRunning ? .unreachable : .other, operation: "connect", place: path, errno: error.errno)
    }
  }

  /// Returns the paths whose watches fired since the last call. It reads what has arrived, without waiting.
  func takeEvents() throws(StoreError) -> [String] {
    noteReceived()
    while Sockets.waitFor(descriptor, Int16(POLLIN), milliseconds: 0) {
      try receive()
      noteReceived()
    }
    defer { events = [] }
    return events
  }

  /// Whether events have already arrived. Then a poll would wait in vain: an event may have come with a reply.
  var hasEvents: Bool {
    noteReceived()
    return !events.isEmpty
  }

  /// Sends one request and waits for its reply.
  ///
  /// Each of `parts` ends in NUL, except the last one if `lastIsOpen` (a value that is written).
  func ask(
    _ request: Request, _ parts: [String], transaction: UInt32 = 0, lastIsOpen: Bool = false
  ) throws(StoreError) -> [UInt8] {
    var payload: [UInt8] = []
    for (position, part) in parts.enumerated() {
      payload += part.utf8
      if !(lastIsOpen && position == parts.count - 1) { payload.append(0) }
    }
    let name = "\(request)"
    let path = parts.first
    guard payload.count <= Self.longestPayload else {
      throw StoreError(.refused, operation: name, place: path, errno: E2BIG)
    }
    lastRequest &+= 1
    let identifier = lastRequest
    var message: [UInt8] = []
    for word in [request.rawValue, identifier, transaction, UInt32(payload.count)] {
      for shift in [0, 8, 16, 24] { message.append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
    }
    guard Sockets.send(message + payload, to: descriptor) else {
      throw StoreError(.lost, operation: name, place: path, errno: EPIPE)
    }
    while true {
      while let reply = takeMessage() {
        guard reply.type != Request.watchEvent.rawValue else { note(reply); continue }
        guard reply.type == Request.error.rawValue else { return reply.payload }
        throw Self.error(reply.payload, operation: name, path: path)
      }
      guard Sockets.waitFor(descriptor, Int16(POLLIN), milliseconds: -1) else {
        throw StoreError(.lost, operation: name, place: path, errno: ETIMEDOUT)
      }
      try receive()
    }
  }

  private typealias Message = (type: UInt32, payload: [UInt8])

  private func noteReceived() {
    while let message = takeMessage() { note(message) }
  }

  private func note(_ message: Message) {
    guard message.type == Request.watchEvent.rawValue else { return }
    let path = message.payload.prefix { $0 != 0 }
    events.append(String(decoding: path, as: UTF8.self))
  }

  private func receive() throws(StoreError) {
    guard let bytes = Sockets.receive(descriptor), !bytes.isEmpty else {
      throw StoreError(.lost, operation: "receive", errno: EPIPE)
    }
    received += bytes
    // A longer message is none, and would be waited for in vain.
    guard received.count < Self.headerBytes || word(at: 12) <= Self.longestPayload else {
      throw StoreError(.lost, operation: "receive", errno: EPROTO)
    }
  }

  private func takeMessage() -> Message? {
    guard received.count >= Self.headerBytes else { return nil }
    let length = Int(word(at: 12))
    guard received.count >= Self.headerBytes + length else { return nil }
    let message = (word(at: 0), Array(received[Self.headerBytes..<Self.headerBytes + length]))
    received.removeFirst(Self.headerBytes + length)
    return message
  }

  private func word(at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(received[offset + $1]) << UInt32(8 * $1) }
  }

  private static func error(_ payload: [UInt8], operation: String, path: String?) -> StoreError {
    let name = String(decoding: payload.prefix { $0 != 0 }, as: UTF8.self)
    let number = ErrorNumber(name: name) ?? .invalid
    // Only the end of a transaction is answered so: another writer came first.
    let code = number == .tryAgain ? .conflict : StoreCode(errno: number.rawValue)
    return StoreError(code, operation: operation, place: path, errno: number.rawValue)
  }
}
