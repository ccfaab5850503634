import Model
import TestSupport

/// Scenarios that the tests share.
enum Scenarios {
  /// Returns the devices of the host from which the captures are, and one running PV guest without devices.
  static func laboratory(domain: String = "", faults: String = "") -> String {
    """
    apiVersion: berth/v1alpha1
    kind: SandboxScenario
    spec:
      devices:
        - {address: 0000:00:05.0, id: 8086:100e, irq: 21, reset: false, resources: [memory 0xfebc0000-0xfebdffff, ports 0xc000-0xc03f]}
        - {address: 0000:00:06.0, id: 8086:100e, irq: 22, reset: false, resources: [memory 0xfeb80000-0xfeb9ffff, ports 0xc040-0xc07f]}
        - {address: 0000:00:07.0, id: 1234:11e8, class: 00ff, irq: 23, reset: false, resources: [memory 0xfea00000-0xfeafffff]}
        - {address: 0000:01:00.0, id: 8086:10d3, irq: 21, resources: [memory 0xfe800000-0xfe81ffff]}
        - {address: 0000:03:00.0, id: 8086:10d3, irq: 20, resources: [memory 0xfe600000-0xfe61ffff]}
        - {address: 0000:00:1f.2, id: 8086:2922, class: 010601, driver: ahci, irq: 16}
      domains:
        - name: pv1
          domid: 1
          uuid: \(uuid)
    \(indented(domain, by: 6))
    \(indented(faults.isEmpty ? "" : "faults:\n" + indented(faults, by: 2), by: 2))
    """
  }

  private static func indented(_ text: String, by count: Int) -> String {
    text.split(separator: "\n").map { String(repeating: " ", count: count) + $0 }.joined(separator: "\n")
  }

  /// The UUID of the guest in `laboratory`.
  static let uuid = Sample.uuid(1)

  static let addresses = ["0000:00:05.0", "0000:00:06.0", "0000:00:07.0", "0000:01:00.0", "0000:03:00.0"]
    .compactMap { PCIAddress($0) }
}
