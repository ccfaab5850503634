import Model
import TestSupport
import Testing

/// What cannot be done is reported with the reason, and everything else is done.
struct Refusals {
  @Test func `missing devices, the host's and another guest's are blocked, and the others continue`() async throws {
    let ahci = "{address: \"0000:00:17.0\", id: \"8086:a352\", driver: ahci, disk: {name: sda, mount: /srv}}"
    let scenario = TestScenario.host(
      devices: 3, extraDevices: [ahci],
      ["{name: net, domid: 5}", "{name: other, domid: 6, devices: [\"\(Sample.address(1))\"]}"])
    try await TestHost.with(scenario) { host in
      let good = Sample.address(0)
      let wanted = [good, Sample.address(1), Sample.address(30)] + [PCIAddress("0000:00:17.0")].compactMap { $0 }
      let apply = try await host.berth("apply", try host.manifest(["net": wanted]), "--yes")
      #expect(apply.status == 3, "\(apply.output)\(apply.errors)")
      for reason in [
        "device-missing", "interlocked, mounted-file-system: 0000:00:17.0 → sda → /srv", "attached-elsewhere",
      ] {
        #expect(apply.output.contains(reason), "\(reason) is missing in\n\(apply.output)")
      }
      #expect(try await host.disagreements(of: "net", expecting: [good]) == [])
      #expect(try await host.disagreements(of: "other", expecting: [Sample.address(1)]) == [])
    }
  }

  @Test(arguments: [("{name: net, domid: 5, kind: pvh}", "pvh"), ("{name: net, domid: 5, iommu: false}", "iommu")])
  func `a domain that cannot have devices is reported`(_ domain: String, _ reason: String) async throws {
    try await TestHost.with(TestScenario.host([domain])) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      #expect(apply.status == 3, "\(apply.output)\(apply.errors)")
      #expect(apply.output.lowercased().contains(reason))
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }

