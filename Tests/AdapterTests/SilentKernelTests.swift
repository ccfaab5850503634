import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

/// A kernel that does not answer, because a driver hangs with a device's lock. A named pipe stands for a file under that
/// lock: whoever opens it waits.
@Suite struct SilentKernelTests {
  private let folder: TemporaryFolder
  private let devices = "sys/bus/pci/devices"
  /// Longer than a read under a lock that is free may take on a busy machine.
  private let patience = Duration.seconds(1)

  init() throws { folder = try TemporaryFolder() }

  private func address(_ number: Int) -> PCIAddress { PCIAddress(sbdf: 0x300 + UInt32(number) << 3) }

  /// Makes a device with a driver, and with virtual functions.
  private func makeDevice(_ device: PCIAddress) throws {
    let place = "sys/devices/pci0000:00/\(device)"
    try folder.write("\(place)/modalias", "pci:v00008086d00001533sv00008086sd00000001bc02sc00i00\n")
    try folder.write("\(place)/driver_override", "(null)\n")
    try folder.write("\(place)/sriov_totalvfs", "8\n")
    try folder.write("\(place)/sriov_numvfs", "0\n")
    try folder.write("\(place)/reset", "")
    try folder.link("\(place)/driver", to: "../../../bus/pci/drivers/igb")
    try folder.makeFolder(devices)
    try folder.link("\(devices)/\(device)", to: "../../../devices/pci0000:00/\(device)")
  }

  private func path(_ device: PCIAddress, _ file: String) -> String { "\(folder.path)/\(devices)/\(device)/\(file)" }

  // MARK: Reads

  @Test func `a fact under a held lock is unknown, and the rest of the inventory is whole`() throws {
    for number in 0..<12 { try makeDevice(address(number)) }
    let pipes = [
      try Pipe(path(address(0), "driver_override")), try Pipe(path(address(5), "driver_override")),
      try Pipe(path(address(5), "sriov_numvfs")), try Pipe(path(address(11), "sriov_numvfs")),
      try Pipe(path(address(8), "config")),
    ]
    defer { for pipe in pipes { pipe.release() } }
    let facts = FunctionFact.usual.union([.serial])
    let inventory = try SysfsInventory(root: folder.path, patience: patience).inventory(of: facts)
    #expect(inventory.functions.count == 12)
    for function in inventory.functions {
      var expected: [FunctionFact: String] = [:]
      if [0, 5].contains(function.name.device) { expected[.driverOverride] = "driver_override" }
      if [5, 11].contains(function.name.device) { expected[.virtualFunctions] = "sriov_numvfs" }
      if function.name.device == 8 { expected[.serial] = "config" }
      let unanswered = function.unread.filter { $0.value.cause == .unanswered }.mapValues(\.place)
      #expect(unanswered.mapValues { $0.split(separator: "/").last.map(String.init) } == expected, "\(function.name)")
      #expect(function.id == DeviceID("8086:1533") && function.driver == "igb", "\(function.name)")
    }
  }

  @Test func `a file that is readable late is still read`() async throws {
    for number in 0..<3 { try makeDevice(address(number)) }
    let pipe = try Pipe(path(address(1), "driver_override"))
    let root = folder.path
    let work = try ThreadWork {
      try SysfsInventory(root: root, patience: .seconds(60)).inventory(of: [.driverOverride])
    }
    try pipe.answer("nvme\n")
    let inventory = try await work.value()
    #expect(inventory.functions.map(\.driverOverride) == [nil, "nvme", nil])
    #expect(inventory.functions.flatMap(\.unread.keys).isEmpty)
  }

  @Test func `the driver of a device is known though its override is not`() throws {
    try makeDevice(address(3))
    let drivers = SysfsDrivers(root: folder.path, patience: patience)
    #expect(try drivers.binding(of: address(3)) == DriverBinding(driver: "igb"))
    let pipe = try Pipe(path(address(3), "driver_override"))
    defer { pipe.release() }
    let binding = try #require(try drivers.binding(of: address(3)))
    #expect(binding.driver == "igb" && binding.driverOverride == nil && binding.isOverrideUnknown)
  }

