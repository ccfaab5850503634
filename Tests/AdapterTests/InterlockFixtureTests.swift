import Glibc
import LinuxAdapter
import Model
import Planning
import TestSupport
import Testing

/// Hosts as trees of files, with what leads over their devices and who attends to them: the readers and the rules together.
@Suite struct InterlockFixtureTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  // MARK: Network

  private func cards(_ count: Int) -> CraftedHost {
    var host = CraftedHost()
    for number in 0..<count {
      host.function("pci0000:00/0000:0\(number + 1):00.0", class: "020000", driver: "igb")
      host.interface("pci0000:00/0000:0\(number + 1):00.0/net/eth\(number)")
    }
    return host
  }

  @Test func `two cards in a bond with a VLAN on a bridge`() throws {
    var host = cards(3)
    host.interface("virtual/net/bond0", lower: ["eth0", "eth1"], files: ["uevent": "DEVTYPE=bond"])
    host.interface("virtual/net/bond0.7", lower: ["bond0"], files: ["uevent": "DEVTYPE=vlan"])
    host.interface("virtual/net/xenbr0", lower: ["bond0.7"], files: ["uevent": "DEVTYPE=bridge"])
    host.add("/sys/class/net/bonding_masters = bond0")
    host.route("default via 192.0.2.1 dev xenbr0 proto dhcp src 192.0.2.9 metric 100")
    #expect(
      try host.interlocks() == [
        "0000:01:00.0": [
          "!default-route: 0000:01:00.0 → eth0 → bond0 → bond0.7 → xenbr0 → default route (IPv4)"
        ],
        "0000:02:00.0": [
          "!default-route: 0000:02:00.0 → eth1 → bond0 → bond0.7 → xenbr0 → default route (IPv4)"
        ],
      ])
  }

  @Test func `a default route in table 100 only, one of IPv6 only, and two with different metrics`() throws {
    var host = cards(6)
    host.route("default via 192.0.2.1 dev eth0 table 100")
    host.routeOfIPv6("default via fe80::1 dev eth1 proto ra metric 1024 expires 1798sec hoplimit 64 pref medium")
    host.routeOfIPv6("unreachable default dev lo table unspec proto kernel metric 4294967295 error -101 pref medium")
    host.route("default via 198.51.100.1 dev eth2 metric 100")
    host.route("default via 203.0.113.1 dev eth3 metric 200")
    host.route(
      #"default proto static table 9 metric 1 \\#tnexthop via 10.0.0.1 dev eth4 weight 1 \\#tnexthop via 10.1.0.1 dev eth5 weight 1 "#
    )
    let found = try host.interlocks()
    #expect(found["0000:01:00.0"] == ["!default-route: 0000:01:00.0 → eth0 → default route (IPv4, table 100)"])
    #expect(found["0000:02:00.0"] == ["!default-route: 0000:02:00.0 → eth1 → default route (IPv6)"])
    #expect(found["0000:03:00.0"] == ["!default-route: 0000:03:00.0 → eth2 → default route (IPv4)"])
    #expect(found["0000:04:00.0"] == ["!default-route: 0000:04:00.0 → eth3 → default route (IPv4)"])
    #expect(found["0000:05:00.0"] == ["!default-route: 0000:05:00.0 → eth4 → default route (IPv4, table 9)"])
    #expect(found["0000:06:00.0"] == ["!default-route: 0000:06:00.0 → eth5 → default route (IPv4, table 9)"])
  }

  @Test func `an uplink of Open vSwitch`() throws {
    var host = cards(2)
    host.interface("virtual/net/ovs-system", lower: ["eth0"])
    host.interface("virtual/net/ovsbr0")
    host.route("default via 192.0.2.1 dev ovsbr0")
    #expect(
      try host.interlocks() == [
        "0000:01:00.0": ["!default-route: 0000:01:00.0 → eth0 → ovsbr0 → default route (IPv4)"]
      ])
  }

  @Test func `halves of everywhere are a default route, and a tunnel leads to the interface that it is bound to`()
    throws
  {
    var host = cards(3)
    host.interface("virtual/net/tun0", files: ["type": "65534", "tun_flags": "0x1001"])
    host.route("0.0.0.0/1 via 10.8.0.1 dev tun0")
    host.route("192.0.2.0/24 dev eth0 scope link")
    #expect(
      try host.interlocks()["0000:01:00.0"] == [
        "tunnel-underlay: 0000:01:00.0 → ? → tun0 → default route (IPv4)"
      ])
    host = cards(3)
    host.add("/sys/devices/pci0000:00/0000:03:00.0/net/eth2/ifindex = 4")
    host.interface(
      "virtual/net/vx0", files: ["uevent": "DEVTYPE=vxlan", "ifindex": "9", "iflink": "4"])
    host.route("default dev vx0")
    #expect(
      try host.interlocks() == [
        "0000:03:00.0": ["!default-route: 0000:03:00.0 → eth2 → vx0 → default route (IPv4)"]
      ])
  }

  @Test func `a session of ssh counts, whoever holds its server's connection`() throws {
    var host = cards(2)
    host.route("192.0.2.0/24 dev eth0 scope link")
    host.route("198.51.100.0/24 dev eth1 scope link")
    // 192.0.2.7 and 198.51.100.9, both to port 22. tmux has no connection: the server by which a person came has it.
    host.connection(from: "010200C0:0016", to: "070200C0:C35A", socket: 501)
    host.connection(from: "016433C6:0016", to: "096433C6:C35B", socket: 502)
    host.process(100, "sshd", sockets: [500])
    host.process(101, "sshd-session", sockets: [501])
    host.process(102, "tmux: server", sockets: [700])
    host.process(103, "nginx", sockets: [502])
    // A connection that has ended counts no more.
    host.connection(from: "016433C6:0016", to: "0A6433C6:C35B", socket: 503, state: "08")
    host.process(104, "sshd", sockets: [503])
    #expect(
      try host.interlocks() == ["0000:01:00.0": ["!session-route: 0000:01:00.0 → eth0 → ssh from 192.0.2.7"]])
  }

  @Test func `a card whose interface is in another namespace is refused`() throws {
    var host = cards(1)
    host.function("pci0000:00/0000:09:00.0", class: "020000", driver: "igb")
    host.add("/sys/devices/pci0000:00/0000:09:00.0/net/")
    host.function("pci0000:00/0000:0a:00.0", class: "020000", driver: "igb")
    #expect(
      try host.interlocks() == [
        "0000:09:00.0": ["!interlock-unknown: 0000:09:00.0 → ? → in another network namespace"]
      ])
  }

  @Test func `a guests' bridge whose uplink is the device`() throws {
    var host = cards(2)
    host.interface("vif-3-0/net/vif3.0")
    host.interface("virtual/net/xenbr0", lower: ["eth1", "vif3.0"], files: ["uevent": "DEVTYPE=bridge"])
    var served = ServedDevices()
    served.interfaces = [ServedInterface(guest: DomainID(3), bridge: "xenbr0")]
    served.names = [DomainID(3): "web"]
    #expect(
      try host.interlocks(served: served) == [
        "0000:02:00.0": ["!serves-guests: 0000:02:00.0 → eth1 → xenbr0 → web (domid 3)"]
      ])
  }

  @Test(arguments: ["/run/berth-capture/routes-ipv4", "/run/berth-capture/routes-ipv6", "/proc/net/tcp"])
  func `a captured host with interfaces and without its routes or its connections is unknown`(missing: String) throws {
    let host = cards(1)
    try HostTree(host.text).write(to: folder)
    #expect(unsafe unlink(folder.path + missing) == 0)
    let usage = UsageReader(root: folder.path).usage()
    #expect(usage.unread.map(\.value.place) == [folder.path + missing])
    let inventory = try SysfsInventory(root: folder.path).inventory(of: InterlockRules.facts)
    let found = InterlockRules(usage: usage, inventory: inventory).interlocks(
      on: try #require(FunctionName("0000:01:00.0")))
    #expect(found.map(\.name) == [.unknown] && found.allSatisfy(\.isRefusal))
  }

  // MARK: Console, keyboard and others

  private let keys = "B: EV=120013\n | B: KEY=402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n |"

  private func keyboard(_ path: String, _ name: String, keys: String) -> String {
    "I: Bus=0003\n | N: Name=\"\(name)\"\n | S: Sysfs=\(path)\n | H: Handlers=sysrq kbd event1\n | \(keys)"
  }

  @Test func `only a keyboard on USB, or one on PS/2 beside it`() throws {
    let usb = keyboard(
      "/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/0003:046D:C31C.0001/input/input3", "Keyboard", keys: keys)
    let button = keyboard(
      "/devices/LNXSYSTM:00/LNXPWRBN:00/input/input0", "Power Button",
      keys: "B: EV=3\n | B: KEY=10000000000000 0\n |")
    let old = keyboard("/devices/platform/i8042/serio0/input/input2", "AT keyboard", keys: keys)
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:14.0", class: "0c0330", driver: "xhci_hcd")
    host.add("/proc/bus/input/devices <<\n | \(button)\n | \(usb)")
    #expect(try host.interlocks() == ["0000:00:14.0": ["!keyboard: 0000:00:14.0 → Keyboard"]])
    host = CraftedHost()
    host.function("pci0000:00/0000:00:14.0", class: "0c0330", driver: "xhci_hcd")
    host.add("/proc/bus/input/devices <<\n | \(button)\n | \(usb)\n | \(old)")
    #expect(try host.interlocks() == ["0000:00:14.0": ["keyboard: 0000:00:14.0 → Keyboard"]])
    // Only one on PS/2: no device of PCI has it.
    host = CraftedHost()
    host.function("pci0000:00/0000:00:14.0", class: "0c0330", driver: "xhci_hcd")
    host.add("/proc/bus/input/devices <<\n | \(button)\n | \(old)")
    #expect(try host.interlocks().isEmpty)
  }

  @Test func `a serial card is the only console; with the hypervisor's console it is not`() throws {
    func host(_ consoles: String) -> CraftedHost {
      var host = CraftedHost()
      host.function("pci0000:00/0000:00:16.3", class: "070002", driver: "serial")
      host.add(
        "/proc/consoles <<\n | \(consoles)\n/sys/class/tty/ttyS4 -> ../../devices/pci0000:00/0000:00:16.3/tty/ttyS4")
      return host
    }
    let serial = "ttyS4                -W- (EC   p a)    4:68"
    #expect(try host(serial).interlocks() == ["0000:00:16.3": ["!console: 0000:00:16.3 → ttyS4"]])
    // A console that is switched off, or that sends messages to another host, is no spare.
    for other in ["hvc0                 -W- (  p  )  229:0", "netcon0              -W- (E    )"] {
      #expect(try host(serial + "\n | " + other).interlocks() == ["0000:00:16.3": ["!console: 0000:00:16.3 → ttyS4"]])
    }
    #expect(
      try host(serial + "\n | hvc0                 -W- (E p  )  229:0").interlocks() == [
        "0000:00:16.3": ["console: 0000:00:16.3 → ttyS4"]
      ])
  }

  @Test func `a display that the firmware chose, a watchdog and the board's controller`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:02.0", class: "030000", driver: "i915")
    host.add("/sys/devices/pci0000:00/0000:00:02.0/boot_vga = 1")
    host.function("pci0000:00/0000:00:1f.0", class: "060100")
    host.add(
      """
      /sys/class/watchdog/watchdog0 -> ../../devices/pci0000:00/0000:00:1f.0/iTCO_wdt/watchdog/watchdog0
      /sys/class/ipmi/ipmi0 -> ../../devices/pci0000:00/0000:00:1f.0/ipmi/ipmi0
      /sys/class/tpm/tpm0 -> ../../devices/pnp0/00:05/tpm/tpm0
      """)
    #expect(
      try host.interlocks() == [
        "0000:00:02.0": ["!display: 0000:00:02.0 → display that the firmware uses"],
        "0000:00:1f.0": ["watchdog: 0000:00:1f.0 → watchdog0", "ipmi: 0000:00:1f.0 → ipmi0"],
      ])
  }

  @Test(arguments: [
    ("/proc/consoles", "ttyS0 -W- 4:64"), ("/proc/bus/input/devices", "B: KEY=x"), ("/proc/net/tcp", "head\n | x"),
    ("/run/berth-capture/routes-ipv4", "10.0.0.0/99 dev eth0"),
    ("/run/berth-capture/routes-ipv4", "/ dev eth0"), ("/run/berth-capture/routes-ipv6", "unicast"),
    ("/run/berth-capture/routes-ipv4", "fe80::/64 dev eth0"),
    ("/proc/self/mountinfo", "22 1 8:1 / / rw"),
  ])
  func `a table that is not understood is unknown`(file: String, content: String) throws {
    try HostTree(cards(1).text).write(to: folder)
    try folder.write(String(file.dropFirst()), content.replacing("\n | ", with: "\n") + "\n")
    let usage = UsageReader(root: folder.path).usage()
    #expect(usage.unread.values.map { $0 } == [ReadFailure(place: folder.path + file, .malformed)])
  }
}
