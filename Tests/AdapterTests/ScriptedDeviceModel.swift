import Glibc
import Synchronization
import TestSupport

/// A QMP server that follows a script, for one client.
struct ScriptedDeviceModel {
  enum Step: Sendable {
    /// Sends this text. `$id` stands for the number in the last received line.
    case say(String)
    /// Sends this text the given number of times, or until the client ends the conversation.
    case repeated(String, Int)
    /// Receives a line.
    case hear
    /// Ends the conversation.
    case end
  }

  static let greeting = Step.say(
    #"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}"#
      + "\r\n")
  static let success = Step.say(#"{"return": {}, "id": $id}"# + "\r\n")
  /// Greets, and ends the negotiation.
  static let hello = [greeting, .hear, success]

  private let ending = Ending()
  private let work: ThreadWork<[String]>

  private final class Ending: Sendable {
    let hasCome = Mutex(false)
  }

  /// Listens as soon as this object is created.
  init(at path: String, _ script: [Step]) throws {
    let listener = try listeningSocket(path)
    let ending = self.ending
    work = try ThreadWork {
      defer { ending.hasCome.withLock { $0 = true } }
      return try Self.serve(listener, script)
    }
  }

  /// Returns the received lines, without the carriage return and line feed that each must have. Waits for the end of
  /// the conversation.
  func heard() async throws -> [String] { try await work.value() }

  /// Waits, on the client's thread, until the server has ended the conversation.
  func waitForEnd() { while !ending.hasCome.withLock({ $0 }) { sched_yield() } }

  // MARK: Serving

  private static func serve(_ listener: Int32, _ script: [Step]) throws -> [String] {
    defer { close(listener) }
    // The limit is long: a connection may take its time on a busy machine.
    try limitWaits(of: listener, to: 300)
    let client = accept(listener, nil, nil)
    guard client >= 0 else { throw PeerFailure(description: "no client connected: \(errno)") }
    defer {
      // A program that another test starts at the wrong moment keeps the descriptor, so the socket itself is shut down.
      shutdown(client, Int32(SHUT_RDWR))
      close(client)
    }
    try limitWaits(of: client, to: 30)
    var heard: [String] = []
    for step in script {
      switch step {
      case .say(let text): say(text.replacing("$id", with: heard.last.map(number) ?? "?"), to: client)
      case .repeated(let text, let count):
        for _ in 0..<count { guard say(text, to: client) else { break } }
      case .hear: heard.append(try line(from: client))
      case .end: return heard
      }
    }
    // The client ends the conversation. Any further byte from the client would be too much.
    var rest: [UInt8] = [0]
    while unsafe recv(client, &rest, 1, 0) == 1 { heard.append("unexpected \(rest[0])") }
    return heard
  }

  @discardableResult
  private static func say(_ text: String, to client: Int32) -> Bool {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = unsafe rest.withUnsafeBytes { unsafe send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  private static func line(from client: Int32) throws -> String {
    var bytes: [UInt8] = []
    var byte: [UInt8] = [0]
    while bytes.suffix(2) != [0x0D, 0x0A] {
      guard unsafe recv(client, &byte, 1, 0) == 1 else {
        throw PeerFailure(description: "heard only \(String(decoding: bytes, as: UTF8.self)): \(errno)")
      }
      bytes += byte
    }
    return String(decoding: bytes.dropLast(2), as: UTF8.self)
  }

  /// Returns a command's number.
  private static func number(in line: String) -> String {
    let rest = line.split(separator: "\"id\":", maxSplits: 1).dropFirst().first ?? ""
    return String(rest.prefix(while: \.isNumber))
  }
}

/// What the other side of a conversation failed to do.
struct PeerFailure: Error { let description: String }
