import Model
import Planning
import Rendering
import TestSupport
import Testing

@Suite struct XlViewTests {
  private func domain() throws -> DesiredDomain {
    DesiredDomain(
      name: "gpu-vm",
      devices: [
        DesiredDevice(
          address: try Samples.address("0001:04:10.7"), label: "gpu",
          options: DeviceOptions(
            permissive: true, msiTranslate: true, powerManagement: true, rdmPolicy: .relaxed, virtualSlot: 27)),
        DesiredDevice(address: try Samples.address("0000:03:00.0"), id: try Samples.id("8086:1533"), label: "lan0"),
        DesiredDevice(address: try Samples.address("0000:05:00.0")),
      ])
  }

  @Test func `the lines of a domain with devices, and of one without`() throws {
    let view = XlView(domain: try domain())
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "everything/xl.cfg")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/xl.json")
    let none = XlView(domain: DesiredDomain(name: "a\u{1B}[1m\nb", devices: []))
    try expectGolden(try rendered(none, as: .table, style: TextStyle()), "in-sync/xl.cfg")
  }

  @Test func `a file that differs, and one that agrees`() throws {
    let (one, two) = (try Samples.address("0000:03:00.0"), try Samples.address("0000:05:00.0"))
    let differences: [ConfigurationDifference] = [
      .name("db"), .uuid(try Samples.uuid("2")), .missing(one), .extra(two, line: 4), .repeated(two, line: 5),
      .options(one, line: 6, DeviceOptions(permissive: true), DeviceOptions(virtualSlot: 5)),
      .remark(one, line: 7, .seize), .remark(nil, line: nil, .deviceName("disk", line: 8)),
    ]
    let view = XlCheckView(domain: try domain(), file: "/etc/xen/gpu.cfg", differences: differences)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "everything/xl-check.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/xl-check.json")
    let same = XlCheckView(domain: try domain(), file: "/etc/xen/gpu.cfg", differences: [])
    #expect(
      try rendered(same, as: .table, style: TextStyle()) == "/etc/xen/gpu.cfg agrees with the manifest of gpu-vm.\n")
  }
}
