import FoundationEssentials
import Model
import Ports

/// Why a file is no snapshot that can be read. The reason follows the file's name: "… is cut off".
package struct SnapshotFault: Error, Hashable, Sendable {
  package let reason: String
  package init(_ reason: String) { self.reason = reason }
}

/// The limits of a snapshot's file. Each is several times what the largest known host needs.
package enum SnapshotLimits {
  package static let bytes = 64 << 20
  /// Values, with those inside others.
  static let values = 4 << 20
  static let depth = 24
  /// The bytes of one text.
  static let text = 1 << 20
}

extension Snapshot {
  package static let kind = "Snapshot"
  package static let formatVersion = 1

  private struct Document: Codable {
    var kind: String
    var formatVersion: Int
    var host: String
    var takenAt: Int64
    var userID: UInt32
    var sandbox: String?
    var isRedacted: Bool
    var deviceNames: [DeviceID: String]
    var classNames: [String: String]
    var answers: Answers
  }

  /// The most bytes of a host's name, as manifests have it.
  private static let longestHostName = 255

  private struct Head: Decodable {
    var kind: String
    var formatVersion: Int
  }

  /// Returns the file's bytes, in ASCII and with sorted keys: equal snapshots are equal files.
  package func encoded() throws(SnapshotFault) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let document = Document(
      kind: Self.kind, formatVersion: Self.formatVersion, host: hostName, takenAt: takenAt, userID: userID,
      sandbox: sandbox, isRedacted: isRedacted, deviceNames: deviceNames, classNames: classNames, answers: answers)
    let data: Data
    do { data = try encoder.encode(document) } catch { throw SnapshotFault("cannot be written: \(error)") }
    return inASCII(String(decoding: data, as: UTF8.self)) + [UInt8(ascii: "\n")]
  }

  /// Reads a file's bytes. Whoever made them may have meant harm.
  package init(_ bytes: [UInt8]) throws(SnapshotFault) {
    try checkBounds(bytes)
    let head: Head
    do { head = try JSONDecoder().decode(Head.self, from: Data(bytes)) } catch {
      throw SnapshotFault("is no snapshot: \(words(for: error))")
    }
    guard head.kind == Self.kind else { throw SnapshotFault("is no snapshot: its kind is '\(head.kind)'") }
    guard head.formatVersion >= 1 else {
      throw SnapshotFault("has formatVersion \(head.formatVersion), and 1 is the first")
    }
    guard head.formatVersion <= Self.formatVersion else {
      throw SnapshotFault(
        "has formatVersion \(head.formatVersion), and this berth reads \(Self.formatVersion): a later release wrote it")
    }
    let document: Document
    do { document = try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
      throw SnapshotFault("is damaged: \(words(for: error))")
    }
    guard document.host.utf8.count <= Self.longestHostName else {
      throw SnapshotFault("has a host name of more than \(Self.longestHostName) bytes")
    }
    self.init(
      hostName: document.host, takenAt: document.takenAt, userID: document.userID, sandbox: document.sandbox,
      answers: document.answers)
    isRedacted = document.isRedacted
    (deviceNames, classNames) = (document.deviceNames, document.classNames)
    try checkValues()
  }

  /// Checks what types alone do not: numbers with which code calculates.
  private func checkValues() throws(SnapshotFault) {
    // The last frame whose last byte has an address.
    let lastFrame: UInt64 = 1 << 52 - 1
    for (device, answer) in answers.hypervisor.reservedMemory {
      guard case .answer(let ranges) = answer else { continue }
      guard ranges.allSatisfy({ $0.upperBound <= lastFrame }) else {
        throw SnapshotFault("is damaged: reserved memory of \(device) has no address")
      }
    }
    for answer in [answers.inventory.functions, answers.inventory.names] {
      guard case .answer(let functions)? = answer else { continue }
      var seen: Set<FunctionName> = []
      for function in functions {
        guard seen.insert(function.name).inserted else {
          throw SnapshotFault("is damaged: it has \(function.name) twice")
        }
        guard function.chain.last == function.name else {
          throw SnapshotFault("is damaged: the chain of \(function.name) ends elsewhere")
        }
        let frames = function.reservedMemory ?? []
        guard frames.allSatisfy({ $0.upperBound <= lastFrame }) else {
          throw SnapshotFault("is damaged: reserved memory of \(function.name) has no address")
        }
      }
    }
    if case .answer(let domains)? = answers.hypervisor.domains {
      guard Set(domains.map(\.id)).count == domains.count else {
        throw SnapshotFault("is damaged: two domains have one number")
      }
    }
  }
}

/// Returns the words for an error of the decoder: what is wrong, and where.
private func words(for error: any Error) -> String {
  func place(_ path: [any CodingKey]) -> String {
    let text = path.map { key in key.intValue.map { "[\($0)]" } ?? key.stringValue }.joined(separator: ".")
    return text.isEmpty ? "the document" : String(text.prefix(200))
  }
  return switch error as? DecodingError {
  case .keyNotFound(let key, let context): "\(place(context.codingPath)) has no \(key.stringValue.prefix(60))"
  case .typeMismatch(_, let context), .valueNotFound(_, let context):
    "\(place(context.codingPath)) has a value of another kind"
  // The decoder says where a text is no JSON, but not where a number is too large.
  case .dataCorrupted(let context) where context.codingPath.isEmpty:
    context.debugDescription.hasPrefix("Number ")
      ? "it has a number that does not fit" : "it is no JSON, or it is cut off"
  case .dataCorrupted(let context): "\(place(context.codingPath)) has a value that it cannot have"
  default: "it cannot be read"
  }
}

/// Throws if a text is too large for the decoder, or too deep. Whether it is JSON is left to the decoder.
private func checkBounds(_ bytes: [UInt8]) throws(SnapshotFault) {
  guard bytes.count <= SnapshotLimits.bytes else { throw SnapshotFault("is larger than \(SnapshotLimits.bytes) bytes") }
  guard !bytes.isEmpty else { throw SnapshotFault("is empty") }
  var (depth, values, length) = (0, 0, 0)
  var (isText, isEscaped) = (false, false)
  for byte in bytes {
    if isText {
      length += 1
      if length > SnapshotLimits.text { throw SnapshotFault("has a text of more than \(SnapshotLimits.text) bytes") }
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\") {
        isEscaped = true
      } else if byte == UInt8(ascii: "\"") {
        isText = false
      }
      continue
    }
    switch byte {
    case UInt8(ascii: "\""): (isText, length) = (true, 0)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      depth += 1
      values += 1
      if depth > SnapshotLimits.depth { throw SnapshotFault("has more than \(SnapshotLimits.depth) nested values") }
    case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
    case UInt8(ascii: ","): values += 1
    default: break
    }
    if values > SnapshotLimits.values { throw SnapshotFault("has more than \(SnapshotLimits.values) values") }
  }
}

/// Returns JSON with escapes in place of all that is not ASCII, and of DEL. Only texts in it have such characters.
private func inASCII(_ text: String) -> [UInt8] {
  var result: [UInt8] = []
  result.reserveCapacity(text.utf8.count)
  for unit in text.utf16 {
    if unit < 0x7F {
      result.append(UInt8(unit))
    } else {
      result += Array("\\u\(hex(UInt64(unit), 4))".utf8)
    }
  }
  return result
}
