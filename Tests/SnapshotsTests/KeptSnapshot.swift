import FoundationEssentials
import LinuxAdapter
import Model
import Ports
import Reconciling
import Snapshots
import TestSupport
import XenProtocol

/// The snapshot of which a file of each version is kept.
enum KeptSnapshot {
  /// Returns a snapshot that has each kind of value: a field that gets another name changes its file.
  static func make() throws -> Snapshot {
    let recording = Recording(of: try SameAnswerTests.crowded().host)
    WholeLook(host: recording.host).look()
    var snapshot = Snapshot(
      hostName: "host17", takenAt: 1_000_000, userID: 0, sandbox: "/tmp/box", answers: recording.answers)
    snapshot.deviceNames = [DeviceID(vendor: 0x8086, device: 0x1533): "Intel I210"]
    snapshot.classNames = ["020000": "Ethernet controller"]
    let files = try workstation()
    snapshot.answers.inventory = files.inventory
    snapshot.answers.usage = files.usage
    snapshot.answers.usage.host = usage
    snapshot.answers.usage.openings = [
      "sda": .held, "sdb": .free, "sdc": .failed(ReadFailure(place: "/dev/sdc", .silent)),
    ]
    snapshot.answers.usage.boot = boot
    addRecords(to: &snapshot)
    let device = Sample.address(0)
    snapshot.answers.hypervisor.facts = .answer(
      HypervisorFacts(version: "4.17.7", hasIOMMU: true, library: XenRelease("4.17")))
    snapshot.answers.hypervisor.companions[device] = .failure(
      .hypervisor(HypervisorError(.notPermitted, operation: "xc_get_device_group", errno: 1)))
    snapshot.answers.hypervisor.reservedMemory[device] = .answer([0x7b800...0x7b9ff])
    snapshot.answers.tree.bindings[device] = .answer(
      DriverBinding(driver: "igb", module: "igb", driverOverride: "pciback"))
    snapshot.answers.tree.exports = .answer([ExportRecord(device: device, domain: DomainID(5), slot: 1)])
    snapshot.answers.store.failedReads["/local/domain/9/name"] = .store(
      StoreError(.timedOut, operation: "read", place: "/local/domain/9/name", detail: "stopped"))
    return snapshot
  }

  private static func workstation() throws -> Answers {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
    let text = try String(contentsOfFile: "\(tests)/AdapterTests/Fixtures/workstation.tree", encoding: .utf8)
    let folder = try TemporaryFolder()
    try HostTree(text).write(to: folder)
    let recording = Recording(of: SameAnswerTests.host(of: folder))
    WholeLook(host: recording.host).look()
    return recording.answers
  }

  private static var usage: HostUsage {
    let card = FunctionName(Sample.address(0))
    var usage = HostUsage()
    var disk = BlockDevice(name: "sda1")
    (disk.number, disk.title, disk.parts, disk.functions) = ("8:1", "vg0-root", ["sda"], [card])
    (disk.backingFile, disk.peers, disk.isVirtual) = ("/var/lib/images/root.img", ["192.0.2.1"], true)
    (disk.membership, disk.label) = ("LVM2_member", "vg0")
    disk.partition = PartitionIdentity(
      type: PartitionIdentity.firmwareType, number: "3f2504e0-4f89-41d3-9a0c-0305e82c3301")
    usage.blocks = [disk]
    usage.mounts = [
      Mount(
        number: "8:1", type: "ext4", source: "vg0-root", point: "/", layers: ["/var/lib/lower"], peers: ["192.0.2.1"],
        carriers: [card])
    ]
    usage.swaps = ["sda2"]
    usage.pools = [
      StoragePool(kind: .btrfs, name: "b", members: ["sda1"]),
      StoragePool(kind: .zfs, name: "z", members: [], isImported: false),
    ]
    usage.purposes = ["/boot": .boot, "/var/lib/berth": .berth, "/var/lib/xen": .toolstack]
    usage.loaderPartition = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    let kinds: [HostInterface.Kind] = [.device, .guest(DomainID(5)), .tunnel, .datapath, .loopback, .virtual]
    usage.network.interfaces = kinds.enumerated().map { index, kind in
      HostInterface(
        name: "if\(index)", kind: kind, functions: index == 0 ? [card] : [], lower: index == 5 ? ["if0"] : [])
    }
    usage.network.hidden = [card]
    usage.network.defaultRoutes = [
      DefaultRoute(family: .ipv4, table: "main", interfaces: ["if0"]),
      DefaultRoute(family: .ipv6, table: "100", interfaces: []),
    ]
    usage.network.sessions = ["2001:db8::7"]
    usage.network.ways = ["2001:db8::7": ["if0"]]
    usage.attendants.consoles = [Attendant(name: "tty0", functions: [card])]
    usage.attendants.keyboards = [Attendant(name: "keyboard")]
    usage.attendants.securityModules = [Attendant(name: "tpm0")]
    usage.attendants.watchdogs = [Attendant(name: "watchdog0")]
    usage.attendants.managementControllers = [Attendant(name: "ipmi0")]
    usage.unread = [
      .mounts: ReadFailure(place: "/proc/1/mountinfo", .failed(13)),
      .sessions: ReadFailure(place: "/proc/net/tcp", .malformed),
      .routes: ReadFailure(place: "a socket", .overwritten), .swaps: ReadFailure(place: "/proc/swaps", .refused(1)),
    ]
    return usage
  }

