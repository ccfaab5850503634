import Model

/// Scenarios for tests.
package enum TestScenario {
  /// Returns a host with `devices` on pciback, at `Sample.address(0)` and up, and with these domains.
  ///
  /// Domains are lines of YAML such as `{name: net, domid: 5}`, faults a mapping such as `{heldLocks: [net]}`.
  package static func host(
    devices: Int = 8, extraDevices: [String] = [], _ domains: [String] = ["{name: net, domid: 5}"],
    faults: String? = nil, iommu: Bool = true
  ) -> String {
    var text = """
      apiVersion: berth/v1alpha1
      kind: SandboxScenario
      metadata: {name: test}
      spec:
        host: {iommu: \(iommu)}
        devices:

      """
    for number in 0..<devices { text += "    - \(device(number, "pciback"))\n" }
    for device in extraDevices { text += "    - \(device)\n" }
    text += "  domains:\n"
    for domain in domains { text += "    - \(domain)\n" }
    if let faults { text += "  faults: \(faults)\n" }
    return text
  }

  /// Returns a device that a driver of dom0 has: a network card without an interface.
  package static func hostDevice(_ number: Int) -> String { device(number, "igb") }

  private static func device(_ number: Int, _ driver: String) -> String {
    let memory = 0xa000_0000 + number << 20
    let range = "0x\(hex(UInt64(memory), 8))-0x\(hex(UInt64(memory + 0xffff), 8))"
    return "{address: \"\(Sample.address(number))\", id: \"8086:1533\", driver: \(driver), irq: \(16 + number), "
      + "resources: [\"memory \(range)\"]}"
  }
}
