import LinuxAdapter
import Model
import Planning
import Ports
import Reconciling
import Snapshots
import TestSupport
import Testing
import XenProtocol

/// What a snapshot must not hold, and what a redacted one keeps.
@Suite struct RedactionTests {
  private let world: CommandWorld
  init() throws { world = try CommandWorld() }

  /// A host full of names: each is one that a redacted snapshot must not have.
  private static let names = [
    "secret-host", "customer-web", "customer-db", "bobs-card", "S4EVNX0R123456", "a0-36-9f-ff-ff-12-34-56",
    "a0:36:9f:12:34:56", "enxa0369f123456", "a0369f123456", "vg-bob", "bob", "payroll", "192.0.2.77",
    "2001:db8:7::9", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "nfs-of-bob", "tank-bob", "grandma", "0000-bobs-disk",
  ]

  private func host() throws -> (model: ModelHost, host: Host) {
    let model = ModelHost()
    for number in 0..<2 { model.addDevice(Sample.address(number)) }
    for number in 2..<4 { model.drivers.addHostDevice(Sample.address(number)) }
    let web = model.addDomain(5, "customer-web", uuid: DomainUUID("3f2504e0-4f89-41d3-9a0c-0305e82c3301"))
    model.addDomain(6, "customer-db")
    model.put(
      OwnershipRecord(
        uuid: web.uuid, name: "customer-web", devices: [],
        refusals: [
          RefusalRecord(device: Sample.address(0), domain: web.id, words: "customer-web has no room: /var/lib/payroll")
        ]))
    var record = PreparationRecord(
      device: Sample.address(3), phase: .prepared,
      identity: DeviceIdentity(id: DeviceID(vendor: 1, device: 2), serial: "a0-36-9f-ff-ff-12-34-56"), driver: "igb")
    record.override = InterlockOverride(reason: "bob said so", user: "grandma")
    record.interfaces = [NetworkInterface(name: "enxa0369f123456", address: MACAddress("a0:36:9f:12:34:56"))]
    record.controllers = [NVMeController(name: "nvme0", serial: "S4EVNX0R123456", model: "Samsung SSD")]
    model.drivers.setPreparation(record, of: Sample.address(3))
    let path = "/libxl/pci/\(Sample.address(0).storeKey)"
    model.store[path + "/domid"] = "5"
    model.store[path + "/name"] = "bobs-card"
    model.store["/local/domain/0/backend/vbd/5/51712/params"] = "aio:/images/payroll.img"
    model.store["/local/domain/0/backend/vbd/6/51712/physical-device-path"] = "/dev/vg-bob/payroll"
    model.store["/local/domain/6/error/device/pci/0/error"] = "grandma writes what she likes"
    model.store["/local/domain/0/error/backend/pci/5/0/error"] = "22 no room in customer-web"
    model.store["/local/domain/5/token"] = "hunter2"
    model.setSaved(web, Array(Self.configuration.utf8) + [0])
    model.drivers.setUsage(Self.usage)
    var host = model.host
    host.name = "secret-host"
    host.userdata = LockedByAPerson(inner: host.userdata, domain: web)
    return (model, host)
  }

  /// A saved configuration as libxl writes it, with what Berth does not read.
  private static let configuration = """
    {"c_info": {"name": "customer-web"}, "b_info": {"type.hvm": {"vnc": {"passwd": "hunter2"}}},
     "pcidevs": [{"name": "bobs-card", "rdm_policy": "strict"}], "on_reboot": "preserve",
     "vfbs": [{"vnc": {"passwd": "hunter2"}}]}
    """

