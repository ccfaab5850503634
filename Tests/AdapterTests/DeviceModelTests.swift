import Glibc
import Model
import Ports
import TestSupport
import Testing
import XenProtocol

/// What Berth sends to a device model, and how it reads the answers.
@Suite struct DeviceModelTests {
  private let bench: DeviceModelBench
  private typealias Peer = ScriptedDeviceModel

  init() throws { bench = try DeviceModelBench() }

  private func peer(_ script: [Peer.Step]) throws -> Peer { try Peer(at: bench.socket, script) }

  @Test func `commands equal libxl's, except for their numbers`() async throws {
    let list = #"{"return": [{"bus": 0, "devices": []}], "id": $id}"# + "\r\n"
    let peer = try peer(
      Peer.hello + [
        .hear, Peer.success, .hear, Peer.success, .hear, Peer.success, .hear, .say(list), .hear, Peer.success,
      ])
    let devices = try await bench.talk { (model) throws(HostError) in
      try model.add(TestDevice.first, slot: nil, permissive: false)
      try model.add(TestDevice.first, slot: 5, permissive: false)
      try model.add(TestDevice.second, slot: 28, permissive: true)
      let devices = try model.devices()
      try model.remove(DeviceModelName(TestDevice.first))
      return devices
    }
    #expect(try devices.get() == [])
    let first = #""driver":"xen-pci-passthrough","id":"pci-pt-03_00.0","hostaddr":"0000:03:00.0""#
    let second = #""driver":"xen-pci-passthrough","id":"pci-pt-04_1f.3","hostaddr":"0001:04:1f.3""#
    #expect(
      try await peer.heard() == [
        #"{"execute":"qmp_capabilities","id":1650786305}"#,
        #"{"execute":"device_add","id":1650786306,"arguments":{\#(first)}}"#,
        #"{"execute":"device_add","id":1650786307,"arguments":{\#(first),"addr":"5.0"}}"#,
        #"{"execute":"device_add","id":1650786308,"arguments":{\#(second),"addr":"1c.0","permissive":true}}"#,
        #"{"execute":"query-pci","id":1650786309}"#,
        #"{"execute":"device_del","id":1650786310,"arguments":{"id":"pci-pt-03_00.0"}}"#,
      ])
  }

  @Test func `named devices are found on every bus and behind bridges`() async throws {
    let list = #"""
      {"return": [
       {"bus": 0, "devices": [
        {"bus": 0, "slot": 0, "function": 0, "qdev_id": "", "class_info": {"class": 1536, "desc": "a \"}]{[\\"}},
        {"bus": 0, "slot": 4, "function": 1, "qdev_id": "pci-pt-03_00.0", "regions": [{"bar": 0, "address": -1}]},
        {"bus": 0, "slot": 5, "function": 0, "qdev_id": "br1", "pci_bridge": {"bus": {"number": 0}, "devices": [
         {"bus": 1, "slot": 6, "function": 0, "qdev_id": "", "pci_bridge": {"bus": {"number": 1}, "devices": [
          {"bus": 2, "slot": 31, "function": 7, "qdev_id": "deep"}]}}]}},
        {"bus": 0, "slot": 7, "function": 0, "qdev_id": "br2", "pci_bridge": {"bus": {"number": 0}}}]},
       {"bus": 128, "devices": [{"bus": 128, "slot": 2, "function": 0, "qdev_id": "pci-pt-04_1f.3"}]}],
      "id": $id}
      """#.replacing("\n", with: "") + "\r\n"
    _ = try peer(Peer.hello + [.hear, .say(list)])
    let found = try await bench.talk { (model) throws(HostError) in try model.devices() }
    let names = Set(try found.get().map { "\($0.name) \($0.slot).\($0.function)" })
    #expect(names == ["pci-pt-03_00.0 4.1", "br1 5.0", "deep 31.7", "br2 7.0", "pci-pt-04_1f.3 2.0"])
  }

  @Test func `a name that QEMU made up is quoted`() async throws {
    let peer = try peer(Peer.hello + [.hear, Peer.success])
    let name = "a\"},\\ \u{1}\nü"
    #expect(
      try await bench.failure { (model) throws(HostError) in try model.remove(DeviceModelName(text: name)) }
        == nil)
    #expect(
      try await peer.heard().last
        == #"{"execute":"device_del","id":1650786306,"arguments":{"id":"a\"},\\ \u0001\nü"}}"#)
  }

  @Test func `events, blank lines and others' replies are skipped, whether split or joined`() async throws {
    let event = #"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "DEVICE_DELETED", "data": {"path": "/m"}}"#
    let others = [
      #"{"return": [1], "id": 2020372736}"#, #"{"return": {}, "id": "text"}"#, #"{"return": {}}"#,
      #"{"error": {"class": "GenericError", "desc": "Duplicate"}, "id": 2020372737}"#,
    ].joined(separator: "\r\n")
    let peer = try peer([
      .say(event + "\r\n"), Peer.greeting, .hear, .say("\(event)\r\n\r\n\(others)\r\n"), Peer.success, .say(event),
      .say("\n"), .hear, .say(event + "\r\n{\"return\""), .say(": {}, \"id\": "), .say("$id}\r"), .say("\n"), .hear,
      .say(#"{"return": [], "id": $id}"# + "\n" + event + "\r\n"),
    ])
    let devices = try await bench.talk { (model) throws(HostError) in
      try model.remove(DeviceModelName(TestDevice.first))
      return try model.devices()
    }
    #expect(try devices.get() == [])
    #expect(try await peer.heard().count == 3)
  }

  @Test func `errors are distinguished by class and text, and the conversation continues`() async throws {
    func error(_ kind: String, _ text: String) -> Peer.Step {
      .say(#"{"id": $id, "error": {"class": "\#(kind)", "desc": "\#(text)"}}"# + "\r\n")
    }
    _ = try peer(
      Peer.hello + [
        .hear, error("GenericError", "Duplicate device ID 'pci-pt-03_00.0'"),
        .hear, error("GenericError", "Duplicate ID 'pci-pt-03_00.0' for device"),
        .hear, error("GenericError", "no \\u0007 slot"),
        .hear, error("DeviceNotFound", "Device 'pci-pt-03_00.0' not found"),
        .hear, error("GenericError", "Device pci-pt-03_00.0 is already in the process of unplug"),
        .hear, error("GenericError", "Duplicate"),
        .hear, error("GenericError", String(repeating: "x", count: 100_000)),
        .hear, .say(#"{"return": [], "id": $id}"# + "\r\n"),
      ])
    let failures = try await bench.talk { (model) throws(HostError) in
      var failures: [HostError?] = []
      for _ in 0..<3 {
        do throws(HostError) {
          try model.add(TestDevice.first, slot: nil, permissive: false)
          failures.append(nil)
        } catch { failures.append(error) }
      }
      for _ in 0..<4 {
        do throws(HostError) {
          try model.remove(DeviceModelName(TestDevice.first))
          failures.append(nil)
        } catch { failures.append(error) }
      }
      _ = try model.devices()
      return failures
    }.get()
    let codes = failures.map { $0?.deviceModelCode }
    #expect(codes == [.duplicate, .duplicate, .refused, .unknownDevice, nil, .refused, .refused])
    #expect(failures[2] == refusal("device_add", "no \u{7} slot"))
    #expect(failures[6] == refusal("device_del", String(repeating: "x", count: 400)))
  }

  private func refusal(_ command: String, _ text: String) -> HostError {
    .deviceModel(DeviceModelError(.refused, operation: command, detail: text))
  }

  @Test func `the lock is held from before the connection until after it`() async throws {
    let peer = try peer(Peer.hello)
    let (bench, lock) = (self.bench, self.bench.lock)
    let failure = try await bench.failure { _ in
      do {
        #expect(try bench.locks == ["userdata-l.7.\(bench.domain.uuid).qmp-socket-lock"])
        // Every other process that wants the lock sleeps until the conversation is over.
        let other = try Command("flock", ["--nonblock", lock, "true"]).start()
        #expect(other.waitForExit() == 1)
      } catch { Issue.record(error) }
    }
    #expect(failure == nil)
    #expect(try bench.locks == [])
    #expect(try await peer.heard().count == 1)
  }

  @Test func `a host's folder may be longer than a socket's path`() async throws {
    let bench = try DeviceModelBench(below: "/" + String(repeating: "long/", count: 40) + "root")
    let folder = unsafe open(bench.root + "/var/run/xen", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { close(folder) }
    let peer = try Peer(at: "/proc/self/fd/\(folder)/qmp-libxl-7", Peer.hello)
    #expect(try await bench.failure() == nil)
    #expect(try await peer.heard().count == 1)
  }
}
