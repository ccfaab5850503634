import Glibc
import Model
import Ports
import Sandbox
import TestSupport
import Testing

/// Debian's own xl and libxl on the sandbox.
struct StockXlTests {
  private let devices = Scenarios.addresses

  @Test(arguments: StoreKind.allCases)
  func `xl lists the domains and devices`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      let list = try await sandbox.xl("list").run()
      #expect(list.status == 0, "\(list.errors)")
      #expect(list.output.contains("Domain-0"))
      #expect(list.output.split(separator: "\n").contains { $0.hasPrefix("pv1 ") && $0.contains(" 1   256 ") })
      #expect(try await sandbox.xl("pci-list", "pv1").run().output == "Vdev Device\n00.0 0000:00:05.0\n")
      let free = try await sandbox.xl("pci-assignable-list").run().output
      #expect(
        free.split(separator: "\n").map { $0.split(separator: " ")[0] }.sorted() == [
          "0000:00:06.0", "0000:00:07.0", "0000:01:00.0", "0000:03:00.0",
        ])
      let long = try await sandbox.xl("list", "-l", "pv1").run()
      #expect(long.status == 0, "\(long.errors)")
      #expect(long.output.contains("\"pcidevs\""))
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `xl attaches and detaches, and everything agrees`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(), store: store) { sandbox in
      for (number, device) in ["00:05.0", "01:00.0,permissive=1"].enumerated() {
        let result = try await sandbox.xl("pci-attach", "pv1", device).run()
        #expect(result.status == 0, "\(result.errors)")
        try sandbox.wait(for: [
          "/local/domain/0/backend/pci/1/0/state-\(number)": "3", "/local/domain/1/device/pci/0/state": "4",
          "/local/domain/0/backend/pci/1/0/state": "4",
        ])
      }
      var domain = try sandbox.domain(1)
      #expect(domain.guestDevices.values.sorted() == [devices[0], devices[3]])
      #expect(domain.assigned == [devices[0], devices[3]])
      #expect(domain.mappedInterrupts == [21])
      #expect(domain.grantedRanges == 3)
      let status = try sandbox.status()
      #expect(status.devices.filter(\.isPermissive).map(\.address) == [devices[3]])
      #expect(status.devices.filter { $0.resets > 0 }.map(\.address) == [devices[3]], "the other has no reset")

      #expect(try await sandbox.xl("pci-detach", "pv1", "00:05.0").run().status == 0)
      domain = try sandbox.domain(1)
      #expect(domain.guestDevices.values.sorted() == [devices[3]])
      #expect(domain.assigned == [devices[3]])
      #expect(domain.mappedInterrupts == [], "the interrupt both shared went with the first")
      #expect(try await sandbox.xl("pci-detach", "pv1", "01:00.0").run().status == 0)
      try sandbox.wait(for: ["/local/domain/0/backend/pci": nil])
      #expect(try sandbox.domain(1).hasBackEndObject == false)
    }
  }

  @Test func `xl makes a device assignable and returns it to its driver`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let add = try await sandbox.xl("pci-assignable-add", "00:1f.2").run()
      #expect(add.status == 0, "\(add.errors)")
      let device = try #require(PCIAddress("0000:00:1f.2"))
      var found = try #require(try sandbox.status().devices.first { $0.address == device })
      #expect(found.driver == "pciback" && found.owner == "quarantine")
      #expect(fileExists(sandbox.paths.pciDrivers + "/pciback/0000:00:1f.2"))
      #expect(try sandbox.connect().read("/libxl/pci/0000-00-1f-2/driver_path") == "/sys/bus/pci/drivers/ahci")

      let remove = try await sandbox.xl("pci-assignable-remove", "-r", "00:1f.2").run()
      #expect(remove.status == 0, "\(remove.errors)")
      found = try #require(try sandbox.status().devices.first { $0.address == device })
      #expect(found.driver == "ahci" && found.owner == "dom0")
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `xl pauses a domain and destroys it`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]"), store: store) { sandbox in
      #expect(try await sandbox.xl("pause", "pv1").run().status == 0)
      #expect(try sandbox.domain(1).isPaused)
      #expect(try await sandbox.xl("unpause", "pv1").run().status == 0)
      #expect(try !sandbox.domain(1).isPaused)
      let result = try await sandbox.xl("destroy", "pv1").run()
      #expect(result.status == 0, "\(result.errors)")
      let status = try sandbox.status()
      #expect(status.domains.isEmpty)
      #expect(status.devices.first { $0.address == devices[0] }?.owner == "quarantine")
      #expect(try sandbox.connect().list("/local/domain/0/backend") == nil)
      #expect(try fileNames(sandbox.paths.userdata).filter { $0.hasSuffix("libxl-json") }.isEmpty)
    }
  }

  @Test func `xl fails if Xen refuses`() async throws {
    let scenario = Scenarios.laboratory(domain: "iommu: false")
    try await LiveSandbox.run(scenario) { sandbox in
      let result = try await sandbox.xl("pci-attach", "pv1", "00:05.0").run()
      #expect(result.status != 0)
      #expect(result.errors.contains("xc_assign_device failed"), "\(result.errors)")
    }
  }

  @Test func `xl reports a detach as done although the guest did not answer`() async throws {
    let scenario = Scenarios.laboratory(domain: "devices: [0000:00:05.0]\nanswers: never")
    try await LiveSandbox.run(scenario) { sandbox in
      let result = try await sandbox.xl("pci-detach", "pv1", "00:05.0").run()
      #expect(result.status == 0, "\(result.errors)")
      #expect(try sandbox.connect().read("/local/domain/0/backend/pci/1/0/dev-0") == "0000:00:05.0")
      #expect(try sandbox.domain(1).assigned.isEmpty)
      #expect(try sandbox.domain(1).guestDevices.count == 1)
    }
  }

  @Test(arguments: StoreKind.allCases)
  func `two first devices at once by xl lose one`(store: StoreKind) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(), store: store) { sandbox in
      try sandbox.request("lock pv1")
      let lock = sandbox.paths.userdata(
        "l", of: DomainKey(id: DomainID(1), uuid: Scenarios.uuid), "domain-userdata-lock")
      let commands = try [sandbox.xl("pci-attach", "pv1", "00:05.0"), sandbox.xl("pci-attach", "pv1", "00:07.0")]
      try await onThread {
        let watch = try FileWatch()
        try watch.addOpening(of: lock)
        let end = ContinuousClock.now + .seconds(30)
        // Each command reads that there is no bus before it opens the lock's file to wait.
        let running = try commands.map { command in
          let process = try command.start()
          try waitForOpening(watch)
          return process
        }
        try sandbox.request("unlock pv1")
        for process in running {
          #expect(process.collect(until: end) { _ in false })
          #expect(process.waitForExit() == 0, "\(process.errors)")
        }
      }

      let link = try sandbox.connect()
      #expect(try link.read("/local/domain/0/backend/pci/1/0/num_devs") == "1", "one device is lost")
      #expect(try link.read("/libxl/pci/0000-00-05-0/domid") == "1")
      #expect(try link.read("/libxl/pci/0000-00-07-0/domid") == "1")
      #expect(try sandbox.domain(1).assigned.count == 2)
    }
  }
}

/// Waits for the next opening of a watched file.
private func waitForOpening(_ watch: FileWatch) throws {
  var entry = pollfd(fd: watch.descriptor, events: Int16(POLLIN), revents: 0)
  guard unsafe poll(&entry, 1, 30_000) > 0, !watch.takeEvents().isEmpty else { throw TestFailure("nobody opened it") }
}
