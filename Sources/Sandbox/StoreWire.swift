import Glibc
import Model
import Ports
import XenProtocol

/// One connection to xenstored in its own protocol (xen/include/public/io/xs_wire.h, Xen 4.17).
///
/// The simulator speaks the protocol itself, as the kernels that it simulates do. It serves many watches from one event
/// loop and introduces domains; Berth's own ports need neither. Not safe for several threads.
final class StoreWire {
  private var socket: Descriptor
  private var input = StoreInput()
  private var events: [String] = []
  private var lastRequest: UInt32 = 0

  var descriptor: Int32 { socket.number }

  init(path: String) throws(StoreError) { socket = try Self.connect(path) }

  /// Ends the connection and makes another one. What has arrived and was not taken is lost.
  func reconnect(path: String) throws(StoreError) {
    socket = try Self.connect(path)
    input = StoreInput()
    events = []
  }

  private static func connect(_ path: String) throws(StoreError) -> Descriptor {
    do {
      return try Sockets.connect(path)
    } catch {
      throw StoreError(
        error.code == .notRunning ? .unreachable : .other, operation: "connect", place: path, errno: error.errno)
    }
  }

  /// Returns the paths whose watches fired since the last call. It reads what has arrived, without waiting.
  func takeEvents() throws(StoreError) -> [String] {
    try noteReceived()
    while Sockets.waitFor(descriptor, Int16(POLLIN), milliseconds: 0) {
      try receive()
      try noteReceived()
    }
    defer { events = [] }
    return events
  }

  /// Returns whether events have already arrived. Then a poll would wait in vain: an event may have come with a reply.
  func hasEvents() throws(StoreError) -> Bool {
    try noteReceived()
    return !events.isEmpty
  }

  /// Sends one request and waits for the payload of its reply. A `value`, which is written, comes after the words.
  func ask(
    _ kind: StoreMessage.Kind, _ words: [String], value: String? = nil, transaction: UInt32 = 0
  ) throws(StoreError) -> [UInt8] {
    let name = "\(kind)"
    let path = words.first
    lastRequest &+= 1
    let request = StoreMessage.bytes(of: kind, words, value: value, request: lastRequest, transaction: transaction)
    guard let request else { throw StoreError(.refused, operation: name, place: path, errno: E2BIG) }
    guard Sockets.send(request, to: descriptor) else {
      throw StoreError(.lost, operation: name, place: path, errno: EPIPE)
    }
    while true {
      while let message = try takeMessage() {
        switch message.kind {
        case .watchEvent: note(message)
        case .error: throw StoreError(errno: message.errorNumber.rawValue, operation: name, place: path)
        default: return message.payload
        }
      }
      guard Sockets.waitFor(descriptor, Int16(POLLIN), milliseconds: -1) else {
        throw StoreError(.lost, operation: name, place: path, errno: ETIMEDOUT)
      }
      try receive()
    }
  }

  private func noteReceived() throws(StoreError) {
    while let message = try takeMessage() { note(message) }
  }

  private func note(_ message: StoreMessage) {
    if message.kind == .watchEvent { events.append(message.firstWord) }
  }

  private func receive() throws(StoreError) {
    guard let bytes = Sockets.receive(descriptor), !bytes.isEmpty else {
      throw StoreError(.lost, operation: "receive", errno: EPIPE)
    }
    input.add(bytes)
  }

  private func takeMessage() throws(StoreError) -> StoreMessage? {
    do throws(StoreInput.Malformed) { return try input.next() } catch {
      throw StoreError(.lost, operation: "receive", errno: EPROTO)
    }
  }
}
