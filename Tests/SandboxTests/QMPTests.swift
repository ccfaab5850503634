import Model
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// QEMU's side of QMP: the messages are those of QEMU 7.2.
struct QMPTests {
  private let devices = Scenarios.addresses
  private let names = Scenarios.addresses.map { DeviceModelName($0).description }

  private func refusal(_ text: String, _ errorClass: String = "GenericError") -> String {
    "{\"id\": 7, \"error\": {\"class\": \"\(errorClass)\", \"desc\": \"\(text)\"}}"
  }
  private let done = "{\"return\": {}, \"id\": 7}"

  @Test func `a guest's QEMU greets, negotiates and lists its devices`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0]")) { sandbox in
      let client = try QMPClient(sandbox.paths.deviceModelSocket(of: DomainID(1)))
      #expect(
        try client.line()
          == "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": "
          + "\"Debian 1:7.2+dfsg-7+deb12u18\"}, \"capabilities\": [\"oob\"]}}")
      #expect(
        try client.ask("query-pci")
          == refusal("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound"))
      #expect(try client.ask("qmp_capabilities") == done)
      #expect(
        try client.ask("qmp_capabilities")
          == refusal("Capabilities negotiation is already complete, command ignored", "CommandNotFound"))
      let fixed = ["0:0.0": "", "0:1.0": "", "0:1.1": "", "0:1.3": "", "0:2.0": ""]
      #expect(try client.listed() == fixed.merging(["0:3.0": names[0]]) { $1 })
    }
  }

  @Test func `an invalid request is refused as QEMU refuses it`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm")) { sandbox in
      let client = try sandbox.qmp()
      for (request, words) in [
        ("foo", "JSON parse error, invalid keyword 'foo'"), ("[1]", "QMP input must be a JSON object"),
        ("\"x\"", "QMP input must be a JSON object"), ("{\"a\" 5}", "JSON parse error, missing : in object pair"),
        ("}", "JSON parse error, expecting value"), ("%$", "JSON parse error, stray '%'"),
        ("{\"execute\":3}", "QMP input member 'execute' must be a string"),
        ("{}", "QMP input lacks member 'execute'"),
        ("{\"execute\":\"query-pci\",\"bla\":3}", "QMP input member 'bla' is unexpected"),
      ] {
        client.send(request)
        #expect(try client.line() == "{\"error\": {\"class\": \"GenericError\", \"desc\": \"\(Self.quoted(words))\"}}")
      }
      #expect(try client.ask("nosuch") == refusal("The command nosuch has not been found", "CommandNotFound"))
      client.send("{\"execute\":\"qmp_capa")
      client.send("bilities\",\"id\":[1,\"x\"]}{\"execute\":\"device_del\"}")
      #expect(try client.line()?.hasPrefix("{\"id\": [1, \"x\"], \"error\"") == true, "a message may come in parts")
      #expect(try client.line()?.contains("Parameter 'id' is missing") == true, "and two messages may come at once")
    }
  }

  private static func quoted(_ text: String) -> String { text.replacing("\"", with: "\\\"") }

  @Test func `devices are added at a slot or at the next free one`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm")) { sandbox in
      let client = try sandbox.qmp()
      #expect(try client.add(devices[0]) == done)
      #expect(try client.add(devices[1], ",\"addr\":\"1c.0\",\"permissive\":true") == done)
      #expect(try client.add(devices[2]) == done)
      let listed = try client.listed()
      #expect(listed["0:3.0"] == names[0] && listed["0:28.0"] == names[1] && listed["0:4.0"] == names[2])
      let shown = try #require(try sandbox.domain(1).deviceModel)
      #expect(shown.isRunning)
      #expect(shown.devices.map(\.address) == Array(devices[0..<3]))
      #expect(shown.devices.map(\.isPermissive) == [false, true, false])
    }
  }

  @Test func `a refused addition says why and changes nothing`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0]")) { sandbox in
      let client = try sandbox.qmp()
      #expect(try client.add(devices[0]) == refusal("Duplicate device ID '\(names[0])'"))
      #expect(
        try client.add(devices[1], ",\"addr\":\"03.0\"")
          == refusal(
            "PCI: slot 3 function 0 not available for xen-pci-passthrough, in use by "
              + "xen-pci-passthrough,id=\(names[0])"))
      #expect(try client.add(devices[1], ",\"addr\":\"01.0\"").contains("in use by PIIX3"))
      #expect(
        try client.add(devices[1], ",\"addr\":\"20.0\"")
          == refusal("Property 'xen-pci-passthrough.addr' doesn't take value '20.0'"))
      #expect(
        try client.add(devices[1], ",\"msitranslate\":true")
          == refusal("Property 'xen-pci-passthrough.msitranslate' not found"))
      #expect(try client.add(devices[1], ",\"bus\":\"nob\"") == refusal("Bus 'nob' not found"))
      let absent = try #require(PCIAddress("0000:77:00.0"))
      #expect(
        try client.add(absent)
          == refusal("Could not open '/sys/bus/pci/devices/\(absent)/config': No such file or directory"))
      #expect(try client.ask("device_add", "{}") == refusal("Parameter 'driver' is missing"))
      #expect(
        try client.ask("device_add", "{\"driver\":\"nosuch\"}")
          == refusal("'nosuch' is not a valid device model name"))
      #expect(try sandbox.emulated() == [names[0]])
      for device in 4..<32 {
        let bridge = "{\"driver\":\"pci-bridge\",\"id\":\"b\(device)\",\"chassis_nr\":\"1\"}"
        #expect(try client.ask("device_add", bridge) == done)
      }
      #expect(
        try client.add(devices[1])
          == refusal("PCI: no slot/function available for xen-pci-passthrough, all in use or reserved"))
      #expect(try client.add(devices[1], ",\"bus\":\"b9\"") == done, "behind a bridge there is room")
      #expect(try client.listed()["6:1.0"] == names[1])
    }
  }

  @Test func `a guest releases a device later, and the client gets the event`() async throws {
    let scenario = Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0, 0000:00:06.0]\ndelay: 100ms")
    try await LiveSandbox.run(scenario) { sandbox in
      let client = try sandbox.qmp()
      #expect(try client.remove(devices[0]) == done)
      #expect(try client.listed()["0:3.0"] == names[0], "it was asked, and has it still")
      #expect(try client.deleted() == names[0])
      #expect(try client.listed()["0:3.0"] == nil)
      #expect(try client.remove(devices[0]) == refusal("Device '\(names[0])' not found", "DeviceNotFound"))
      #expect(try client.add(devices[2]) == done)
      #expect(try client.listed()["0:3.0"] == names[2], "the slot is free again")
    }
  }

  @Test func `a guest is asked again only after a while`() async throws {
    let scenario = Scenarios.laboratory(domain: "kind: hvm\nanswers: never\ndevices: [0000:00:05.0]")
    try await LiveSandbox.run(scenario) { sandbox in
      let client = try sandbox.qmp()
      let request = "{\"execute\":\"device_del\",\"id\":7,\"arguments\":{\"id\":\"\(names[0])\"}}"
      client.send(request + "\r\n" + request)
      #expect(try client.line() == done)
      #expect(try client.line() == refusal("Device \(names[0]) is already in the process of unplug"))
      let end = ContinuousClock.now + .seconds(10)
      while try client.remove(devices[0]) != done, ContinuousClock.now < end {}
      #expect(ContinuousClock.now < end)
      #expect(try sandbox.emulated() == [names[0] + "!"])
    }
  }

  @Test func `the event of an immediate release comes before the answer`() async throws {
    let scenario = Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0]\ndelay: 0s")
    try await LiveSandbox.run(scenario) { sandbox in
      let client = try sandbox.qmp()
      client.send("{\"execute\":\"device_del\",\"id\":7,\"arguments\":{\"id\":\"\(names[0])\"}}")
      #expect(try client.deleted() == names[0])
      #expect(try client.line() == done)
    }
  }

  @Test func `a paused guest releases its devices when it runs`() async throws {
    let scenario = Scenarios.laboratory(domain: "kind: hvm\nlifecycle: paused\ndevices: [0000:00:05.0]\ndelay: 0s")
    try await LiveSandbox.run(scenario) { sandbox in
      let client = try sandbox.qmp()
      #expect(try client.remove(devices[0]) == done, "QEMU answers for a paused guest")
      #expect(try sandbox.emulated() == [names[0] + "!"])
      try sandbox.request("unpause pv1")
      #expect(try client.deleted() == names[0])
      #expect(try sandbox.emulated() == [])
    }
  }

  @Test(arguments: [GuestAnswers.never, .noDriver])
  func `a guest that ignores requests keeps its devices until it listens`(answers: GuestAnswers) async throws {
    let scenario = Scenarios.laboratory(
      domain: "kind: hvm\nanswers: \(answers.rawValue)\ndevices: [0000:00:05.0]\ndelay: 0s")
    try await LiveSandbox.run(scenario) { sandbox in
      let client = try sandbox.qmp()
      #expect(try client.remove(devices[0]) == done)
      #expect(try client.listed()["0:3.0"] == names[0])
      #expect(try sandbox.domain(1).answers == answers)
      try sandbox.request("answers pv1 normal")
      #expect(try client.deleted() == names[0])
    }
  }

  @Test func `a second client waits until the first is gone`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm\ndevices: [0000:00:05.0]")) { sandbox in
      var first: QMPClient? = try sandbox.qmp()
      let second = try QMPClient(sandbox.paths.deviceModelSocket(of: DomainID(1)))
      second.send("{\"execute\":\"qmp_capabilities\",\"id\":7}")
      #expect(try first?.listed().count == 6)
      _ = try sandbox.status()
      #expect(!second.hasWords)
      first = nil
      #expect(try second.line()?.hasPrefix("{\"QMP\"") == true)
      #expect(try second.line() == done)
    }
  }

  @Test func `a socket can be used in a directory with a path of any length`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "kind: hvm"), directoryBytes: 88) { sandbox in
      #expect(sandbox.paths.deviceModelSocket(of: DomainID(1)).utf8.count > 107)
      let listed = try sandbox.qmp().listed()
      #expect(listed.count == 5)
      let attach = try await sandbox.xl("pci-attach", "pv1", "00:05.0").run()
      #expect(attach.status == 0, "xl finds it too: \(attach.errors)")
      #expect(try sandbox.emulated() == [names[0]])
    }
  }
}
