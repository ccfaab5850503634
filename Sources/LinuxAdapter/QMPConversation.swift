import FoundationEssentials
import Glibc
import Model
import Ports
import XenProtocol

/// A QMP conversation from greeting to end (docs/interop/qmp-spec.txt, QEMU 7.2), during which libxl's lock is held.
struct QMPConversation: ~Copyable, DeviceModelConversation {
  /// Longer than QEMU's error texts.
  private static let longestText = 400

  private let channel: QMPChannel
  private let driver: String
  private let state = State()
  private let lock: FileLock

  private final class State {
    /// Far from libxl's numbers, which begin at 0x786c7100. So no late reply to another program's command matches.
    var number = 0x6265_0000
    /// The failure that ended the conversation.
    var end: HostError?
    /// The slots of the guest's first bus, as QEMU listed them last.
    var usedSlots: Set<UInt8>?
  }

  init(channel: consuming QMPChannel, driver: String, lock: consuming FileLock) {
    self.channel = channel
    self.driver = driver
    self.lock = lock
  }

  // The next holder of the lock finds the server free.
  deinit { channel.end() }

  /// Reads the greeting and ends the negotiation, without asking for any capability.
  borrowing func begin() throws(HostError) {
    guard try message(during: "connect").greeting != nil else {
      throw channel.failure(.malformed, "connect", "sent no greeting")
    }
    try execute("qmp_capabilities")
  }

  // MARK: Commands

  borrowing func usedSlots() -> Set<UInt8>? { state.usedSlots }

  borrowing func devices() throws(HostError) -> [EmulatedDevice] {
    let buses: [QMPBus] = try execute("query-pci")
    // The devices behind bridges are on other buses.
    state.usedSlots = Set(buses.first?.devices.map(\.slot) ?? [])
    var found: [EmulatedDevice] = []
    var rest = buses.flatMap(\.devices)[...]
    while let device = rest.popFirst() {
      guard device.slot < 32, device.function < 8 else {
        throw over(channel.failure(.malformed, "query-pci", "has a device at \(device.slot).\(device.function)"))
      }
      if let name = device.name, !name.isEmpty {
        found.append(
          EmulatedDevice(name: DeviceModelName(text: name), slot: device.slot, function: device.function))
      }
      rest += device.bridge?.devices ?? []
    }
    return found
  }

  borrowing func add(_ device: PCIAddress, slot: UInt8?, permissive: Bool) throws(HostError) {
    var arguments = "\"driver\":\(jsonString(driver)),\"id\":\(jsonString(DeviceModelName(device).description))"
    let isPassthrough = driver == QMPDeviceModels.passthrough
    if isPassthrough { arguments += ",\"hostaddr\":\(jsonString(device.description))" }
    if let slot { arguments += ",\"addr\":\"\(String(slot, radix: 16)).0\"" }
    if isPassthrough, permissive { arguments += ",\"permissive\":true" }
    try execute("device_add", arguments)
  }

  borrowing func remove(_ name: DeviceModelName) throws(HostError) {
    do throws(HostError) { try execute("device_del", "\"id\":\(jsonString(name.description))") } catch {
      // QEMU reports this for a stopped guest. If the guest runs, QEMU asks it again (`qdev_unplug`, qdev-monitor.c).
      guard case .deviceModel(let refusal) = error, refusal.code == .refused,
        refusal.detail?.contains("already in the process of unplug") == true
      else { throw error }
    }
  }

  // MARK: The protocol

  private borrowing func execute(_ command: String, _ arguments: String? = nil) throws(HostError) {
    let _: QMPMessage.Anything = try execute(command, arguments)
  }

  /// Sends a command and waits for its reply. Events, and replies to other commands, are skipped.
  private borrowing func execute<Value: Decodable>(
    _ command: String, _ arguments: String? = nil
  ) throws(HostError) -> Value {
    if let end = state.end { throw end }
    state.number += 1
    let rest = arguments.map { ",\"arguments\":{\($0)}" } ?? ""
    do throws(HostError) {
      try channel.send("{\"execute\":\(jsonString(command)),\"id\":\(state.number)\(rest)}", during: command)
      while true {
        let line = try channel.line(during: command)
        let message: QMPMessage = try decode(line, during: command)
        guard message.event == nil else { continue }
        if message.id == nil, let error = message.error {
          // A server's answer to a command that it cannot parse.
          throw channel.failure(.malformed, command, "could not read the command: \(bounded(error.desc))")
        }
        guard message.id?.number == state.number else { continue }
        if let error = message.error { throw refusal(error, of: command) }
        let reply: QMPReply<Value> = try decode(line, during: command)
        return reply.value
      }
    } catch { throw over(error) }
  }

  /// Returns the next message that is not an event.
  private borrowing func message(during operation: String) throws(HostError) -> QMPMessage {
    while true {
      let message: QMPMessage = try decode(channel.line(during: operation), during: operation)
      if message.event == nil { return message }
    }
  }

  private borrowing func decode<Message: Decodable>(
    _ line: [UInt8], during operation: String
  ) throws(HostError) -> Message {
    do throws(QMPUnreadable) { return try decodeQMP(line) } catch {
      switch error {
      case .tooDeep:
        throw channel.failure(.malformed, operation, "nested values more than \(QMPMessage.deepest) deep")
      case .notQMP:
        let begin = String(decoding: line.prefix(100), as: UTF8.self)
        throw channel.failure(.malformed, operation, "sent something that is not QMP, beginning with \(begin)")
      }
    }
  }

  /// QEMU distinguishes nearly all errors by text alone (`ErrorClass`, qapi/error.json).
  private borrowing func refusal(_ error: QMPMessage.Failure, of command: String) -> HostError {
    let code: DeviceModelCode
    switch command {
    case "device_del" where error.class == "DeviceNotFound": code = .unknownDevice
    // `Duplicate ID '…' for device` in some versions, `Duplicate device ID '…'` in others.
    case "device_add" where error.desc.contains("Duplicate"): code = .duplicate
    default: code = .refused
    }
    return .deviceModel(DeviceModelError(code, operation: command, detail: bounded(error.desc)))
  }

  /// Records a failure that ends the conversation.
  private borrowing func over(_ error: HostError) -> HostError {
    switch error.deviceModelCode {
    case .refused, .duplicate, .unknownDevice: break
    case .unreachable, .busy, .notPermitted, .timedOut, .lost, .malformed, nil: state.end = error
    }
    return error
  }

  private borrowing func bounded(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.prefix(Self.longestText)))
  }
}
