import FoundationEssentials

// JSONDecoder reads QEMU's messages. It is already linked for Berth's own records, so it does not slow the start, and
// it refuses what is not JSON. The scanner for libxl's configuration is less suitable: its purpose is finding places to
// edit.

/// One line from the server: a greeting, an event, or the reply to a command.
struct QMPMessage: Decodable {
  /// Far more than a list of devices behind bridges needs, and far less than the stack can hold.
  static let deepest = 64

  struct Failure: Decodable {
    let `class`: String
    let desc: String
  }

  /// A member that exists, whatever its value is.
  struct Anything: Decodable {
    init(from decoder: any Decoder) {}
  }

  /// A command's number; nil if it is not one that Berth uses.
  struct Identifier: Decodable {
    let number: Int?
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      do { number = try container.decode(Int.self) } catch { number = nil }
    }
  }

  let greeting: Anything?
  let event: Anything?
  let id: Identifier?
  let error: Failure?

  private enum CodingKeys: String, CodingKey {
    case greeting = "QMP"
    case event, id, error
  }

}

/// Returns whether the values in a JSON text are nested more deeply than `most`. Brackets in strings do not count.
func isJSON(_ text: [UInt8], deeperThan most: Int) -> Bool {
  var (depth, isString, isEscaped) = (0, false, false)
  for byte in text {
    if isEscaped {
      isEscaped = false
    } else if isString {
      if byte == UInt8(ascii: "\\") { isEscaped = true }
      if byte == UInt8(ascii: "\"") { isString = false }
    } else if byte == UInt8(ascii: "\"") {
      isString = true
    } else if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
      depth += 1
      if depth > most { return true }
    } else if byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]") {
      depth -= 1
    }
  }
  return false
}

/// Why a line is not a message.
enum QMPUnreadable: Error { case tooDeep, notQMP }

/// Reads one line from the server.
func decodeQMP<Message: Decodable>(_ line: [UInt8]) throws(QMPUnreadable) -> Message {
  if isJSON(line, deeperThan: QMPMessage.deepest) { throw .tooDeep }
  do { return try JSONDecoder().decode(Message.self, from: Data(line)) } catch { throw .notQMP }
}

/// The result of a command.
struct QMPReply<Value: Decodable>: Decodable {
  let value: Value
  private enum CodingKeys: String, CodingKey { case value = "return" }
}

/// A bus of `query-pci` (`PciInfo`, qapi/pci.json, QEMU 7.2).
struct QMPBus: Decodable { let devices: [QMPDevice] }

/// A device of `query-pci` (`PciDeviceInfo`). A bridge lists its own devices.
struct QMPDevice: Decodable {
  struct Bridge: Decodable { let devices: [QMPDevice]? }
  /// Empty for devices without a name.
  let name: String?
  let slot: UInt8
  let function: UInt8
  let bridge: Bridge?

  private enum CodingKeys: String, CodingKey {
    case name = "qdev_id"
    case slot, function
    case bridge = "pci_bridge"
  }
}
