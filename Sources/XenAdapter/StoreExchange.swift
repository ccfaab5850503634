import Glibc
import Model
import Ports
import XenProtocol

/// The requests and replies on one connection, one after the other, and the events that come between them.
struct StoreExchange: ~Copyable {
  private let socket: StoreSocket
  private var input = StoreInput()
  private var events: [XenStoreWatcher.Event] = []
  private var lastRequest: UInt32 = 0
  /// Why the connection can no longer be used; nil if it can.
  private var end: StoreError?

  init(_ socket: consuming StoreSocket) { self.socket = socket }

  /// The process that listens at the socket; nil if the kernel does not show it.
  var listener: Int32? { socket.listener }

  /// Sends one request and waits for its reply. Throws the error that xenstored names, `timedOut`, or `lost`.
  mutating func ask(
    _ kind: StoreMessage.Kind, _ words: [String], value: String?, in transaction: UInt32, _ limit: AnswerLimit
  ) throws(StoreError) -> StoreMessage {
    if let end { throw end }
    lastRequest &+= 1
    let request = StoreMessage.bytes(of: kind, words, value: value, request: lastRequest, transaction: transaction)
    guard let request else { throw StoreError(.refused, operation: "\(kind)", errno: E2BIG) }
    var deadline = limit.deadline()
    let failure = socket.send(request, until: &deadline)
    guard failure == 0 else { throw ended(failure == ETIMEDOUT ? .timedOut : .lost, failure) }
    while true {
      while let message = try takeMessage() {
        guard message.kind != .watchEvent else {
          note(message)
          continue
        }
        // No other reply is due: the connection has one request at a time.
        guard message.request == lastRequest else { throw ended(.lost, EPROTO) }
        guard message.kind == .error else { return message }
        let number = message.errorNumber.rawValue
        throw StoreError(errno: number, operation: "\(kind)")
      }
      // The answer takes its time, so the wait comes before the read.
      guard deadline.awaitReady(socket.number, POLLIN) else { throw ended(.timedOut, ETIMEDOUT) }
      _ = try receive()
    }
  }

  /// Returns the events that have arrived, at most `most`, without waiting.
  mutating func takeEvents(atMost most: Int) throws(StoreError) -> [XenStoreWatcher.Event] {
    repeat {
      while events.count < most, let message = try takeMessage() { note(message) }
      // What has arrived is returned before it is known whether the connection has ended.
      if events.count >= most || end != nil { break }
    } while try receiveUnlessEnded()
    if events.isEmpty, let end { throw end }
    defer { events.removeFirst(min(most, events.count)) }
    return Array(events.prefix(most))
  }

  /// Reads what has arrived. Returns false if there was nothing, or if the connection has ended.
  private mutating func receiveUnlessEnded() throws(StoreError) -> Bool {
    do throws(StoreError) { return try receive() } catch {
      guard error.code == .lost else { throw error }
      return false
    }
  }

  private mutating func receive() throws(StoreError) -> Bool {
    let bytes: [UInt8]?
    do throws(StoreError) { bytes = try socket.receive() } catch { throw ended(error.code, error.errno) }
    guard let bytes else { return false }
    input.add(bytes)
    return true
  }

  private mutating func takeMessage() throws(StoreError) -> StoreMessage? {
    do throws(StoreInput.Malformed) { return try input.next() } catch { throw ended(.lost, EPROTO) }
  }

  private mutating func note(_ message: StoreMessage) {
    let words = message.words
    guard message.kind == .watchEvent, words.count >= 2 else { return }
    events.append(XenStoreWatcher.Event(path: words[0], token: words[1]))
  }

  /// Ends the connection, and returns the reason for it.
  private mutating func ended(_ code: StoreCode, _ number: Int32) -> StoreError {
    let error = StoreError(code, operation: "receive", errno: number)
    end = end ?? error
    socket.shutDown()
    return error
  }
}
