import Glibc
import LinuxAdapter
import Model
import Ports
import Sandbox
import TestSupport
import Testing

/// The host's files in a sandbox.
struct HostFileTests {
  private let device = Scenarios.addresses[0]

  @Test func `sysfs shows of each device what a host's sysfs shows`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let folder = sandbox.paths.pciDevices + "/0000:00:05.0/"
      #expect(try fileText(folder + "vendor") == "0x8086\n")
      #expect(try fileText(folder + "device") == "0x100e\n")
      #expect(try fileText(folder + "class") == "0x020000\n")
      #expect(try fileText(folder + "modalias").hasPrefix("pci:v00008086d0000100E"))
      #expect(try fileText(folder + "irq") == "21\n")
      let resources = try fileText(folder + "resource").split(separator: "\n")
      #expect(resources.count == 13)
      #expect(resources[0] == "0x00000000febc0000 0x00000000febdffff 0x0000000000040200")
      #expect(resources[1] == "0x000000000000c000 0x000000000000c03f 0x0000000000040101")
      #expect(resources[2] == "0x0000000000000000 0x0000000000000000 0x0000000000000000")
      #expect(!fileExists(folder + "reset"))
      #expect(fileExists(sandbox.paths.pciDevices + "/0000:01:00.0/reset"))
      #expect(try fileText(folder + "driver/slots").contains("0000:00:05.0\n"))
    }
  }

  @Test func `a write to an attribute takes effect`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let driver = sandbox.paths.pciDrivers + "/pciback/"
      try writeFile(driver + "permissive", "0000:00:05.0")
      try writeFile(sandbox.paths.pciDevices + "/0000:01:00.0/reset", "1")
      var status = try sandbox.status()
      #expect(status.devices.filter(\.isPermissive).map(\.address) == [device])
      #expect(status.devices.filter { $0.resets == 1 }.map(\.address) == [Scenarios.addresses[3]])
      #expect(try fileText(driver + "permissive") == "0000:00:05.0\n")
      try writeFile(driver + "permissive", "0000:00:06.0\n")
      _ = try sandbox.status()
      #expect(try fileText(driver + "permissive") == "0000:00:05.0\n0000:00:06.0\n")

      try writeFile(driver + "unbind", "0000:00:05.0")
      status = try sandbox.status()
      #expect(status.devices.first { $0.address == device }?.driver == nil)
      #expect(!fileExists(driver + "0000:00:05.0"))
      try writeFile(driver + "bind", "0000:00:05.0")
      #expect(try sandbox.status().devices.first { $0.address == device }?.driver == "pciback")
      #expect(try fileText(driver + "permissive") == "0000:00:06.0\n", "unbinding takes it back")
    }
  }

  @Test func `a write is noticed even if a started program still has the descriptor`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let path = sandbox.paths.pciDrivers + "/pciback/permissive"
      let file = unsafe open(path, O_WRONLY | O_CLOEXEC)
      let kept = dup(file)
      defer { close(kept) }
      let text = Array("\(device)".utf8)
      #expect(unsafe write(file, text, text.count) == text.count && close(file) == 0)
      let shown = try sandbox.status().devices.filter(\.isPermissive).map(\.address)
      #expect(shown == [device])
    }
  }

  @Test func `a reader of permissive sees all or nothing of another writer's change`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let (kept, changing) = (Scenarios.addresses[1], Scenarios.addresses[0])
      try tree(of: sandbox).setPermissive(kept)
      let writer = try ThreadWork {
        let tree = tree(of: sandbox)
        let drivers = SandboxDrivers(SysfsDrivers(root: sandbox.paths.root), tree: tree)
        for _ in 0..<200 {
          try tree.setPermissive(changing)
          _ = try drivers.unbind(changing, from: "pciback", until: .now + .seconds(60))
          _ = try drivers.bind(changing, to: "pciback", until: .now + .seconds(60))
        }
      }
      let missed = try await onThread {
        let tree = tree(of: sandbox)
        var missed = 0
        for _ in 0..<4000 where try !tree.permissiveDevices().contains(kept) { missed += 1 }
        return missed
      }
      try await writer.value()
      #expect(missed == 0)
      #expect(try tree(of: sandbox).permissiveDevices() == [kept])
    }
  }

  private func tree(of sandbox: LiveSandbox) -> SandboxDeviceTree {
    SandboxDeviceTree(
      SysfsTree(root: sandbox.paths.root), hypervisor: SandboxHypervisor(paths: sandbox.paths), paths: sandbox.paths)
  }

  @Test func `a card that is pulled takes everything with it but the guest's rights`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]")) { sandbox in
      let folder = sandbox.paths.pciDevices + "/0000:00:05.0"
      #expect(try sandbox.status().domains.contains { $0.exported.values.contains(device) && $0.grantedRanges == 2 })
      try writeFile(folder + "/remove", "1")
      let status = try sandbox.status()
      #expect(status.devices.first { $0.address == device }.map { [$0.driver, $0.owner] } == [nil, "none"])
      #expect(!fileExists(folder) && !fileExists(sandbox.paths.pciDrivers + "/pciback/0000:00:05.0"))
      #expect(status.domains.allSatisfy { $0.exported.isEmpty && $0.assigned.isEmpty })
      #expect(status.domains.contains { $0.grantedRanges == 2 && $0.mappedInterrupts == [21] })
    }
  }

  @Test func `the kernel's log has every export`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]")) { sandbox in
      let log = try fileText(sandbox.paths.kernelLog)
      let records = log.split(separator: "\n").filter { !$0.hasPrefix(" ") }
      #expect(records.allSatisfy { $0.split(separator: ",").count >= 4 && $0.contains(",-;") })
      let sequence = records.map { $0.split(separator: ",")[1] }
      #expect(sequence == sequence.indices.map { "\($0)" })
      let texts = records.compactMap { $0.split(separator: ";", maxSplits: 1).last.map(String.init) }
      #expect(
        texts.suffix(2) == [
          "pciback 0000:00:05.0: xen_pciback: vpci: assign to virtual slot 0",
          "pciback 0000:00:05.0: registering for 1",
        ])
      try sandbox.connect().remove("/local/domain/0/backend/pci/1/0")
      _ = try sandbox.status()
      #expect(try fileText(sandbox.paths.kernelLog).contains(";pciback 0000:00:05.0: unregistering for 1\n"))
    }
  }

  @Test func `domains are in the requested stage of their life`() async throws {
    let text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      spec:
        devices: [{address: 0000:03:00.0, id: 8086:1533}]
        domains:
          - {name: runs}
          - {name: sleeps, lifecycle: paused, devices: [0000:03:00.0]}
          - {name: new, lifecycle: cold}
          - {name: half, lifecycle: building}
          - {name: over, lifecycle: shutdown}
          - {name: fell, lifecycle: crashed}
          - {name: later, lifecycle: absent}
          - {name: big, kind: hvm}
      """
    try await LiveSandbox.run(text) { sandbox in
      let domains = try SandboxHypervisor(paths: sandbox.paths).domains()
      #expect(domains.map(\.id.rawValue) == [1, 2, 3, 4, 5, 6, 8])
      #expect(domains.map(\.isPaused) == [false, true, true, true, false, false, false])
      #expect(domains.map { $0.cpuTime > 0 } == [true, true, false, false, true, true, true])
      #expect(domains.map(\.isShutDown) == [false, false, false, false, true, true, false])
      #expect(domains.map(\.isHardwareVirtualised) == [false, false, false, false, false, false, true])
      let saved = domains.map {
        fileExists(sandbox.paths.userdata("d", of: DomainKey(id: $0.id, uuid: $0.uuid), "libxl-json"))
      }
      #expect(saved == [true, true, true, false, true, true, true])
      #expect(try sandbox.connect().read("/local/domain/2/device/pci/0/state") == "4")
      #expect(try sandbox.connect().read("/libxl/8/type") == "hvm")
    }
  }

  @Test func `a request of one client does not wait for another`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      // A client that sends half a line and waits.
      let idle = try HalfClient(sandbox.paths.hypervisorSocket, "stat")
      #expect(try sandbox.status().domains.count == 1)
      idle.close()
    }
  }

  @Test func `invalid requests are refused`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      for line in [
        "", "nonsense", "pause nobody", "assign", "ports 1 x y z", "answers pv1 loudly",
        "frames 1 18446744073709551614 9 1",
      ] {
        #expect(throws: SandboxError.self) { try sandbox.request(line) }
      }
      let status = try sandbox.status()
      #expect(status.domains.count == 1)
    }
  }

  @Test func `a written file is noticed even if the kernel had to drop events`() throws {
    let folder = try TemporaryFolder()
    let watch = try FileWatch()
    try watch.add(folder.path)
    let limit = try #require(
      Int(try fileText("/proc/sys/fs/inotify/max_queued_events").filter { $0.isNumber }), "inotify(7)")
    // Two files in turn, because equal events in a row are merged.
    for _ in 0...limit / 2 {
      for name in ["a", "b"] {
        let file = unsafe open(folder.path + "/" + name, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        close(file)
      }
    }
    try folder.write("late", "")
    #expect(watch.takeEvents().contains(folder.path + "/late"))
    #expect(watch.takeEvents().isEmpty)
  }
}
