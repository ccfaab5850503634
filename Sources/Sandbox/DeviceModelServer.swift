import Glibc
import Model

/// A fault of a device model.
package struct DeviceModelFault: Hashable, Sendable {
  package enum Kind: String, Sendable, Codable, CaseIterable {
    /// It does not answer, and does nothing.
    case silent
    /// It executes the command, and closes the connection in the middle of the answer.
    case hangsUp = "hangs-up"
    /// It executes the command; the answer is cut in the middle.
    case truncates
    /// It refuses, with a text.
    case refuses
    /// It does not run and has no socket.
    case gone
    /// It has ended, and its socket is left.
    case crashed
  }
  package var kind: Kind
  /// The QMP command that fails, or `greeting`; nil means any, and `device_add` for `refuses`.
  package var command: String?
  /// QEMU's message for a refusal.
  package var text: String?
  /// How often the fault still happens; nil means always.
  package var times: Int?

  package init(_ kind: Kind, command: String? = nil, text: String? = nil, times: Int? = nil) {
    self.kind = kind
    self.command = command
    self.text = text
    self.times = times
  }

  /// Whether the device model does not run.
  var isAbsence: Bool { kind == .gone || kind == .crashed }
}

/// One guest's QEMU with its QMP socket. It serves one client at a time, and the others wait, as with QEMU's own
/// (`tcp_chr_accept`, chardev/char-socket.c, and monitor/qmp.c, QEMU 7.2).
// Size 17/6: one simulated QEMU with its client.
final class DeviceModelServer {
  final class Socket {
    let descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
    var number: Int32 { descriptor.number }
    // A program that another thread is about to start also has the descriptor until it runs, so closing it is not
    // enough.
    deinit { _ = shutdown(descriptor.number, Int32(SHUT_RDWR)) }
  }

  final class Client {
    let socket: Socket
    var received: [UInt8] = []
    var pending: [UInt8] = []
    var isNegotiated = false
    var isEnding = false
    init(_ socket: consuming Descriptor) { self.socket = Socket(socket) }
  }

  /// The longest request. A client that sends more without an end is disconnected.
  private static let longestRequest = 1 << 20

  let domain: DomainID
  let version: ScenarioDeviceModel
  private(set) var isRunning = false
  /// The stub domain in which it runs; nil in dom0.
  let stubDomain: DomainID?
  var machine: EmulatedMachine
  /// Whether the domain in which it runs is stopped. Then it does nothing.
  var isStopped = false
  private(set) var faults: [DeviceModelFault] = []
  private let directory: SandboxDirectory
  let find: (PCIAddress) -> EmulatedMachine.HostDevice?
  private var listener: Socket?
  private var client: Client?
  private var path: String { directory.paths.deviceModelSocket(of: domain) }

  /// Starts the device model. `find` returns what the kernel below it has at a host address.
  init(
    of domain: DomainID, _ version: ScenarioDeviceModel = .upstream, in stubDomain: DomainID?,
    directory: SandboxDirectory,
    machine: EmulatedMachine,
    find: @escaping (PCIAddress) -> EmulatedMachine.HostDevice?
  ) throws(SandboxError) {
    self.version = version
    (self.domain, self.stubDomain, self.directory, self.machine, self.find) = (
      domain, stubDomain, directory, machine, find
    )
    try listen()
  }

  private func listen() throws(SandboxError) {
    isRunning = true
    guard version == .upstream else { return }
    let socket = try directory.listen(path)
    _ = fcntl(socket.number, F_SETFL, O_NONBLOCK)
    listener = Socket(socket)
  }

  /// Ends the device model and disconnects its client.
  func end(leavesSocket: Bool = false) throws(SandboxError) {
    (client, listener, isRunning) = (nil, nil, false)
    if !leavesSocket, version == .upstream { try directory.remove(path) }
  }

  // MARK: Faults

  func add(_ fault: DeviceModelFault) throws(SandboxError) {
    faults.append(fault)
    if fault.isAbsence { try end(leavesSocket: fault.kind == .crashed) }
  }

  /// Removes all faults. A device model that had ended starts again, without devices.
  func clearFaults() throws(SandboxError) {
    faults = []
    guard !isRunning else { return }
    machine = EmulatedMachine(
      answers: machine.answers, delay: machine.delay, isGuestRunning: machine.isGuestRunning)
    try listen()
  }

  /// Returns the fault that happens to a command now, and counts it.
  func takeFault(_ command: String) -> DeviceModelFault? {
    for (position, fault) in faults.enumerated() where fault.times != 0 {
      let wanted = fault.command ?? (fault.kind == .refuses ? "device_add" : command)
      guard wanted == command else { continue }
      if let times = fault.times { faults[position].times = times - 1 }
      return fault
    }
    return nil
  }

  // MARK: Serving

  /// The descriptor to poll: the client's or, if there is none, the listening socket's; -1 for nothing.
  var polled: pollfd {
    guard !isStopped else { return pollfd(fd: -1, events: 0, revents: 0) }
    guard let client else { return pollfd(fd: listener?.number ?? -1, events: Int16(POLLIN), revents: 0) }
    return pollfd(
      fd: client.socket.number, events: Int16(client.pending.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
  }

  /// Accepts the next client, or reads what the client has sent, without waiting.
  func serve(at now: ContinuousClock.Instant) {
    guard !isStopped else { return }
    guard let client else {
      guard let listener, let socket = Sockets.accept(listener.number) else { return }
      let new = Client(socket)
      self.client = new
      say(Self.greeting, to: new, takeFault("greeting"))
      return flush(new)
    }
    if let bytes = Sockets.receive(client.socket.number) {
      guard !bytes.isEmpty else { self.client = nil; return }
      client.received += bytes
    }
    while !client.isEnding, let length = JSONTextReader.length(ofFirstIn: client.received) {
      let message = Array(client.received[..<length])
      client.received.removeFirst(length)
      answer(message, client, at: now)
    }
    guard client.received.count <= Self.longestRequest else { self.client = nil; return }
    flush(client)
  }

  /// Does what is due, and sends the client an event for each device that is gone.
  @discardableResult
  func step(at now: ContinuousClock.Instant) -> [String] {
    let gone = machine.step(at: now)
    for id in gone where client?.isNegotiated == true && !id.isEmpty {
      guard let client else { continue }
      var time = timespec()
      unsafe clock_gettime(CLOCK_REALTIME, &time)
      let event = JSONText.object([
        (
          "timestamp",
          .object([("seconds", .integer(time.tv_sec)), ("microseconds", .integer(time.tv_nsec / 1000))])
        ), ("event", .text("DEVICE_DELETED")),
        ("data", .object([("device", .text(id)), ("path", .text("/machine/peripheral/" + id))])),
      ])
      say(event, to: client, nil)
      flush(client)
    }
    return gone
  }

  func flush(_ client: Client) {
    guard Sockets.flush(&client.pending, to: client.socket.number) else { self.client = nil; return }
    if client.isEnding, client.pending.isEmpty { self.client = nil }
  }
}