  private static var usage: HostUsage {
    var usage = HostUsage()
    var disk = BlockDevice(name: "sda")
    disk.number = "8:0"
    disk.functions = [FunctionName(Sample.address(2))]
    disk.partition = PartitionIdentity(
      type: PartitionIdentity.firmwareType, number: "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    var volume = BlockDevice(name: "dm-0")
    (volume.number, volume.title, volume.label, volume.parts) = ("254:0", "vg-bob-payroll", "0000-bobs-disk", ["sda"])
    volume.backingFile = "/var/lib/bob/payroll.img"
    volume.peers = ["192.0.2.77"]
    usage.blocks = [disk, volume]
    usage.mounts = [
      Mount(number: "8:0", type: "ext4", source: "sda", point: "/var/spool/bob"),
      Mount(number: "254:0", type: "ext4", source: "vg-bob-payroll", point: "/var/lib/payroll"),
      Mount(
        number: "0:9", type: "nfs4", source: "nfs-of-bob:/export/payroll", point: "/var/cache/bob",
        peers: ["192.0.2.77"]),
    ]
    usage.pools = [StoragePool(kind: .zfs, name: "tank-bob", members: ["sda"])]
    usage.network.sessions = ["2001:db8:7::9"]
    usage.network.ways = ["2001:db8:7::9": ["enxa0369f123456"]]
    usage.network.interfaces = [
      HostInterface(name: "enxa0369f123456", kind: .device, functions: [FunctionName(Sample.address(2))])
    ]
    return usage
  }

  private func snapshots() throws -> (whole: String, redacted: String) {
    let host = try host().host
    _ = try world.snapshot(of: host, "whole.json")
    _ = try world.snapshot(of: host, "redacted.json", "--redact")
    func text(_ name: String) throws -> String { String(decoding: try world.folder.read(name), as: UTF8.self) }
    return (try text("whole.json"), try text("redacted.json"))
  }

  @Test func `no snapshot has the passwords of a guest, and a redacted one has none of the names`() throws {
    let (whole, redacted) = try snapshots()
    for text in [whole, redacted] { #expect(!text.contains("hunter2")) }
    #expect(redacted.contains("\"isRedacted\" : true") && whole.contains("\"isRedacted\" : false"))
    for name in Self.names {
      #expect(whole.lowercased().contains(name.lowercased()) || name == "a0369f123456", "\(name) is not in the test")
      #expect(!redacted.lowercased().contains(name.lowercased()), "\(name) is left")
    }
  }

  @Test func `equal originals have equal substitutes`() throws {
    _ = try snapshots()
    let snapshot = try Snapshot(try world.folder.read("redacted.json"))
    let answers = snapshot.answers
    let name = try #require(answers.store.values["/local/domain/5/name"])
    guard case .answer(let owned)? = answers.records.owned, case .answer(let domains)? = answers.hypervisor.domains
    else {
      Issue.record("nothing was recorded")
      return
    }
    #expect(owned.contents.first?.name.text == name && name == "domain-2")
    #expect(owned.contents.first?.uuid == domains.first { $0.id == DomainID(5) }?.uuid)
    let usage = try #require(answers.usage.host)
    #expect(usage.mounts[1].source == usage.blocks[1].title)
    #expect(usage.mounts[2].peers == usage.blocks[1].peers)
    #expect(usage.network.ways[usage.network.sessions[0]] == [usage.network.interfaces[0].name])
    #expect(usage.blocks[0].partition?.type == PartitionIdentity.firmwareType)
    #expect(snapshot.hostName == "host")
    // The longer of two paths is still below the shorter one.
    #expect(usage.mounts[0].point.hasPrefix("/var/spool/") && usage.mounts[1].point.hasPrefix("/var/lib/"))
  }

  @Test func `a redacted snapshot is read again as it is, and redacting it once more changes no meaning`() throws {
    _ = try snapshots()
    let bytes = try world.folder.read("redacted.json")
    let snapshot = try Snapshot(bytes)
    #expect(try snapshot.encoded() == bytes)
    _ = try snapshot.redacted()
  }

  @Test func `a manifest by address has the same plan`() throws {
    let host = try host().host
    let whole = try world.snapshot(of: host, "whole.json")
    let redacted = try world.snapshot(of: host, "redacted.json", "--redact")
    let devices = (0..<4).map { Sample.address($0) }
    let original = try world.manifest(["customer-web": devices, "customer-db": []], name: "a.yaml")
    let substituted = try world.manifest(["domain-2": devices, "domain-1": []], name: "b.yaml")
    /// Returns a plan with the names of the redacted snapshot.
    func plan(_ manifest: String, _ file: String) -> [String] {
      let answer = world.run(["plan", manifest, "-v", "--host", file])
      #expect([0, 3].contains(answer.status), "\(answer)")
      return answer.output.replacing("customer-web", with: "domain-2").replacing("customer-db", with: "domain-1")
        .replacing("192.0.2.77", with: "2001:db8::1")
        // The fingerprint is made of the names, too.
        .split(separator: "\n").filter { !$0.hasPrefix("Fingerprint: ") }.map { Self.actions(in: String($0)) }
    }
    #expect(plan(original, whole) == plan(substituted, redacted))
  }

  /// Returns a line of a plan up to what stands on a device, which names people's folders.
  private static func actions(in line: String) -> String {
    let words = line.split(separator: " ").map(String.init)
    return words.prefix { !$0.contains("/") && !$0.hasPrefix("→") && !$0.contains("bob") && !$0.contains("item-") }
      .joined(separator: " ").replacing("secret-host", with: "host")
  }

  @Test func `the command line of a lock's holder ends before a secret`() throws {
    _ = try snapshots()
    let snapshot = try Snapshot(try world.folder.read("whole.json"))
    guard case .answer(let locks)? = snapshot.answers.toolstack.locks else {
      Issue.record("no locks were recorded")
      return
    }
    #expect(locks.map { $0.holder?.command } == ["xl create customer-web.cfg vnc…"])
  }

  @Test func `dom0's command line keeps its length and the parameter that Berth reads`() throws {
    let folder = try TemporaryFolder()
    try folder.write("proc/cmdline", "root=/dev/sda1 rd.iscsi.password=hunter2 xen-pciback.hide=(03:00.0) quiet\n")
    let live = BootReader(root: folder.path).boot()
    var host = ModelHost().host
    host.boot = BootReader(root: folder.path)
    let recording = Recording(of: host)
    let played = recording.host.boot.boot()
    #expect(played.commandLine?.utf8.count == live.commandLine?.utf8.count)
    #expect(played.commandLine?.contains("hunter2") == false && played.commandLine?.contains("hide=(03:00.0)") == true)
  }

  @Test func `a saved configuration keeps exactly what Berth reads of it`() throws {
    let whole = try SavedConfiguration(Array(Self.configuration.utf8) + [0])
    let parts = try SavedConfiguration(Array(whole.readParts.utf8) + [0])
    #expect(parts.devices == whole.devices && parts.otherLines == whole.otherLines)
    for key in SavedConfiguration.eventKeys.values { #expect(parts.word(key) == whole.word(key)) }
    #expect(!whole.readParts.contains("hunter2") && !whole.readParts.contains("customer-web"))
  }
}

/// Userdata whose lock a person's xl holds, with a password on its command line.
private struct LockedByAPerson: UserdataPort {
  let inner: any UserdataPort
  let domain: DomainKey

  func savedConfiguration(of domain: DomainKey) throws(HostError) -> [UInt8]? {
    try inner.savedConfiguration(of: domain)
  }
  func locks() throws(HostError) -> [UserdataLock] {
    [
      UserdataLock(
        domain: domain, name: "domain-userdata-lock", path: "/var/lib/xen/userdata-l.5.\(domain.uuid).lock",
        isHeld: true, holder: LockHolder(process: 4711, command: "xl create customer-web.cfg vncpasswd=hunter2"),
        since: 1)
    ]
  }
  func withLock<Result>(
    of domain: DomainKey, until deadline: ContinuousClock.Instant,
    _ body: (borrowing any LockedUserdata & ~Copyable) throws(HostError) -> Result
  ) throws(HostError) -> Result { try inner.withLock(of: domain, until: deadline, body) }
}
