import Manifest
import Model
import TestSupport
import Testing

@Suite struct DeclarationMarksTests {
  @Test func `a device is found under its name, at its address, or else in its domain`() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      "a.yaml",
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      spec:
        devices:
          lan0: {address: 0000:03:00.0, id: 8086:1533}
          disk: {nvmeSerial: S4EVNX0R}
        domains:
          sys-net:
            devices:
              - lan0
              - {device: disk, permissive: true}
              - {permissive: true, address: 0000:04:00.0, id: 8086:1533}
      ---
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      metadata: {name: host18}
      spec:
        domains:
          other:
            devices: [{address: 0000:05:00.0, id: 8086:1533}]

      """)
    let loaded = try loadManifests(paths: ["\(folder.path)/a.yaml"], hostName: "host17")
    func place(_ domain: Name, _ label: String?, _ address: String?) -> String? {
      loaded.marks.mark(of: domain, label: label, address: address.flatMap { PCIAddress($0) }).map {
        "\($0.line):\($0.column)"
      }
    }
    #expect(place("sys-net", "lan0", "0000:03:00.0") == "10:11")
    #expect(place("sys-net", nil, "0000:03:00.0") == "10:11")
    #expect(place("sys-net", "disk", "0000:01:00.0") == "11:20")
    #expect(place("sys-net", nil, "0000:04:00.0") == "12:39")
    #expect(place("sys-net", "gone", "0000:07:00.0") == "8:5")
    #expect(place("other", nil, "0000:05:00.0") == nil, "it is for another host")
    #expect(place("unknown", "lan0", nil) == nil)
  }
}
