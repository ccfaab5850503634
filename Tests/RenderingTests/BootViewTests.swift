import Model
import Planning
import Rendering
import Testing

@Suite struct BootViewTests {
  private func plan(host: String = "host17") throws -> BootPlan {
    let (one, two) = (try Samples.address("0000:03:00.0"), try Samples.address("0000:08:00.0"))
    var (lan, gpu) = (DesiredDevice(address: one, label: "lan0"), DesiredDevice(address: two))
    (lan.hidesAtBoot, gpu.hidesAtBoot) = (true, true)
    var function = PCIFunction(name: FunctionName(two))
    function.id = try Samples.id("10de:2504")
    return BootPlan(
      host: host, desired: DesiredState(domains: [DesiredDomain(name: "a", devices: [lan, gpu])]), takesAll: false,
      listing: DeviceListing(inventory: Inventory(functions: [function], facts: []), observation: nil),
      drivers: [
        FunctionName(one): [NativeDriver(module: "igb")],
        FunctionName(two): [NativeDriver(module: "nouveau"), NativeDriver(module: "nvidiafb")],
      ])
  }

  @Test(arguments: BootSystem.allCases)
  func `the files of each system`(_ system: BootSystem) throws {
    let view = BootView(plan: try plan(), system: system, warnings: ["a record is damaged"])
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "boot/\(system.rawValue).txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "boot/\(system.rawValue).json")
  }

  @Test func `a host's name ends no comment`() throws {
    let view = BootView(plan: try plan(host: "a\noptions evil=1\n\u{1B}[8m"), system: .dracut)
    let text = try rendered(view, as: .table, style: TextStyle())
    #expect(!text.contains("\noptions evil") && text.split(separator: "\n").allSatisfy { visible($0) == String($0) })
  }

  @Test func `every refusal has words`() throws {
    let device = try Samples.address("0000:03:00.0")
    let root = Interlock(
      .rootFileSystem, chain: [.function(FunctionName(device)), .init(.blockDevice, "sda1"), .init(.mount, "/")])
    let refusals: [BootRefusal] = [
      .interlocked(device, root), .bridge(device), .tooLong(1036), .commandLineTooLong(1100),
    ]
    #expect(refusals[0].words == "0000:03:00.0 must stay in dom0: root-file-system, 0000:03:00.0 → sda1 → /")
    #expect(Set(refusals.map(\.words)).count == refusals.count)
  }
}
