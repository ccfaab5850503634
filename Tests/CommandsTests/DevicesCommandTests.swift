import Model
import Planning
import Ports
import Synchronization
import Testing

@Suite struct DevicesCommandTests {
  private func inventory() throws -> Inventory {
    let functions = try ["0000:00:1c.0", "0000:03:00.0"].map { text in
      var function = PCIFunction(name: try #require(FunctionName(text)))
      function.deviceClass = text.hasSuffix("1c.0") ? 0x060400 : 0x020000
      function.driver = "igb"
      return function
    }
    return Inventory(functions: functions, facts: FunctionFact.usual)
  }

  private func given(failure: HostError? = nil) throws -> FakeWorld.Given {
    var given = FakeWorld.Given()
    given.inventory = try inventory()
    given.observeFailure = failure
    return given
  }

  @Test func `the list leaves out bridges unless it is asked for them`() throws {
    let world = FakeWorld()
    #expect(world.run("devices", given: try given()) == 0)
    #expect(world.output.contains("0000:03:00.0") && !world.output.contains("0000:00:1c.0"))
    #expect(world.output.contains("1 bridge not shown: --all shows it."))
    let whole = FakeWorld()
    #expect(whole.run("devices", "--all", given: try given()) == 0)
    #expect(whole.output.contains("0000:00:1c.0") && !whole.output.contains("not shown"))
  }

  @Test func `only the wide list, and a document, ask for costly facts`() throws {
    for (arguments, isWhole) in [
      ([], false), (["-o", "wide"], true), (["-v"], true), (["-o", "json"], true),
    ] {
      let world = FakeWorld()
      #expect(world.run(["devices"] + arguments, given: try given()) == 0)
      let asked = world.state.withLock(\.facts)
      #expect(asked == [isWhole ? Set(FunctionFact.allCases) : FunctionFact.usual], "\(arguments)")
    }
  }

  @Test func `an address narrows the list, and one that no device has is an error`() throws {
    let world = FakeWorld()
    #expect(world.run("devices", "03:00", given: try given()) == 0)
    #expect(world.output.contains("1 device,"))
    #expect(world.run("devices", "07:00", given: try given()) == 1)
    #expect(world.messages.contains("no device has an address that begins with 07:00"))
  }

  @Test func `without Xen the devices are listed, and a warning says what is missing`() throws {
    let world = FakeWorld()
    let failure = HostError.hypervisor(HypervisorError(.unreachable, operation: "xc_interface_open"))
    #expect(world.run("devices", given: try given(failure: failure)) == 0)
    #expect(world.output.contains("domains unknown"))
    #expect(world.messages.contains("warning") && world.messages.contains("nothing is known of domains"))
  }

  @Test func `a warning names the file systems whose devices are not known`() throws {
    var given = try given()
    given.usage.mounts = (1...6).map {
      Mount(number: "0:\($0)", type: "nfs4", source: "store:/", point: "/store/\($0)")
    }
    let world = FakeWorld()
    #expect(world.run("devices", given: given) == 0)
    #expect(
      world.messages.contains("the files of /store/1, /store/2, /store/3, /store/4 and 2 more are stored"),
      "\(world.messages)")
    #expect(world.run("devices", "-o", "json", given: given) == 0)
    #expect(world.output.contains("it is not known on which devices"))
  }

  /// A disk with dom0's root, and a network card by which a guest is served.
  private func givenUse() throws -> FakeWorld.Given {
    var given = try given()
    let name = try #require(FunctionName("0000:03:00.0"))
    var disk = BlockDevice(name: "sda")
    (disk.number, disk.functions) = ("8:0", [name])
    given.usage.blocks = [disk]
    given.usage.network.interfaces = [HostInterface(name: "br0", kind: .device, functions: [name])]
    given.served.interfaces = [ServedInterface(guest: DomainID(3), bridge: "br0")]
    given.openings = [DiskOpening(disk: "sda", answer: .held)]
    return given
  }

  @Test func `only an explanation opens disks, and only those of its device`() throws {
    for arguments in [["devices"], ["devices", "-o", "json"], ["devices", "03:00", "-o", "wide"]] {
      let world = FakeWorld()
      #expect(world.run(arguments, given: try givenUse()) == 0)
      #expect(world.state.withLock(\.disks).isEmpty && !world.output.contains("held-open"), "\(arguments)")
    }
    let world = FakeWorld()
    #expect(world.run("explain", "03:00.0", given: try givenUse()) == 0)
    #expect(world.state.withLock(\.disks) == [["sda"]])
    #expect(world.output.contains("held-open refuses: 0000:03:00.0 -> sda -> held by the kernel or a program"))
    let other = FakeWorld()
    #expect(other.run("explain", "00:1c.0", given: try givenUse()) == 0)
    #expect(other.state.withLock(\.disks) == [[]])
  }

  @Test func `a list says what needs a device, a document says by which way, and no command is offered`() throws {
    let world = FakeWorld()
    #expect(world.run("devices", given: try givenUse()) == 0)
    #expect(world.output.contains("driver igb, needed for domid 3"), "\(world.output)")
    #expect(world.run("devices", "-o", "json", given: try givenUse()) == 0)
    #expect(world.output.contains(#""strength" : "refuse""#) && world.output.contains(#""what" : "interface""#))
    #expect(world.run("explain", "03:00.0", given: try givenUse()) == 0)
    #expect(
      world.output.contains("next: move the guests to another bridge") && !world.output.contains("pci-assignable"))
    var given = try givenUse()
    given.usage.unread = [.mounts: ReadFailure(place: "/proc/1/mountinfo", .failed(13))]
    given.served.interfaces = []
    #expect(world.run("devices", given: given) == 0)
    #expect(world.output.contains("driver igb, not known what needs it"))
  }

  @Test func `other answers have no wide form`() throws {
    let world = FakeWorld()
    #expect(world.run("status", "-o", "wide", given: try given()) == 64)
    #expect(world.messages.contains("`berth devices -o wide`"))
  }
}
