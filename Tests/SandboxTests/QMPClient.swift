import FoundationEssentials
import Glibc
import Model
import Sandbox
import Testing
import XenProtocol

/// A client of a guest's QEMU, on the bare socket.
final class QMPClient {
  private let descriptor: Int32
  private var received: [UInt8] = []

  /// Connects; throws if no program listens. The path may be longer than a socket's address.
  init(_ path: String) throws {
    let parts = path.split(separator: "/")
    let folder = unsafe open("/" + parts.dropLast().joined(separator: "/"), O_RDONLY | O_CLOEXEC)
    guard folder >= 0 else { throw TestFailure("no directory of \(path)") }
    defer { close(folder) }
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let short = "/proc/self/fd/\(folder)/\(parts.last ?? "")"
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: short.utf8) }
    let descriptor = descriptor
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    // All fields are initialised, so `deinit` closes the descriptor, even after an error.
    guard result == 0 else { throw TestFailure("connecting to \(path): \(errno)") }
  }

  deinit { close(descriptor) }

  func send(_ text: String) {
    let bytes = Array((text + "\r\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
  }

  /// Returns the next line; nil if the other side has closed without a complete line.
  func line(within milliseconds: Int32 = 10_000) throws -> String? {
    while true {
      if let end = received.firstIndex(of: 0x0A) {
        let line = String(decoding: received[..<end].filter { $0 != 0x0D }, as: UTF8.self)
        received.removeSubrange(...end)
        return line
      }
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard unsafe poll(&entry, 1, milliseconds) > 0 else { throw TestFailure("no data arrived in time") }
      var chunk = [UInt8](repeating: 0, count: 65536)
      let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      received += chunk[..<count]
    }
  }

  /// The text before the end, without an end of line.
  var rest: String { String(decoding: received, as: UTF8.self) }

  /// Whether data can be read now.
  var hasWords: Bool {
    var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let ready = unsafe poll(&entry, 1, 0)
    return !received.isEmpty || ready > 0
  }

  /// Reads the greeting and negotiates.
  func begin() throws {
    #expect(try line()?.hasPrefix("{\"QMP\": {\"version\"") == true)
    #expect(try ask("qmp_capabilities") == "{\"return\": {}, \"id\": 7}")
  }

  /// Sends one command; returns its answer, the next line.
  func ask(_ command: String, _ arguments: String? = nil) throws -> String {
    send("{\"execute\":\"\(command)\",\"id\":7" + (arguments.map { ",\"arguments\":\($0)" } ?? "") + "}")
    return try line() ?? "the end"
  }

  func add(_ device: PCIAddress, _ more: String = "") throws -> String {
    try ask(
      "device_add",
      "{\"driver\":\"xen-pci-passthrough\",\"id\":\"\(DeviceModelName(device))\",\"hostaddr\":\"\(device)\"\(more)}")
  }

  func remove(_ device: PCIAddress) throws -> String {
    try ask("device_del", "{\"id\":\"\(DeviceModelName(device))\"}")
  }

  /// Reads the event of a device that is gone; returns the device's name.
  func deleted() throws -> String? {
    struct Event: Decodable {
      struct Details: Decodable { var device: String? }
      var event: String
      var data: Details
    }
    let line = try #require(try line())
    let event = try JSONDecoder().decode(Event.self, from: Data(line.utf8))
    return event.event == "DEVICE_DELETED" ? event.data.device : nil
  }

  /// Returns what `query-pci` lists: `bus:slot.function` of each device, with its name.
  func listed() throws -> [String: String] {
    struct Answer: Decodable {
      struct Bus: Decodable { var devices: [Device] }
      struct Device: Decodable {
        struct Bridge: Decodable { var devices: [Device]? }
        var bus: Int
        var slot: Int
        var function: Int
        var qdev_id: String
        var pci_bridge: Bridge?
        var all: [Device] { [self] + (pci_bridge?.devices ?? []).flatMap(\.all) }
      }
      var `return`: [Bus]
    }
    let answer = try JSONDecoder().decode(Answer.self, from: Data(try ask("query-pci").utf8))
    let devices = answer.return.flatMap(\.devices).flatMap(\.all)
    return Dictionary(uniqueKeysWithValues: devices.map { ("\($0.bus):\($0.slot).\($0.function)", $0.qdev_id) })
  }
}

extension LiveSandbox {
  func qmp(_ domain: UInt32 = 1) throws -> QMPClient {
    let client = try QMPClient(paths.deviceModelSocket(of: DomainID(domain)))
    try client.begin()
    return client
  }

  /// Returns the devices of the guest's QEMU: names, with `!` after one that is leaving.
  func emulated(_ number: UInt32 = 1) throws -> [String] {
    try (domain(number).deviceModel?.devices ?? []).map { $0.name + ($0.isLeaving ? "!" : "") }.sorted()
  }
}
