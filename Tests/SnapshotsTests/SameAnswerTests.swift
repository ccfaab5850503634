import FoundationEssentials
import LinuxAdapter
import Model
import Planning
import Ports
import Reconciling
import Snapshots
import TestSupport
import Testing
import XenProtocol

/// The commands answer from a snapshot as they answer on the host.
@Suite struct SameAnswerTests {
  private let world: CommandWorld
  init() throws { world = try CommandWorld() }

  private static func attach(_ model: ModelHost, _ domains: [Name: [PCIAddress]]) throws {
    let desired = Sample.desired(domains)
    let observation = try Observer(host: model.host).observe(desired: desired)
    let plan = makePlan(desired: desired, observation: observation)
    let options = ApplyOptions(lockTimeout: .milliseconds(50), waitTimeout: .milliseconds(200), workers: 1)
    _ = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
  }

  @Test func `a host with guests of every kind, with devices, records and drift`() throws {
    let model = try Self.crowded()
    let devices = (0..<8).map { Sample.address($0) }
    let manifest = try world.manifest([
      "net": [devices[0], devices[4]], "windows": [devices[2], devices[5]], "cold": [], "later": [devices[6]],
      "stubbed": [devices[7], Sample.address(40)],
    ])
    #expect(try world.differences(model.host, manifest: manifest) == [])
  }

  /// Returns a host with guests of every kind, on which much has happened.
  static func crowded() throws -> ModelHost {
    let model = ModelHost()
    let devices = (0..<8).map { Sample.address($0) }
    for device in devices { model.addDevice(device) }
    model.addDomain(5, "net")
    model.addHVMDomain(6, "windows")
    let guest = model.addHVMDomain(7, "stubbed")
    model.addStubDomain(8, of: guest)
    model.addDomain(9, "cold") { ($0.isPaused, $0.cpuTime) = (true, 0) }
    model.addDomain(10, "gone") { $0.isShutDown = true }
    try Self.attach(model, ["net": [devices[0], devices[1]], "windows": [devices[2]], "cold": [devices[3]]])
    model.setSaved(DomainKey(id: DomainID(9), uuid: Sample.uuid(9)), Array("{ nonsense".utf8) + [0])
    model.put(
      Intent(identifier: "5-attach-1", domain: guest, operation: .attach, devices: [devices[4]], since: 900_000))
    model.damage(DamagedFile(.record, .everything, RecordError(.damaged, operation: "read", place: "a record")))
    return model
  }

  @Test func `a host whose drivers have the devices, and whose disks somebody holds`() throws {
    let model = ModelHost()
    model.addDomain(5, "net")
    for number in 0..<3 { model.drivers.addHostDevice(Sample.address(number)) }
    var usage = HostUsage()
    var disk = BlockDevice(name: "sda")
    disk.number = "8:0"
    disk.functions = [FunctionName(Sample.address(1))]
    usage.blocks = [disk]
    usage.mounts = [Mount(number: "8:0", type: "ext4", source: "sda", point: "/var/lib/mail", layers: [])]
    model.drivers.setUsage(usage)
    let manifest = try world.manifest(["net": (0..<3).map { Sample.address($0) }])
    let plan = world.run(["plan", manifest], on: model.host)
    #expect(plan.output.contains("/var/lib/mail"), "\(plan)")
    #expect(try world.differences(model.host, manifest: manifest) == [])
  }

  @Test(arguments: ["domains", "companions"]) func `what Xen did not answer stays unknown`(_ call: String) throws {
    let model = ModelHost()
    for number in 0..<3 { model.addDevice(Sample.address(number)) }
    model.addDomain(5, "net")
    model.fail(call, .notPermitted)
    #expect(try world.differences(model.host, manifest: try world.manifest(["net": [Sample.address(1)]])) == [])
  }

  @Test func `a store that does not answer is a store that does not answer`() throws {
    let model = ModelHost()
    model.addDevice(Sample.address(0))
    var host = model.host
    host.stores = SilentStores()
    let file = "\(world.folder.path)/silent.json"
    let answer = world.run(["snapshot", "--out", file], on: host)
    #expect(answer.status == 0 && answer.messages.contains("xenstored"), "\(answer)")
    #expect(try world.differences(host, manifest: try world.manifest(["net": [Sample.address(0)]])) == [])
    #expect(world.run(["status", "--host", file]).status == 69)
  }