  private static var boot: BootFacts {
    var boot = BootFacts()
    (boot.kernel, boot.commandLine, boot.isPCIBackBuiltIn) = (
      "6.1.0-18-amd64", "xxxx xen-pciback.hide=(03:00.0)", false
    )
    boot.hideParameter = "(03:00.0)"
    boot.moduleOptions = [BootFacts.ModuleOptions(path: "/etc/modprobe.d/berth.conf", hide: "(03:00.0)", changedAt: 1)]
    boot.image = BootFacts.DatedFile(path: "/boot/initrd.img-6.1.0-18-amd64", changedAt: 2)
    boot.bootID = "3f2504e0-4f89-41d3-9a0c-0305e82c3302"
    return boot
  }

  private static func addRecords(to snapshot: inout Snapshot) {
    let device = Sample.address(0)
    let key = DomainKey(id: DomainID(5), uuid: Sample.uuid(5))
    let identity = DeviceIdentity(
      id: DeviceID(vendor: 0x8086, device: 0x1533), subsystem: DeviceID(vendor: 1, device: 2),
      serial: "a0-36-9f-ff-ff-12-34-56")
    var prepared = PreparationRecord(
      device: device, phase: .releasing, identity: identity, driver: "igb", module: "igb", driverOverride: "x",
      interfaces: [NetworkInterface(name: "eth0", address: MACAddress("a0:36:9f:12:34:56"))],
      controllers: [NVMeController(name: "nvme0", serial: "S1", model: "SSD")], set: "default",
      override: InterlockOverride(reason: "it is free", user: "admin"), since: 3)
    prepared.isDriverKnown = true
    let concerns: [DamagedFile.Concern] = [
      .uuid(key.uuid), .domain(key), .number(key.id), .device(device), .nothing, .everything,
    ]
    let kinds: [DamagedFile.Kind] = [.record, .intent, .runLock, .preparation, .record, .intent]
    snapshot.answers.records.preparations = .answer(
      OwnFiles(
        [prepared],
        damaged: zip(kinds, concerns).map {
          DamagedFile($0, $1, RecordError(.damaged, operation: "read", place: "/var/lib/berth/x"))
        }))
    let holder = RunHolder(process: 7, command: "berth apply", since: 4, isStopped: true, stranger: "nobody (65534)")
    snapshot.answers.records.runs = .answer(
      RunMarks(marks: [key.uuid: RunMark(holder: holder, isHeld: true, lastTaking: "5")], damaged: []))
    snapshot.answers.toolstack.locks = .answer([
      UserdataLock(
        domain: key, name: "domain-userdata-lock", path: "/var/lib/xen/userdata-l.5.lock", isHeld: true,
        holder: LockHolder(process: 8, command: "xl create", stranger: "nobody (65534)"), since: 6)
    ])
  }
}