  @Test func `a missing domain is pending, and a failure only if it must run`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5, lifecycle: absent}"])) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let plan = try await host.berth("plan", manifest)
      #expect(plan.status == 0)
      #expect(plan.output.contains("pending"))
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      #expect(try await host.berth("apply", manifest, "--yes", "--require-running").status == 1)
      try await host.change("start-domain", "net")
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a domain that runs without libxl's saved configuration is named, and nothing of it is changed`()
    async throws
  {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5}", "{name: other, domid: 6}"])) { host in
      let removal = Command("/bin/sh", ["-c", "rm \"$0\"/userdata-d.5.*", host.directory + "/root" + "/var/lib/xen"])
      #expect(try await removal.run().status == 0)
      let manifest = try host.manifest(["net": [Sample.address(0)], "other": [Sample.address(1)]])
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 3, "\(apply)")
      #expect(apply.output.contains("blocked: running-without-configuration"), "\(apply)")
      #expect(try await host.status().domain("net").assigned.isEmpty)
      #expect(try await host.disagreements(of: "other", expecting: [Sample.address(1)]) == [])
      let doctor = try await host.berth("doctor")
      #expect(doctor.output.contains("running-without-configuration"), "\(doctor)")
    }
  }

  @Test func `a device that ends the guest's bus is reported with those that were on the bus`() async throws {
    let (kept, bad) = (Sample.address(0), Sample.address(1))
    let domain = "{name: net, domid: 5, devices: [\"\(kept)\"]}"
    try await TestHost.with(TestScenario.host([domain], faults: "{failingExports: [\"\(bad)\"]}")) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [kept, bad]]), "--yes")
      #expect(apply.status == 1, "\(apply)")
      #expect(apply.output.contains("adopt failed: the guest's PCI bus has ended since"), "\(apply)")
      #expect(apply.output.contains("2 failed"), "\(apply)")
      #expect(apply.output.contains("the guest's PCI bus ended with \(kept) on it; restart the domain"), "\(apply)")
      #expect(try await host.status().domain("net").assigned == [kept])
    }
  }

  @Test func `two sets on one host leave each other's devices alone`() async throws {
    let (one, two) = (Sample.address(0), Sample.address(1))
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5}", "{name: disk, domid: 6}"])) { host in
      func manifest(_ set: String, _ domain: String, _ devices: [PCIAddress]) throws -> String {
        let list = devices.map { "\"\($0)\"" }.joined(separator: ", ")
        try host.folder.write(
          "\(set).yaml",
          """
          apiVersion: berth/v1alpha1
          kind: HostAssignments
          metadata: {set: \(set)}
          spec: {domains: {\(domain): {devices: [\(list)]}}}

          """)
        return "\(host.folder.path)/\(set).yaml"
      }
      #expect(try await host.berth("apply", try manifest("network", "net", [one]), "--yes").status == 0)
      let storage = try await host.berth("apply", try manifest("storage", "disk", [two]), "--yes")
      #expect(storage.status == 0, "\(storage)")
      #expect(storage.output.contains("Set storage. Other sets own devices here, and keep them: network."))
      #expect(try await host.disagreements(of: "net", expecting: [one]) == [])
      #expect(try await host.disagreements(of: "disk", expecting: [two]) == [])
      let status = try await host.berth("status")
      #expect(status.output.contains("Berth's in set network"), "\(status)")
      let both = try await host.berth("apply", try manifest("storage", "disk", [one, two]), "--yes")
      #expect(both.status == 3, "\(both)")
      #expect(both.output.contains("blocked: other-set, set 'network' owns it in net (domain 5)"), "\(both)")
      let none = try await host.berth("apply", try manifest("storage", "disk", []), "--yes")
      #expect(none.status == 0, "\(none)")
      #expect(try await host.disagreements(of: "net", expecting: [one]) == [])
      #expect(try await host.disagreements(of: "disk", expecting: []) == [])
    }
  }

  @Test func `a device with another identity than declared is left unchanged`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      try host.folder.write(
        "host.yaml",
        """
        apiVersion: berth/v1alpha1
        kind: HostAssignments
        spec:
          devices: {lan: {address: "\(Sample.address(0))", id: 10de:2504}}
          domains: {net: {devices: [lan, "\(Sample.address(1))"]}}

        """)
      let apply = try await host.berth("apply", "\(host.folder.path)/host.yaml", "--yes")
      #expect(apply.status == 3)
      #expect(apply.output.contains("identity-mismatch"))
      #expect(apply.output.contains("8086:1533"))
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(1)]) == [])
    }
  }

  @Test func `more removals than the policy allows are refused as a whole`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let all = try host.manifest(["net": (0..<3).map(Sample.address)], name: "all.yaml")
      #expect(try await host.berth("apply", all, "--yes").status == 0)
      let none = try host.manifest(["net": []], policy: "{maxRemovals: 2}", name: "none.yaml")
      let apply = try await host.berth("apply", none, "--yes")
      #expect(apply.status == 3, "\(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "net", expecting: Set((0..<3).map(Sample.address))) == [])
      #expect(try await host.berth("apply", none, "--yes", "--allow-removals").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
    }
  }

  @Test func `a held lock is waited for until the deadline, and its holder is named`() async throws {
    try await TestHost.with(TestScenario.host(faults: "{heldLocks: [net]}")) { host in
      let manifest = try host.manifest(["net": [Sample.address(0)]])
      let apply = try await host.berth("apply", manifest, "--yes", "--lock-timeout", "300ms")
      #expect(apply.status == 75, "\(apply.output)\(apply.errors)")
      #expect((apply.output + apply.errors).contains("sandbox serve"), "the holder's command is missing")
      #expect(try await host.status().domain("net").assigned.isEmpty, "a claimed device is returned")
      try await host.change("unlock", "net")
      #expect(try await host.berth("apply", manifest, "--yes").status == 0)
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a call that Xen does not permit ends with 77, and a possible cause`() async throws {
    try await TestHost.with(TestScenario.host(faults: "{failingCalls: [{call: test, error: EPERM}]}")) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      #expect(apply.status == 77, "\(apply.output)\(apply.errors)")
      #expect(apply.errors.contains("not permitted"), "\(apply.errors)")
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }

  @Test func `a device that Xen does not assign is blocked with the probable cause, and the others continue`()
    async throws
  {
    let fault = "{failingCalls: [{call: assign, device: \"\(Sample.address(0))\", error: EPERM}]}"
    try await TestHost.with(TestScenario.host(faults: fault)) { host in
      let manifest = try host.manifest(["net": [Sample.address(0), Sample.address(1)]])
      let apply = try await host.berth("apply", manifest, "--yes")
      #expect(apply.status == 3, "\(apply)")
      #expect(
        apply.output.contains("assign-refused: Xen does not permit the assignment: operation not permitted (EPERM)"),
        "\(apply)")
      #expect(apply.output.contains("next: see `xl dmesg`"), "\(apply)")
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(1)]) == [])
    }
  }

  @Test func `a guest that keeps its device is told apart from a QEMU that is gone`() async throws {
    let device = Sample.address(0)
    let domain = "{name: win, domid: 5, kind: hvm, answers: never, devices: [\"\(device)\"]}"
    try await TestHost.with(TestScenario.host([domain])) { host in
      let declared = try host.manifest(["win": [device]])
      #expect(try await host.berth("apply", declared, "--yes").status == 0)
      let nothing = try host.manifest(["win": []])
      for timeout in ["2s", "2300ms", "3s"] {
        let kept = try await host.berth("apply", nothing, "--yes", "--wait-timeout", timeout)
        #expect(kept.status == 7, "\(kept)")
        #expect(kept.output.contains("QEMU asked the guest to release it, but it has not in time"), "\(kept)")
      }
      try await host.change("device-model", "win", "crashed")
      let gone = try await host.berth("apply", nothing, "--yes", "--wait-timeout", "1s")
      #expect(gone.status == 1, "\(gone)")
      #expect(
        gone.output.contains(
          "QEMU of win has ended, or takes no connections, so the guest was not asked; restart the domain"), "\(gone)")
    }
  }

  @Test func `a host without an IOMMU is reported per device, and nothing is tried`() async throws {
    try await TestHost.with(TestScenario.host(iommu: false)) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      #expect(apply.status == 3, "\(apply.output)\(apply.errors)")
      #expect(apply.output.contains("host-without-iommu"), "\(apply.output)")
      #expect(try await host.status().domain("net").assigned.isEmpty)
    }
  }

  @Test func `a sandbox without one of its parts ends with 78, and names the part`() async throws {
    let folder = try TemporaryFolder()
    try folder.write("scenario.yaml", TestScenario.host())
    let alone = "\(folder.path)/berth"
    // Another process copies the program: a file that this process has open for writing is open in its children, and
    // cannot be executed.
    #expect(try await Command("/bin/cp", [try builtFile("berth"), alone]).run().status == 0)
    let start = try await Command(
      alone, ["sandbox", "start", "\(folder.path)/scenario.yaml", "--sandbox", "\(folder.path)/host"]
    ).run()
    #expect(start.status == 78, "\(start.output)\(start.errors)")
    #expect(start.errors.contains("libBerthPreload.so"), "\(start.errors)")
  }
}