  @Test func `files of a crafted host, each fact by itself as by its own reader`() throws {
    let trees = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    for name in ["workstation", "vmd", "bond", "storage"] {
      let text = try String(contentsOfFile: "\(trees)/AdapterTests/Fixtures/\(name).tree", encoding: .utf8)
      let folder = try TemporaryFolder()
      try HostTree(text).write(to: folder)
      let host = Self.host(of: folder)
      let recording = Recording(of: host)
      WholeLook(host: recording.host).look()
      let played = try Self.played(recording.answers)
      let sets = FunctionFact.allCases.map { Set([$0]) } + [[], FunctionFact.usual, Set(FunctionFact.allCases)]
      for facts in sets {
        #expect(
          try played.inventory.inventory(of: facts) == host.inventory.inventory(of: facts), "\(name): \(facts)")
      }
      #expect(played.usage.usage() == host.usage.usage())
      #expect(played.boot.boot() == host.boot.boot())
      #expect(try world.differences(host) == [])
    }
  }

  /// Returns a host with the files in a folder, and the Xen of a model.
  static func host(of folder: TemporaryFolder) -> Host {
    var host = ModelHost().host
    host.inventory = SysfsInventory(root: folder.path)
    host.usage = UsageReader(root: folder.path)
    host.boot = BootReader(root: folder.path)
    host.tree = SysfsTree(root: folder.path)
    host.drivers = SysfsDrivers(root: folder.path)
    return host
  }

  private static func played(_ answers: Answers) throws -> Host {
    let snapshot = Snapshot(hostName: "model", takenAt: 1, userID: 0, sandbox: nil, answers: answers)
    return try Snapshot(snapshot.encoded()).host
  }

  @Test func `the host may change while it is looked at: each question is asked once`() throws {
    let model = ModelHost()
    for number in 0..<4 { model.addDevice(Sample.address(number)) }
    model.addDomain(5, "net")
    let recording = Recording(of: model.host)
    #expect(try recording.host.hypervisor.domains().count == 1)
    model.addDomain(6, "later")
    WholeLook(host: recording.host).look()
    let snapshot = Snapshot(hostName: "model", takenAt: 1, userID: 0, sandbox: nil, answers: recording.answers)
    let observation = try Observer(host: Snapshot(snapshot.encoded()).host).observe(desired: nil)
    #expect(observation.domains.map(\.name) == ["net"])
  }

  @Test func `a transaction's view of a bus replaces what was read before it`() throws {
    let model = ModelHost()
    let device = Sample.address(0)
    model.addDevice(device)
    model.addDomain(5, "net")
    try Self.attach(model, ["net": [device]])
    let path = StorePath.backEnd(DomainID(5)).child("num_devs")
    let recording = Recording(of: model.host)
    let store = try recording.host.stores.connect()
    #expect(try store.read(path) == "1")
    model.store[path.text] = "7"
    let seen: String? = try store.transaction(.unlocked) { (access) throws(HostError) in .abort(try access.read(path)) }
    #expect(seen == "7" && recording.answers.store.values[path.text] == .some("7"))
  }

  @Test func `a snapshot is changed by nobody, and lacks what nobody asked`() throws {
    let model = ModelHost()
    let device = Sample.address(0)
    model.addDevice(device)
    let key = model.addDomain(5, "net")
    let recording = Recording(of: model.host)
    WholeLook(host: recording.host).look()
    let host = try Self.played(recording.answers)
    #expect(throws: HostError.self) { try host.hypervisor.assign(device, to: DomainID(5), relaxed: false) }
    #expect(throws: HostError.self) { try host.drivers.unbind(device, from: "igb", until: .now) }
    #expect(throws: HostError.self) { try host.ownership.update(key.uuid) { $0 = nil } }
    #expect(throws: HostError.self) { _ = try host.runLocks.lock(key.uuid, until: .now, isInterrupted: { false }) }
    let store = try host.stores.connect()
    #expect(throws: HostError.self) {
      try store.transaction(.unlocked) { (access) throws(HostError) -> StoreDecision<Void> in
        try access.write(StorePath.home(DomainID(5)).child("name"), "other")
        return .commit(())
      }
    }
    #expect(throws: HostError.self) { try store.read(StorePath.home(DomainID(77)).child("name")) }
    #expect(throws: HostError.self) {
      try host.userdata.savedConfiguration(of: DomainKey(id: DomainID(77), uuid: key.uuid))
    }
    // A device that is on no list is known to be absent.
    #expect(try host.tree.facts(of: Sample.address(50)) == nil)
  }
}

private struct SilentStores: StoreConnector {
  func connect() throws(HostError) -> any StorePort {
    throw .store(StoreError(.timedOut, operation: "connect", place: "a socket"))
  }
}
