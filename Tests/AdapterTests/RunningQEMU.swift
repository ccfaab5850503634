import Glibc
import Synchronization
import TestSupport

/// Debian's QEMU with a machine like that of Xen's guests, stopped before its first instruction. It ends with this
/// object.
final class RunningQEMU: Sendable {
  private let process: Mutex<RunningProcess>
  private let socket: String

  /// Returns when QEMU accepts connections at `socket`.
  init(at socket: String, _ arguments: [String] = []) throws {
    self.socket = socket
    // The second monitor greets on the standard output when the set-up is complete.
    let process = try Command(
      "qemu-system-x86_64",
      [
        "-nodefaults", "-display", "none", "-no-user-config", "-M", "pc", "-m", "16", "-S",
        "-qmp", "unix:\(socket),server=on,wait=off", "-qmp", "stdio",
      ] + arguments
    ).start()
    guard process.collect(until: .now + .seconds(60), { $0.output.contains("\"QMP\"") }),
      process.output.contains("\"QMP\"")
    else { throw PeerFailure(description: "QEMU did not start: \(process.errors)") }
    self.process = Mutex(process)
  }

  /// Ends QEMU immediately.
  func kill() { process.withLock { _ = $0.end(SIGKILL) } }

  /// Sends commands in a conversation of the test's own. Returns all replies, when `isEnough` accepts them.
  @discardableResult
  func say(_ commands: [String], until isEnough: (String) -> Bool) throws -> String {
    guard let number = try connectedSocket(socket) else { throw PeerFailure(description: "QEMU is not there") }
    defer { close(number) }
    try limitWaits(of: number, to: 60)
    let text = ([#"{"execute":"qmp_capabilities"}"#] + commands).joined(separator: "\n") + "\n"
    let bytes = Array(text.utf8)
    guard unsafe send(number, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw PeerFailure(description: "send: \(errno)")
    }
    var heard = ""
    var buffer = [UInt8](repeating: 0, count: 4096)
    while !isEnough(heard) {
      let count = unsafe recv(number, &buffer, buffer.count, 0)
      guard count > 0 else { throw PeerFailure(description: "QEMU said only \(heard): \(errno)") }
      heard += String(decoding: buffer[..<count], as: UTF8.self)
    }
    return heard
  }

  /// Releases the device in a slot as a guest does, through ACPI's ports: it selects the bus, then writes the slot's
  /// bit (docs/specs/acpi_pci_hotplug.txt, QEMU 7.2).
  func eject(slot: UInt8) throws {
    try say(Self.hmp("o /w 0xae10 0", "o /w 0xae08 \(1 << UInt32(slot))")) { $0.contains("DEVICE_DELETED") }
  }

  /// Gives the bus behind a bridge its number, 1, as a guest's firmware does. Before that, `query-pci` does not show
  /// the bus's devices (`qmp_query_pci_bridge`, hw/pci/pci.c, QEMU 7.2).
  func numberBus(behind slot: UInt8) throws {
    let register = String(0x8000_0018 | UInt32(slot) << 11, radix: 16)
    try say(Self.hmp("o /w 0xcf8 0x\(register)", "o /w 0xcfc 0x010100")) {
      $0.split(separator: "\"return\": \"\"").count == 3
    }
  }

  private static func hmp(_ lines: String...) -> [String] {
    lines.map { #"{"execute":"human-monitor-command","arguments":{"command-line":"\#($0)"}}"# }
  }
}
