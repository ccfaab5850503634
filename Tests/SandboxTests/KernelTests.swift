import Model
import Sandbox
import TestSupport
import Testing
import XenProtocol

/// pciback and pcifront, as seen on a real Xen 4.17 with Linux 6.1.
struct KernelTests {
  private let devices = (0..<8).map { Sample.address($0) }

  @Test func `three first devices in one commit reach the guest`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<3]))
    #expect(bench.states == "4/4")
    #expect((0..<3).map(bench.entry) == ["3", "3", "3"])
    #expect((0..<3).map(bench.place) == ["0000:00:00.00", "0000:00:01.00", "0000:00:02.00"])
    #expect(bench.guestDevices == [0: devices[0], 1: devices[1], 2: devices[2]])
    #expect(bench.store[bench.back + "/root-0"] == "0000:00")
    #expect(bench.store[bench.back + "/root_num"] == "1")
    #expect(bench.objects == [bench.domain])
    #expect(
      bench.log.prefix(2) == [
        "\(devices[0]) xen_pciback: vpci: assign to virtual slot 0", "\(devices[0]) registering for 5",
      ])
  }

  @Test func `three more devices take one round`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    let before = bench.store.changes.count
    bench.append(Array(devices[1..<4]), state: "7")
    try bench.settle()
    let states = bench.store.changes.dropFirst(before).filter { $0 == bench.back + "/state" }
    #expect(states.count == 3, "7 by the toolstack, 8 and 4 by pciback")
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices.count == 4)
  }

  @Test func `the back end is connected before the guest has the devices`() throws {
    let bench = KernelBench(delay: .milliseconds(10))
    bench.create([devices[0]])
    try bench.settle(for: .milliseconds(12))
    #expect(bench.states == "4/3")
    #expect(bench.guestDevices.isEmpty)
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices == [0: devices[0]])
  }

  @Test func `two devices leave in one round and their slots are free`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<3]))
    bench.store.write(bench.back + "/state-0", "5")
    bench.store.write(bench.back + "/state-2", "5")
    bench.store.write(bench.back + "/state", "7")
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.entry(0) == "5", "the toolstack removes the entry, not pciback")
    #expect(bench.guestDevices == [1: devices[1]])
    #expect(bench.simulation.kernel.bus(of: bench.domain).devices.count == 1)
  }

  @Test func `a slot freed in a round is used again in the same round`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<2]))
    bench.store.write(bench.back + "/state-0", "5")
    bench.append([devices[5]], state: "7")
    try bench.settle()
    #expect(bench.place(2) == "0000:00:00.00")
    #expect(bench.guestDevices == [0: devices[5], 1: devices[1]])
  }

  @Test func `a bus without devices takes new ones in a round`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.back + "/state-0", "5")
    bench.store.write(bench.back + "/state", "7")
    try bench.settle()
    for name in ["dev-0", "key-0", "state-0", "vdev-0"] { bench.store.remove("\(bench.back)/\(name)") }
    bench.store.write(bench.back + "/num_devs", "0")
    bench.append([devices[3]], state: "7")
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices == [0: devices[3]])
  }

  @Test func `functions of one slot stay together`() throws {
    let bench = KernelBench()
    let sibling = try #require(PCIAddress("0000:03:01.3"))
    bench.simulation.kernel.bind(sibling)
    try bench.connect([devices[0], devices[1], sibling])
    #expect(bench.place(2) == "0000:00:01.03")
    #expect(bench.log.contains("\(sibling) xen_pciback: vpci: assign to virtual slot 1 func 3"))
  }

  @Test func `a new entry waits for a round`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.append([devices[1]], state: nil)
    try bench.settle()
    #expect(bench.entry(1) == "1")
    bench.store.write(bench.back + "/state", "7")
    try bench.settle()
    #expect(bench.entry(1) == "3")
  }

  @Test func `devices are exported at once before the guest is up`() throws {
    let bench = KernelBench(isStopped: true)
    bench.create([devices[0]])
    try bench.settle()
    #expect(bench.states == "3/1")
    bench.append([devices[1]], state: nil)
    try bench.settle()
    #expect(bench.entry(1) == "3")
    bench.simulation.setStopped(bench.domain, false, at: bench.now)
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices.count == 2)
  }

  @Test func `an orderly close is acknowledged and ends the object`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<2]))
    bench.store.write(bench.back + "/online", "0")
    bench.store.write(bench.back + "/state", "5")
    try bench.settle()
    #expect(bench.states == "6/6")
    #expect(bench.objects.isEmpty)
    #expect(bench.log.suffix(2) == ["\(devices[0]) unregistering for 5", "\(devices[1]) unregistering for 5"])
    bench.store.remove(bench.back)
    bench.store.remove(bench.front)
    try bench.settle()
    try bench.connect([devices[4]])
    #expect(bench.states == "4/4", "a new bus after the old one")
    #expect(bench.guestDevices == [0: devices[4]])
  }

  @Test func `a close is ignored by a guest in a round`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.front + "/state", "7")
    bench.store.write(bench.back + "/online", "0")
    bench.store.write(bench.back + "/state", "5")
    try bench.settle()
    #expect(bench.states == "5/7")
    #expect(bench.guestDevices.count == 1)
    bench.store.write(bench.front + "/state", "6")
    try bench.settle()
    #expect(bench.store[bench.back + "/state"] == "6")
    #expect(bench.objects.isEmpty)
  }

  @Test func `removing the back end drops the object at once`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.remove(bench.back)
    try bench.settle()
    #expect(bench.objects.isEmpty)
    #expect(bench.store[bench.back] == nil, "the kernel never recreates the node")
  }

  @Test func `a device that is not on pciback ends the bus but not the guest's devices`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.append([try #require(PCIAddress("0000:1f:00.0"))], state: "7")
    try bench.settle()
    #expect(bench.states == "5/7")
    #expect(bench.error == "22 Couldn't locate PCI device (0000:1f:00.0)! perhaps already in-use?")
    #expect(bench.guestDevices == [0: devices[0]])
  }

  @Test func `a device that is already exported is not found again`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.append([devices[0]], state: "7")
    try bench.settle()
    #expect(bench.states == "5/7")
    #expect(bench.error?.hasPrefix("22 Couldn't locate PCI device (\(devices[0]))") == true)
  }

  @Test func `removing an unknown place blocks the bus, and the right place frees it`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<2]))
    bench.store.write(bench.back + "/state-0", "5")
    bench.store.write(bench.back + "/vdev-0", "0000:00:1e.00")
    bench.append([devices[2]], state: "7")
    try bench.settle()
    #expect(bench.states == "7/7")
    #expect(bench.entry(2) == "1", "pciback does not look at later entries")
    bench.store.write(bench.back + "/vdev-0", "0000:00:00.00")
    bench.store.write(bench.back + "/state-0", "3")
    try bench.settle()
    #expect(bench.states == "7/7")
    bench.store.write(bench.front + "/state", "7")
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.entry(2) == "3")
  }

  @Test func `a stale removal whose place is in use again removes the wrong device`() throws {
    let bench = KernelBench()
    try bench.connect(Array(devices[0..<2]))
    bench.store.write(bench.back + "/state-0", "5")
    bench.append([devices[2]], state: "7")
    try bench.settle()
    #expect(bench.place(2) == bench.place(0))
    bench.append([devices[3]], state: "7")
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.entry(2) == "3", "the entry is exported")
    #expect(!bench.guestDevices.values.contains(devices[2]), "but the guest does not have the device")
  }

  @Test func `a bus recreated in one commit is not noticed while the old object exists`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.remove(bench.back)
    bench.store.remove(bench.front)
    bench.create([devices[1]])
    try bench.settle()
    #expect(bench.states == "1/1")
    #expect(bench.objects == [bench.domain])
    #expect(bench.guestDevices == [0: devices[0]])
  }

  @Test func `a guest that did not notice the removal of its end does not answer the new one`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.back + "/online", "0")
    bench.store.write(bench.back + "/state", "5")
    try bench.settle()
    bench.store.remove(bench.back)
    bench.store.remove(bench.front)
    bench.create([devices[1]])
    try bench.settle()
    #expect(bench.states == "3/1")
  }

  @Test(arguments: [true, false])
  func `a guest notices the removal of its end only if that path was named`(isNamed: Bool) throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.back + "/online", "0")
    bench.store.write(bench.back + "/state", "5")
    try bench.settle()
    bench.store.remove(bench.back)
    if isNamed { bench.store.remove(bench.front) }
    bench.store.remove(StorePath.frontEndHome(bench.domain).text)
    try bench.settle()
    bench.create([devices[1]])
    try bench.settle()
    #expect(bench.states == (isNamed ? "4/4" : "3/1"))
  }

  @Test func `a paused guest finds the present state when it continues`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.simulation.setStopped(bench.domain, true, at: bench.now)
    bench.append([devices[1]], state: "7")
    try bench.settle()
    #expect(bench.states == "7/4")
    bench.store.write(bench.back + "/num_devs", "1")
    for name in ["dev-1", "key-1", "state-1"] { bench.store.remove("\(bench.back)/\(name)") }
    bench.store.write(bench.back + "/state", "4")
    bench.simulation.setStopped(bench.domain, false, at: bench.now)
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices == [0: devices[0]])
  }

  @Test func `a round taken back while the guest works leaves its end in the round`() throws {
    let bench = KernelBench(delay: .milliseconds(20))
    try bench.connect([devices[0]])
    bench.store.write(bench.back + "/state-0", "5")
    bench.store.write(bench.back + "/state", "7")
    // The guest has read 7 and not yet written its own 7.
    try bench.settle(for: .milliseconds(15))
    #expect(bench.states == "7/4")
    bench.store.write(bench.back + "/state-0", "3")
    bench.store.write(bench.back + "/state", "4")
    try bench.settle()
    #expect(bench.states == "4/7")
    bench.store.write(bench.back + "/state", "7")
    bench.store.write(bench.front + "/state", "7")
    try bench.settle()
    #expect(bench.states == "4/4", "writing 7 to both ends repairs the bus")
  }

  @Test func `a guest's end that dom0 set to 7 stays at 7`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.front + "/state", "7")
    try bench.settle()
    #expect(bench.states == "4/7")
    bench.append([devices[1]], state: "7")
    try bench.settle()
    #expect(bench.states == "7/7", "the guest does not begin the round, and pciback does not end it")
  }

  @Test(arguments: [GuestAnswers.never, .noDriver])
  func `a guest that does not answer leaves the bus waiting`(answers: GuestAnswers) throws {
    let bench = KernelBench(answers: answers)
    try bench.connect([devices[0]])
    #expect(bench.states == "3/1")
    #expect(bench.guestDevices.isEmpty)
  }

  @Test func `nonsense states of a guest are ignored`() throws {
    let bench = KernelBench(answers: .wrong)
    try bench.connect([devices[0]])
    bench.append([devices[1]], state: "7")
    try bench.settle()
    #expect(bench.states == "7/99")
  }

  @Test func `the kernel does not write a state that it remembers`() throws {
    let bench = KernelBench()
    try bench.connect([devices[0]])
    bench.store.write(bench.back + "/state", "8")
    bench.store.write(bench.front + "/state", "4")
    try bench.settle()
    #expect(bench.states == "8/4")
  }

  @Test func `the thirty-third slot is one too many`() throws {
    let bench = KernelBench()
    let many = try (0..<33).map { try #require(PCIAddress(segment: 1, bus: UInt8($0), device: 0, function: 0)) }
    for device in many { bench.simulation.kernel.bind(device) }
    bench.create(many)
    try bench.settle()
    #expect(bench.error == "12 No more space on root virtual PCI bus")
    #expect(bench.states == "6/6", "the guest follows the back end's end")
    #expect(bench.objects == [bench.domain], "the ended bus still holds its devices")
  }

  @Test func `a device for which there was no room stays taken`() throws {
    let bench = KernelBench()
    let many = try (0..<33).map { try #require(PCIAddress(segment: 1, bus: UInt8($0), device: 0, function: 0)) }
    for device in many { bench.simulation.kernel.bind(device) }
    bench.create(many)
    try bench.settle()
    bench.store.remove(bench.back)
    bench.store.remove(bench.front)
    try bench.settle()
    #expect(bench.objects.isEmpty)
    // pcistub_get_pci_dev_by_slot took it, and no bus has it to release.
    #expect(bench.simulation.kernel.stubs[many[31]] == .some(nil))
    #expect(bench.simulation.kernel.stubs[many[32]] == .some(bench.domain))
  }

  @Test func `a virtual function keeps its number, and only the one at function 0 stays alone`() throws {
    let bench = KernelBench()
    let functions = try ["0000:07:10.0", "0000:07:10.1", "0000:07:10.3"].map { try #require(PCIAddress($0)) }
    for device in functions { bench.simulation.kernel.bind(device) }
    bench.simulation.kernel.virtualFunctions = Set(functions)
    try bench.connect(functions)
    #expect((0..<3).map(bench.place) == ["0000:00:00.00", "0000:00:01.01", "0000:00:01.03"])
    // Each leaves by the address that the guest sees.
    for index in 0..<3 { bench.store.write(bench.back + "/state-\(index)", "5") }
    bench.store.write(bench.back + "/state", "7")
    try bench.settle()
    #expect(bench.states == "4/4")
    #expect(bench.guestDevices.isEmpty)
  }

  @Test func `at 3 a request beside a removal is released over it`() throws {
    let bench = KernelBench(answers: .never)
    try bench.connect([devices[0], devices[1]])
    #expect(bench.states == "3/1")
    bench.store.write(bench.back + "/state-1", "5")
    bench.append([devices[2]], state: nil)
    try bench.settle()
    #expect(bench.entry(2) == "3", "pciback exported it at the address that it had just freed")
    #expect(bench.place(2) == "0000:00:01.00")
    #expect(bench.simulation.kernel.stubs[devices[2]] == .some(nil), "and released it in its next reading")
  }

  @Test func `a removal without an address ends the bus`() throws {
    let bench = KernelBench(answers: .never)
    try bench.connect([devices[0]])
    bench.append([devices[1]], state: "7")
    bench.store.write(bench.back + "/state-1", "5")
    bench.store.write(bench.back + "/state", "3")
    try bench.settle()
    #expect(bench.states == "5/1")
    #expect(bench.error == "22 Error reading device configuration")
  }
}
