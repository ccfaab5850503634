import Glibc
import Model
import Ports
import TestSupport
import Testing
import XenProtocol

/// The conversation with a real QEMU. Without Xen it cannot pass devices through, so the tests use one of QEMU's
/// devices.
@Suite struct QEMUTests {
  private let bench: DeviceModelBench
  private let name = DeviceModelName(TestDevice.first)

  init() throws { bench = try DeviceModelBench(driver: "edu") }

  /// Runs a test's body on its own thread, because the body waits for QEMU.
  private func withQEMU(
    _ arguments: [String] = [], _ body: @escaping @Sendable (RunningQEMU, DeviceModelBench) throws -> Void
  ) async throws {
    let bench = self.bench
    try await onThread { try body(try RunningQEMU(at: bench.socket, arguments), bench) }
  }

  @Test func `a device is added at a given or a free slot, and found`() async throws {
    let name = self.name
    try await withQEMU { _, bench in
      let devices = try bench.talkHere { (model) throws(HostError) in
        let before = try model.devices()
        try model.add(TestDevice.first, slot: 5, permissive: true)
        try model.add(TestDevice.second, slot: nil, permissive: false)
        return (before, try model.devices())
      }.get()
      #expect(devices.0 == [])
      #expect(
        Set(devices.1) == [
          EmulatedDevice(name: name, slot: 5, function: 0),
          EmulatedDevice(name: DeviceModelName(TestDevice.second), slot: 2, function: 0),
        ])
      // The next conversation finds the same device.
      let again = try bench.talkHere { (model) throws(HostError) in try model.devices() }
      #expect(Set(try again.get()) == Set(devices.1))
    }
  }

  @Test func `duplicate names, unknown devices and occupied slots are distinguished`() async throws {
    try await withQEMU { _, bench in
      let failures = try bench.talkHere { (model) throws(HostError) in
        try model.add(TestDevice.first, slot: 5, permissive: false)
        return [
          code { () throws(HostError) in try model.add(TestDevice.first, slot: nil, permissive: false) },
          code { () throws(HostError) in try model.add(TestDevice.second, slot: 5, permissive: false) },
          code { () throws(HostError) in try model.add(TestDevice.second, slot: 32, permissive: false) },
          code { () throws(HostError) in try model.remove(DeviceModelName(TestDevice.second)) },
        ]
      }.get()
      #expect(failures == [.duplicate, .refused, .refused, .unknownDevice])
    }
  }

  @Test func `a refusal is reported in QEMU's words`() async throws {
    let bench = try DeviceModelBench()
    try await onThread {
      // Debian's QEMU that is not for Xen lacks the driver for passthrough.
      let qemu = try RunningQEMU(at: bench.socket)
      let failure = try bench.talkHere { (model) throws(HostError) in
        try model.add(TestDevice.first, slot: 5, permissive: true)
      }
      #expect(throws: DeviceModelError.self) { try failure.get() }
      guard case .failure(let error) = failure else { return }
      #expect(error.code == .refused)
      #expect(error.operation == "device_add")
      #expect(error.detail?.contains("xen-pci-passthrough") == true, "\(error)")
      qemu.kill()
      #expect(try bench.talkHere { _ in }.failureCode == .unreachable)
    }
  }

  @Test func `a guest that does not answer keeps the device until it releases it`() async throws {
    let name = self.name
    try await withQEMU { qemu, bench in
      let pending = try bench.talkHere { (model) throws(HostError) in
        try model.add(TestDevice.first, slot: 5, permissive: false)
        try model.remove(name)
        // A second request is no failure: the removal is in progress.
        try model.remove(name)
        return try model.devices()
      }
      #expect(try pending.get().map(\.name) == [name])
      try qemu.eject(slot: 5)
      let after = try bench.talkHere { (model) throws(HostError) in
        let devices = try model.devices()
        let failure = code { () throws(HostError) in try model.remove(name) }
        // The name is free again.
        try model.add(TestDevice.first, slot: 5, permissive: false)
        return (devices, failure)
      }.get()
      #expect(after.0 == [])
      #expect(after.1 == .unknownDevice)
    }
  }

  @Test func `a device behind a bridge is found, and may be removed at once`() async throws {
    let name = self.name
    // Without ACPI's control, a hot-plug controller in the bridge releases devices that its guest has not switched on.
    let arguments = [
      "-global", "PIIX4_PM.acpi-pci-hotplug-with-bridge-support=off", "-device",
      "pci-bridge,id=br1,chassis_nr=3,shpc=on",
    ]
    try await withQEMU(arguments) { qemu, bench in
      let add =
        #"{"execute":"device_add","id":7,"arguments":{"driver":"edu","id":"\#(name)","bus":"br1","addr":"3"}}"#
      try qemu.say([add]) { $0.contains("\"id\": 7") }
      try qemu.numberBus(behind: 2)
      let devices = try bench.talkHere { (model) throws(HostError) in
        let before = try model.devices()
        try model.remove(name)
        return (before, try model.devices())
      }.get()
      #expect(Set(devices.0.map(\.name.description)) == ["br1", name.description])
      #expect(devices.0.first { $0.name == name }?.slot == 3)
      #expect(devices.1.map(\.name.description) == ["br1"])
    }
  }

  @Test func `a QEMU that dies in a conversation is lost`() async throws {
    try await withQEMU { qemu, bench in
      let failure = try bench.talkHere { (model) throws(HostError) in
        qemu.kill()
        _ = try model.devices()
      }
      #expect(failure.failureCode == .lost)
      #expect(try bench.locks == [])
    }
  }

  @Test func `a QEMU with another client does not answer in time`() async throws {
    try await withQEMU { qemu, bench in
      let first = try #require(try connectedSocket(bench.socket))
      defer { close(first) }
      #expect(try bench.talkHere(within: .milliseconds(200)) { _ in }.failureCode == .timedOut)
    }
  }

  @Test func `threads take turns, and none is refused`() async throws {
    let bench = self.bench
    let qemu = try await onThread { try RunningQEMU(at: bench.socket) }
    try await concurrently(8) { index in
      let device = PCIAddress(sbdf: UInt32(index) << 8)
      try bench.talkHere { (model) throws(HostError) in
        try model.add(device, slot: UInt8(8 + index), permissive: false)
      }.get()
    }
    let devices = try await bench.talk { (model) throws(HostError) in try model.devices() }
    #expect(try devices.get().map(\.slot).sorted() == Array(8..<16))
    try await onThread { qemu.kill() }
  }
}

extension Result where Failure == DeviceModelError {
  fileprivate var failureCode: DeviceModelCode? { if case .failure(let error) = self { error.code } else { nil } }
}
