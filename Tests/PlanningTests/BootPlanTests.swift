import Model
import Planning
import TestSupport
import Testing

/// Which devices pciback is to take when a host starts, and which it must not.
@Suite struct BootPlanTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func plan(
    _ devices: [(PCIAddress, hidden: Bool)], all: Bool = false, usage: HostUsage = HostUsage(), line: String? = nil,
    _ change: (inout PCIFunction) -> Void = { _ in }
  ) -> BootPlan {
    let functions = devices.map { address, _ in
      var function = PCIFunction(name: FunctionName(address))
      function.id = DeviceID("8086:1533")
      change(&function)
      return function
    }
    let wanted = devices.map { address, hidden in
      var device = DesiredDevice(address: address, label: "d\(address.device)")
      device.hidesAtBoot = hidden
      return device
    }
    let inventory = Inventory(functions: functions, facts: [])
    let listing = DeviceListing(
      inventory: inventory, observation: nil, rules: InterlockRules(usage: usage, inventory: inventory))
    let drivers = [FunctionName(one): [NativeDriver(module: "igb"), NativeDriver(builtIn: "ahci")]]
    return BootPlan(
      host: "host", desired: DesiredState(domains: [DesiredDomain(name: "web", devices: wanted)]), takesAll: all,
      listing: listing, drivers: drivers, commandLine: line)
  }

  @Test func `the devices that are to be hidden, in order, and the modules before which pciback comes`() {
    let some = plan([(two, false), (one, true)])
    #expect(some.hidden == "(\(one))" && some.modules == ["igb"] && some.refusals.isEmpty)
    let every = plan([(two, false), (one, true)], all: true)
    #expect(every.hidden == "(\(one))(\(two))")
    #expect(every.devices.map(\.isThere) == [true, true] && every.devices[0].id == DeviceID("8086:1533"))
    #expect(plan([(two, false)]).devices.isEmpty)
  }

  @Test func `a device that dom0 uses, a bridge, and what is not known are refused`() {
    var usage = HostUsage()
    var disk = BlockDevice(name: "sda1")
    (disk.number, disk.functions) = ("8:1", [FunctionName(one)])
    usage.blocks = [disk]
    usage.mounts = [Mount(number: "8:1", type: "ext4", source: "sda1", point: "/")]
    guard case .interlocked(let device, let interlock)? = plan([(one, true)], usage: usage).refusals.first else {
      Issue.record("not refused")
      return
    }
    #expect(device == one && interlock.name == .rootFileSystem && interlock.chain.last?.name == "/")
    #expect(plan([(two, true)], usage: usage).refusals.isEmpty)
    #expect(plan([(one, true)]) { $0.deviceClass = 0x060400 }.refusals == [.bridge(one)])
    var unread = HostUsage()
    unread.unread = [.mounts: ReadFailure(place: "mountinfo", .malformed)]
    guard case .interlocked(_, let unknown)? = plan([(one, true)], usage: unread).refusals.first else {
      Issue.record("what was not read is not refused")
      return
    }
    #expect(unknown.name == .unknown && unknown.chain.last?.name == "mountinfo")
    #expect(plan([(one, false)], usage: unread).refusals.isEmpty)
  }

  @Test func `a parameter and a command line are bounded`() {
    func many(_ count: Int, line: String? = nil) -> [BootRefusal] {
      plan((0..<count).map { (Sample.address($0), hidden: true) }, line: line).refusals
    }
    // An entry has 14 bytes.
    #expect(many(73).isEmpty)
    #expect(many(74) == [.tooLong(1036)])
    // `xen-pciback.hide=` has 17 bytes, and a blank stands before it.
    let room = BootFacts.longestCommandLine - 18 - 14
    #expect(many(1, line: String(repeating: "a", count: room)).isEmpty)
    #expect(many(1, line: String(repeating: "a", count: room + 1)) == [.commandLineTooLong(1024)])
    // What the line has of the parameter already is replaced.
    #expect(many(1, line: "\(String(repeating: "a", count: room - 1)) xen-pciback.hide=(0000:09:00.0)").isEmpty)
  }

  @Test func `the fingerprint changes with what is declared`() {
    let some = plan([(one, true)]).fingerprint
    #expect(some == plan([(one, true)]).fingerprint && some.utf8.count == 16)
    #expect(some != plan([(two, true)]).fingerprint)
    #expect(some != plan([(one, true)]) { $0.id = DeviceID("8086:10d3") }.fingerprint)
  }
}
