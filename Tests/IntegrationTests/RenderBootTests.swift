import Model
import TestSupport
import Testing

/// `berth render boot`, on sandboxes.
struct RenderBootTests {
  private func with(_ body: (TestHost, _ manifest: String) async throws -> Void) async throws {
    let disk =
      "{address: \"\(Sample.address(5))\", id: \"144d:a80a\", class: \"010802\", driver: nvme, disk: {name: sda, mount: /}}"
    try await TestHost.with(TestScenario.host(devices: 2, extraDevices: [disk])) { host in
      try host.folder.write(
        "host.yaml",
        """
        apiVersion: berth/v1alpha1
        kind: HostAssignments
        spec:
          devices:
            lan0: {address: "\(Sample.address(0))", id: "8086:1533", hideAtBoot: true}
            lan1: {address: "\(Sample.address(1))", id: "8086:1533"}
            disk: {address: "\(Sample.address(5))", id: "144d:a80a"}
          domains:
            net: {devices: [lan0, lan1]}

        """)
      try host.folder.write("host/root/proc/sys/kernel/osrelease", "6.1.0\n")
      try host.folder.write(
        "host/root/lib/modules/6.1.0/modules.alias", "alias pci:v00008086d00001533sv*sd*bc*sc*i* igb\n")
      try host.folder.write("host/root/etc/modprobe.d/other.conf", "")
      try await body(host, "\(host.folder.path)/host.yaml")
    }
  }

  @Test func `the files name what is to be hidden, and only --write writes one`() async throws {
    try await with { host, manifest in
      let answer = try await host.berth("render", "boot", "--for", "initramfs-tools", manifest)
      #expect(answer.status == 0, "\(answer.errors)")
      #expect(answer.output.contains("\noptions xen-pciback hide=(\(Sample.address(0)))\n"), "\(answer.output)")
      #expect(answer.output.contains("\nsoftdep igb pre: xen-pciback\n"), "\(answer.output)")
      #expect(throws: (any Error).self) { try host.folder.read("host/root/etc/modprobe.d/berth.conf") }
      let written = try await host.berth("render", "boot", "--for", "dracut", manifest, "--all", "--write")
      #expect(written.status == 0 && written.errors.contains("modprobe.d/berth.conf"), "\(written)")
      let file = String(decoding: try host.folder.read("host/root/etc/modprobe.d/berth.conf"), as: UTF8.self)
      #expect(file.contains("hide=(\(Sample.address(0)))(\(Sample.address(1)))\n") && written.output.contains(file))
    }
  }

  @Test func `what must not be hidden, or cannot be written, is refused`() async throws {
    try await with { host, manifest in
      func run(_ words: String...) async throws -> Command.Result {
        try await host.berth(["render", "boot", "--for"] + words)
      }
      let text = String(decoding: try host.folder.read("host.yaml"), as: UTF8.self)
      try host.folder.write("host.yaml", text.replacing("[lan0, lan1]", with: "[lan0, lan1, disk]"))
      #expect(try await run("initramfs-tools", manifest).status == 0)
      let disk = try await run("initramfs-tools", manifest, "--all", "--write")
      let refusal = "\(Sample.address(5)) must stay in dom0: root-file-system"
      #expect(disk.status == 3 && disk.errors.contains(refusal), "\(disk)")
      #expect(throws: (any Error).self) { try host.folder.read("host/root/etc/modprobe.d/berth.conf") }
      try host.folder.write("host.yaml", text.replacing(", hideAtBoot: true", with: ""))
      let none = try await run("grub", manifest)
      #expect(none.status == 1 && none.errors.contains("hideAtBoot: true"), "\(none)")
      #expect(try await run("grub", manifest, "--write").status == 64)
      #expect(try await run("lilo", manifest).status == 64)
      try host.folder.write("host.yaml", text)
      try host.folder.write("host/root/proc/cmdline", String(repeating: "a", count: 1010) + "\n")
      let long = try await run("grub", manifest)
      #expect(long.status == 3 && long.errors.contains("Xen passes on 1023"), "\(long)")
      try host.folder.write("host/root/proc/sys/kernel/osrelease", "6.2.0\n")
      let unknown = try await run("dracut", manifest)
      #expect(unknown.status == 1 && unknown.errors.contains("modules.alias"), "\(unknown)")
    }
  }

  @Test func `doctor says what is not in force, and that a restart is required`() async throws {
    try await with { host, manifest in
      let calm = try await host.berth("doctor", "-o", "json")
      #expect(try DocumentSchemas().violations(of: calm.output) == [] && !calm.output.contains("rebootRequired"))
      #expect(try await host.berth("render", "boot", "--for", "dracut", manifest, "--write").status == 0)
      try host.folder.write("host/root/sys/module/xen_pciback/parameters/hide", "(0000:7f:00.0)\n")
      try host.folder.write("host/root/proc/sys/kernel/random/boot_id", "b-1\n")
      let text = try await host.berth("doctor")
      #expect(text.output.contains("boot-hide-missing") && text.output.contains("Restart required"), "\(text)")
      let answer = try await host.berth("doctor", "-o", "json")
      #expect(try DocumentSchemas().violations(of: answer.output) == [])
      let reboot = try JSON(text: answer.output)["rebootRequired"]
      #expect(reboot?["bootId"]?.string == "b-1")
      #expect(reboot?["reasons"]?.strings == ["boot-hide-missing", "boot-hide-extra"], "\(answer.output)")
    }
  }
}