  @Test func `a serial number that the device does not give in time is a failure`() throws {
    try makeDevice(address(3))
    let pipe = try Pipe(path(address(3), "config"))
    defer { pipe.release() }
    let tree = SysfsTree(root: folder.path, patience: patience)
    #expect(isGivenUp { _ = try tree.serial(of: address(3)) })
  }

  // MARK: Writes

  @Test func `each write that a driver keeps from ending is given up`() throws {
    let device = address(3)
    try makeDevice(device)
    let tree = SysfsTree(root: folder.path, patience: patience)
    let drivers = SysfsDrivers(root: folder.path, patience: patience)
    let pipes = [
      try Pipe(path(device, "driver_override"), isFull: true), try Pipe(path(device, "reset"), isFull: true),
    ]
    defer { for pipe in pipes { pipe.release() } }
    #expect(isGivenUp { try drivers.setOverride(of: device, to: "pciback") })
    #expect(isGivenUp { _ = try tree.reset(device, alone: true) })
  }

  /// Returns whether a request ends because the kernel does not answer.
  private func isGivenUp(_ request: () throws -> Void) -> Bool {
    do {
      try request()
      return false
    } catch { return (error as? HostError)?.treeCode == .timedOut }
  }

  // MARK: Processes that are left behind

  @Test func `a process that was left behind does not stay a zombie`() throws {
    let drivers = SysfsDrivers(root: folder.path, patience: patience)
    try folder.makeFolder("sys/bus/pci/drivers/igb")
    let pipe = try Pipe("\(folder.path)/sys/bus/pci/drivers/igb/unbind", isFull: true)
    defer { pipe.release() }
    guard case .silent(let process, _) = try drivers.unbind(address(3), from: "igb", until: .now + .milliseconds(10))
    else {
      Issue.record("the write ended")
      return
    }
    #expect(kill(process, 0) == 0)
    pipe.release()
    // Waits for the end, and leaves the process a zombie, unless another test has made the adapter ask for it by now.
    var end = unsafe siginfo_t()
    _ = unsafe waitid(P_PID, id_t(process), &end, WEXITED | WNOWAIT)
    // Whatever is asked next of the kernel: the process is one of this program's no more.
    try makeDevice(address(3))
    _ = try drivers.binding(of: address(3))
    #expect(waitpid(process, nil, WNOHANG) == -1)
  }
}

/// A named pipe in place of a file of sysfs.
private final class Pipe: Sendable {
  private let path: String
  /// The end of a full pipe from which nothing is read; -1 if an open for reading waits.
  private let reader: Int32

  /// `isFull` makes a pipe into which a write waits. Otherwise an open for reading waits.
  init(_ path: String, isFull: Bool = false) throws {
    self.path = path
    _ = unsafe unlink(path)
    try #require(unsafe mkfifo(path, 0o600) == 0)
    reader = isFull ? unsafe open(path, O_RDONLY | O_NONBLOCK) : -1
    guard isFull else { return }
    let writer = unsafe open(path, O_WRONLY | O_NONBLOCK)
    try #require(reader >= 0 && writer >= 0)
    let block = [UInt8](repeating: 0, count: 4096)
    while unsafe write(writer, block, block.count) > 0 {}
    close(writer)
  }

  deinit { if reader >= 0 { close(reader) } }

  /// Gives everybody who waits to read this text. Waits until somebody does.
  func answer(_ text: String) throws {
    let writer = unsafe open(path, O_WRONLY)
    try #require(writer >= 0)
    _ = unsafe write(writer, text, text.utf8.count)
    close(writer)
  }

  /// Lets everybody go on who waits.
  func release() {
    let other = unsafe open(path, (reader < 0 ? O_WRONLY : O_RDONLY) | O_NONBLOCK)
    var block = [UInt8](repeating: 0, count: 4096)
    if reader >= 0 { while unsafe read(reader, &block, block.count) > 0 {} }
    if other >= 0 { close(other) }
  }
}
