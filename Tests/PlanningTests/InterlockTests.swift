import Model
import Planning
import Testing

/// Interlocks from networks, guests and consoles. Each test describes a host, and checks its interlocks with their ways.
@Suite struct InterlockTests {
  // MARK: Network

  @Test func `a default route by a bridge on a VLAN on a bond stands on each card`() throws {
    var host = InterlockHost()
    try host.interface("eth0", on: "0000:00:1c.0 0000:01:00.0")
    try host.interface("eth1", on: "0000:02:00.0")
    try host.interface("eth2", on: "0000:03:00.0")
    host.interface("bond0", lower: ["eth0", "eth1"])
    host.interface("bond0.7", lower: ["bond0"])
    host.interface("xenbr0", lower: ["bond0.7"])
    host.route(by: ["xenbr0"])
    #expect(
      try host.interlocks("0000:01:00.0") == [
        "!default-route: 0000:01:00.0 → eth0 → bond0 → bond0.7 → xenbr0 → default route (IPv4)"
      ])
    #expect(try host.interlocks("0000:02:00.0").count == 1 && host.interlocks("0000:00:1c.0").count == 1)
    #expect(try host.interlocks("0000:03:00.0").isEmpty)
  }

  @Test func `default routes of all tables, families and metrics count`() throws {
    var host = InterlockHost()
    for number in 1...4 { try host.interface("eth\(number)", on: "0000:0\(number):00.0") }
    host.route(by: ["eth1"], table: "100")
    host.route(by: ["eth2"], .ipv6)
    host.route(by: ["eth3"])
    host.route(by: ["eth4"])
    #expect(
      try host.interlocks("0000:01:00.0") == ["!default-route: 0000:01:00.0 → eth1 → default route (IPv4, table 100)"])
    #expect(try host.interlocks("0000:02:00.0") == ["!default-route: 0000:02:00.0 → eth2 → default route (IPv6)"])
    #expect(try host.interlocks("0000:03:00.0") == ["!default-route: 0000:03:00.0 → eth3 → default route (IPv4)"])
    #expect(try host.interlocks("0000:04:00.0") == ["!default-route: 0000:04:00.0 → eth4 → default route (IPv4)"])
  }

  @Test func `a bridge of Open vSwitch has all ports of the switch`() throws {
    var host = InterlockHost()
    try host.interface("eth0", on: "0000:01:00.0")
    host.interface("ovs-system", .datapath, lower: ["eth0"])
    host.interface("ovsbr0")
    host.route(by: ["ovsbr0"])
    #expect(
      try host.interlocks("0000:01:00.0") == ["!default-route: 0000:01:00.0 → eth0 → ovsbr0 → default route (IPv4)"])
  }

  @Test func `an interface that is not understood refuses all network cards; a tunnel warns`() throws {
    var host = InterlockHost()
    try host.function("0000:01:00.0", 0x020000)
    try host.function("0000:02:00.0", 0x010601)
    host.interface("dummy0")
    host.route(by: ["dummy0"])
    #expect(
      try host.interlocks("0000:01:00.0") == [
        "!interlock-unknown: 0000:01:00.0 → ? → dummy0 → default route (IPv4)"
      ])
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
    host.usage.network.interfaces = [HostInterface(name: "dummy0", kind: .tunnel)]
    #expect(
      try host.interlocks("0000:01:00.0") == ["tunnel-underlay: 0000:01:00.0 → ? → dummy0 → default route (IPv4)"])
    host.usage.network.interfaces = []
    #expect(try host.interlocks("0000:01:00.0").count == 1)
    host.usage.network.defaultRoutes = [DefaultRoute(family: .ipv6, table: "main", interfaces: [])]
    #expect(
      try host.interlocks("0000:01:00.0") == ["!interlock-unknown: 0000:01:00.0 → ? → default route (IPv6)"])
  }

  @Test func `a session stands on the card by which its peer is reached`() throws {
    var host = InterlockHost()
    try host.interface("eth0", on: "0000:01:00.0")
    host.interface("br0", lower: ["eth0"])
    host.usage.network.sessions = ["192.0.2.7"]
    host.usage.network.ways = ["192.0.2.7": ["br0"]]
    try host.function("0000:01:00.0", 0x020000)
    try host.function("0000:02:00.0", 0x020000)
    #expect(
      try host.interlocks("0000:01:00.0") == ["!session-route: 0000:01:00.0 → eth0 → br0 → ssh from 192.0.2.7"])
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
    host.usage.network.ways = [:]
    #expect(try host.interlocks("0000:02:00.0") == ["!interlock-unknown: 0000:02:00.0 → ? → ssh from 192.0.2.7"])
  }

  @Test func `storage on another host stands on the card that leads there`() throws {
    var host = InterlockHost()
    try host.interface("eth0", on: "0000:01:00.0")
    try host.block("sdz") { $0.peers = ["10.0.0.1"] }
    host.mount("sdz", "/")
    host.mount("filer:/export", "/store", type: "nfs4", peers: ["10.0.0.2"])
    host.usage.network.ways = ["10.0.0.1": ["eth0"], "10.0.0.2": ["eth0"]]
    #expect(
      try host.interlocks("0000:01:00.0") == [
        "!network-storage: 0000:01:00.0 → eth0 → 10.0.0.1 → sdz → /",
        "!network-storage: 0000:01:00.0 → eth0 → 10.0.0.2 → /store",
      ])
    // Without its address, any network card may lead there.
    host.usage.blocks[0].peers = []
    try host.function("0000:02:00.0", 0x020000)
    #expect(try host.interlocks("0000:02:00.0") == ["!interlock-unknown: 0000:02:00.0 → ? → sdz → /"])
  }

  // MARK: Guests

  @Test func `a volume that a guest has stands on its disk`() throws {
    var host = InterlockHost()
    try host.block("nvme0n1", on: "0000:02:00.0")
    try host.block("dm-4") { ($0.title, $0.parts, $0.number) = ("vg0-web--1", ["nvme0n1"], "253:4") }
    host.served.names = [DomainID(3): "web"]
    host.served.disks = [ServedDisk(guest: DomainID(3), number: "253:4", path: nil)]
    let way = "!guest-disk: 0000:02:00.0 → nvme0n1 → vg0-web--1 → web (domid 3)"
    #expect(try host.interlocks("0000:02:00.0") == [way])
    host.served.disks = [ServedDisk(guest: DomainID(3), number: nil, path: "/dev/vg0/web-1")]
    #expect(try host.interlocks("0000:02:00.0") == [way])
    host.served.disks = [ServedDisk(guest: DomainID(3), number: nil, path: "/images/web.img")]
    host.mount("nvme0n1", "/")
    #expect(
      try host.interlocks("0000:02:00.0").contains(
        "!guest-disk: 0000:02:00.0 → nvme0n1 → / → /images/web.img → web (domid 3)"))
    // An empty drive has no disk, and a disk that is not understood may be anywhere.
    host.usage.mounts = []
    host.served.disks = [ServedDisk(guest: DomainID(3), number: nil, path: "")]
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
    host.served.disks = [ServedDisk(guest: DomainID(3), number: nil, path: "rbd:pool/web")]
    #expect(
      try host.interlocks("0000:02:00.0") == ["!interlock-unknown: 0000:02:00.0 → ? → rbd:pool/web → web (domid 3)"])
  }

  @Test func `guests' bridges stand on their uplinks`() throws {
    var host = InterlockHost()
    try host.interface("eth0", on: "0000:01:00.0")
    host.interface("vif3.0", .guest(DomainID(3)))
    host.interface("vif4.0", .guest(DomainID(4)))
    host.interface("xenbr0", lower: ["eth0", "vif3.0", "vif4.0"])
    host.served.names = [DomainID(3): "web"]
    let way = "!serves-guests: 0000:01:00.0 → eth0 → xenbr0 → web (domid 3), domid 4"
    #expect(try host.interlocks("0000:01:00.0") == [way])
    host.served.interfaces = [ServedInterface(guest: DomainID(3), bridge: "xenbr0")]
    #expect(try host.interlocks("0000:01:00.0") == [way])
    // A bridge that does not exist may be anywhere.
    try host.function("0000:02:00.0", 0x020000)
    host.served.interfaces = [ServedInterface(guest: DomainID(5), bridge: "gone")]
    #expect(try host.interlocks("0000:02:00.0") == ["!interlock-unknown: 0000:02:00.0 → ? → gone → domid 5"])
  }

  @Test func `if it is not known what dom0 serves, disks and network cards are refused`() throws {
    var host = InterlockHost()
    try host.function("0000:01:00.0", 0x010601)
    try host.function("0000:02:00.0", 0x020000)
    try host.function("0000:03:00.0", 0x040300)
    host.served.unread = ["/local/domain/0/backend"]
    for name in ["0000:01:00.0", "0000:02:00.0"] {
      #expect(try host.interlocks(name) == ["!interlock-unknown: \(name) → ? → /local/domain/0/backend"])
    }
    #expect(try host.interlocks("0000:03:00.0").isEmpty)
  }

  @Test func `dom0's way out by a guest stands on that guest's card`() throws {
    var host = InterlockHost()
    try host.function("0000:05:00.0", 0x020000, driver: "pciback")
    try host.function("0000:06:00.0", 0x020000)
    host.interface("vif2.0", .guest(DomainID(2)))
    host.interface("br0", lower: ["vif2.0"])
    host.route(by: ["br0"])
    host.served.holders = [try #require(FunctionName("0000:05:00.0")): DomainID(2)]
    #expect(
      try host.interlocks("0000:05:00.0") == [
        "!serves-host: 0000:05:00.0 → domid 2 → vif2.0 → br0 → default route (IPv4)"
      ])
    #expect(try host.interlocks("0000:06:00.0").isEmpty)
    // If that guest has no card, it is not known what the route stands on.
    host.served.holders = [:]
    #expect(
      try host.interlocks("0000:06:00.0") == [
        "!interlock-unknown: 0000:06:00.0 → ? → vif2.0 → br0 → default route (IPv4)"
      ])
  }

  @Test func `what stands on a virtual function stands on its physical one`() throws {
    var host = InterlockHost()
    let (physical, virtual) = ("0000:01:00.0", "0000:01:10.0")
    try host.function(physical, 0x020000)
    try host.function(virtual, 0x020000) { $0.virtualisation.parent = FunctionName(physical) }
    try host.interface("eth5", on: virtual)
    host.route(by: ["eth5"])
    #expect(
      try host.interlocks(physical) == ["!default-route: \(physical) → \(virtual) → eth5 → default route (IPv4)"])
    host.usage = HostUsage()
    host.served.holders = [try #require(FunctionName(virtual)): DomainID(7)]
    #expect(try host.interlocks(physical) == ["!serves-guests: \(physical) → \(virtual) → domid 7"])
  }

  // MARK: Display, keyboard, console

  @Test func `the only display refuses, and a second one is a spare unless it is taken, too`() throws {
    var host = InterlockHost()
    try host.function("0000:00:02.0", 0x030000) { $0.isBootDisplay = true }
    #expect(
      try host.interlocks("0000:00:02.0") == ["!display: 0000:00:02.0 → display that the firmware uses"])
    try host.function("0000:00:01.0 0000:01:00.0", 0x030000)
    #expect(
      try host.interlocks("0000:00:02.0") == ["display: 0000:00:02.0 → display that the firmware uses"])
    #expect(try host.interlocks("0000:00:01.0") == ["display: 0000:00:01.0 → 0000:01:00.0 → display"])
    #expect(try host.interlocks("0000:00:02.0", with: "0000:01:00.0").first?.hasPrefix("!display") == true)
    // What a guest will have, or nobody drives, is no spare.
    host.functions[1].driver = nil
    #expect(try host.interlocks("0000:00:02.0").first?.hasPrefix("!display") == true)
    host.functions[1].driver = "pciback"
    #expect(try host.interlocks("0000:00:02.0").first?.hasPrefix("!display") == true)
    #expect(try host.interlocks("0000:01:00.0").isEmpty)
  }

  @Test func `the only keyboard and the only console refuse`() throws {
    var host = InterlockHost()
    let usb = try #require(FunctionName("0000:00:14.0"))
    host.usage.attendants.keyboards = [Attendant(name: "USB keyboard", functions: [usb])]
    host.usage.attendants.consoles = [Attendant(name: "ttyS4", functions: [usb])]
    #expect(
      try host.interlocks("0000:00:14.0") == [
        "!keyboard: 0000:00:14.0 → USB keyboard", "!console: 0000:00:14.0 → ttyS4",
      ])
    host.usage.attendants.keyboards.append(Attendant(name: "AT keyboard"))
    host.usage.attendants.consoles.append(Attendant(name: "hvc0"))
    #expect(
      try host.interlocks("0000:00:14.0") == [
        "keyboard: 0000:00:14.0 → USB keyboard", "console: 0000:00:14.0 → ttyS4",
      ])
  }

  @Test func `a terminal on a display is a spare console only with a display`() throws {
    var host = InterlockHost()
    let card = try #require(FunctionName("0000:00:16.3"))
    host.usage.attendants.consoles = [Attendant(name: "ttyS4", functions: [card]), Attendant(name: "tty0")]
    #expect(try host.interlocks("0000:00:16.3") == ["!console: 0000:00:16.3 → ttyS4"])
    try host.function("0000:00:02.0", 0x030000)
    #expect(try host.interlocks("0000:00:16.3") == ["console: 0000:00:16.3 → ttyS4"])
    #expect(try host.interlocks("0000:00:16.3", with: "0000:00:02.0") == ["!console: 0000:00:16.3 → ttyS4"])
  }

  @Test(arguments: [FunctionFact.ids, .driver, .virtualFunctions])
  func `a function with an unknown type or an unknown driver is refused`(fact: FunctionFact) throws {
    var host = InterlockHost()
    try host.function("0000:01:00.0", 0x040300) { $0.unread = [fact: ReadFailure(place: "/file", .failed(5))] }
    try host.function("0000:02:00.0", 0x040300) { $0.unread = [.serial: ReadFailure(place: "/file", .failed(5))] }
    #expect(try host.interlocks("0000:01:00.0") == ["!interlock-unknown: 0000:01:00.0 → ? → /file"])
    #expect(try host.interlocks("0000:02:00.0").isEmpty)
  }

  @Test func `a watchdog, a security module and the board's controller are only warned of`() throws {
    var host = InterlockHost()
    let name = try #require(FunctionName("0000:00:1f.0"))
    host.usage.attendants.watchdogs = [Attendant(name: "watchdog0", functions: [name])]
    host.usage.attendants.managementControllers = [Attendant(name: "ipmi0", functions: [name])]
    host.usage.attendants.securityModules = [Attendant(name: "tpm0")]
    try host.function("0000:07:00.2", 0x108000)
    #expect(
      try host.interlocks("0000:00:1f.0") == [
        "watchdog: 0000:00:1f.0 → watchdog0", "ipmi: 0000:00:1f.0 → ipmi0",
      ])
    #expect(try host.interlocks("0000:07:00.2") == ["tpm: 0000:07:00.2 → ? → tpm0"])
  }

  @Test func `a driver of user space refuses`() throws {
    var host = InterlockHost()
    try host.function("0000:01:00.0", 0x020000, driver: "vfio-pci")
    #expect(try host.interlocks("0000:01:00.0") == ["!user-space-driver: 0000:01:00.0 → vfio-pci"])
  }
}
