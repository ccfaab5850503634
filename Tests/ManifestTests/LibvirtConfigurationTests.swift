import Model
import TestSupport
import Testing

@testable import Manifest

/// Domains of libvirt, as `berth import --libvirt` reads them.
struct LibvirtConfigurationTests {
  private func read(_ text: String) -> (domain: ConfiguredDomain?, errors: [String]) { read(Array(text.utf8)) }

  private func read(_ bytes: [UInt8]) -> (domain: ConfiguredDomain?, errors: [String]) {
    let report = Diagnostics()
    let domain = readLibvirtDomain(SourceText(name: "web.xml", bytes: bytes), report: report)
    return (domain, report.sorted.map(\.description))
  }

  /// A domain with these devices.
  private func domain(_ devices: String, type: String = "hvm") -> String {
    """
    <?xml version="1.0" encoding="UTF-8"?>
    <!-- made by a tool -->
    <domain type='xen' id="3">
      <name>web</name>
      <uuid>6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11</uuid>
      <os><type arch='x86_64' machine="xenfv">\(type)</type></os>
      <devices>
        <emulator>/usr/bin/qemu</emulator>
        \(devices)
      </devices>
    </domain>

    """
  }

  private func card(_ attributes: String, _ address: String, source: String = "") -> String {
    "<hostdev \(attributes)>\n<driver name='xen'/>\n<source\(source)>\n<address \(address)/>\n</source>\n"
      + "<address type='pci' domain='0x0000' bus='0x00' slot='0x09' function='0x0'/></hostdev>"
  }

  @Test func `a domain with its devices`() throws {
    let text = domain(
      card("mode='subsystem' type='pci' managed='yes'", "domain='0x0000' bus='0x06' slot='0x12' function='0x5'")
        + card("mode='subsystem' type='pci'", "bus='10' slot='010' function='7'", source: " writeFiltering='no'")
        + card("type='pci' managed='no'", "domain=\"65535\" bus=\"0XfF\" slot=\"31\""))
    let (found, errors) = read(text)
    #expect(errors.isEmpty)
    let domain = try #require(found)
    #expect(domain.name == "web" && domain.kind == .hvm && domain.remarks.isEmpty)
    #expect(domain.uuid?.description == "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11")
    #expect(domain.devices.map(\.address.description) == ["0000:06:12.5", "0000:0a:08.7", "ffff:ff:1f.0"])
    #expect(domain.devices.map(\.remarks) == [[.managed], [], []])
    // The guest's address of the device has no effect with libxl.
    #expect(domain.devices.map(\.options) == [DeviceOptions(), DeviceOptions(permissive: true), DeviceOptions()])
    #expect(domain.devices.map(\.line) == [9, 14, 19])
  }

  @Test func `other devices, kinds and hypervisors are remarks`() throws {
    let text = domain(
      """
      <interface type='hostdev' managed='yes'><mac address='52:54:00:00:00:01'/>
        <source><address type='pci' domain='0' bus='3' slot='0' function='0'/></source></interface>
      <interface type='bridge'/>
      <hostdev mode='subsystem' type='usb'/><hostdev mode='capabilities' type='storage'/><disk/>
      """, type: "linux"
    ).replacing("type='xen'", with: "type='kvm'")
    let domain = try #require(read(text).domain)
    #expect(domain.kind == .pv)
    #expect(
      domain.remarks == [
        .hypervisor("kvm"), .otherDevice("hostdev of type usb"), .otherDevice("hostdev of type storage"),
      ])
    #expect(domain.devices.map(\.remarks) == [[.managed, .interface]])
    for (type, kind) in [("xen", DomainKind.pv), ("xenpvh", .pvh), ("exe", .unknown)] {
      #expect(read(self.domain("", type: type)).domain?.kind == kind)
    }
  }

  @Test func `characters, references, sections and spellings of a UUID`() throws {
    let text =
      "\u{FEFF}<domain\n type = \"xen\"\t><name>a&lt;&#x62;&#99;&amp;<!-- - --><![CDATA[<&]]>é</name><?x y?>"
      + "<uuid> 6F6D3C2E8B1A4C529A530D6C1F0F2A11\n</uuid></domain ><!-- end -->\n"
    let domain = try #require(read(text).domain)
    #expect(domain.name == "a<bc&<&é")
    #expect(domain.uuid?.description == "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11")
  }

  @Test(arguments: [
    ("", "1:1: error: this is no XML: it has no element"),
    ("root:x:0:0:root\n", "1:1: error: this is no XML: it begins with a text"),
    ("<domain>", "1:9: error: the text ends inside the element 'domain'"),
    ("<domain><name>a</nam></domain>", "1:18: error: 'name' is open here, and 'nam' ends"),
    ("<domain></domain></domain>", "1:20: error: nothing is open here"),
    ("<domain/><domain/>", "1:11: error: a second element beside the root"),
    ("<domain/>text", "1:10: error: a text behind the last element"),
    ("<domain a='1' a='2'/>", "1:15: error: the attribute 'a' is given twice"),
    ("<domain a=1/>", "1:11: error: the value of an attribute needs quotes"),
    ("<domain a/>", "1:10: error: '=' is expected behind the name of an attribute"),
    ("<domain a='1'b='2'/>", "1:14: error: a blank, '>' or '/>' is expected here"),
    ("<domain a='<'/>", "1:12: error: '<' in the value of an attribute"),
    ("<domain a='1", "1:13: error: the value of an attribute has no end"),
    ("<1/>", "1:2: error: a name is expected here"),
    ("<domain>&copy;</domain>", "1:9: error: this reference is not one of XML's own, or names no character"),
    ("<domain>&#0;</domain>", "1:9: error: this reference is not one of XML's own, or names no character"),
    ("<domain>&#xFFFF;</domain>", "1:9: error: this reference is not one of XML's own, or names no character"),
    ("<domain>&#x+41;</domain>", "1:9: error: this reference is not one of XML's own, or names no character"),
    ("<domain>a & b</domain>", "1:11: error: '&' begins no reference: write &amp;"),
    ("<!-- a <domain/>", "1:5: error: a comment has no end"),
    ("<domain><![CDATA[a</domain>", "1:18: error: a section of characters has no end"),
    (
      "<!DOCTYPE d [<!ENTITY e SYSTEM '/etc/passwd'>]><domain>&e;</domain>",
      "1:1: error: a document type, which is not read: it could name files, and grow without a bound"
    ),
    ("<network/>", "1:1: error: the root is 'network', and not the domain of libvirt"),
    ("<domain/>", "1:1: error: the domain has no name, or several"),
    ("<domain><name>a</name><name>b</name></domain>", "1:1: error: the domain has no name, or several"),
    ("<domain><name>a</name><uuid>b</uuid></domain>", "1:23: error: 'b' is no UUID"),
    ("a\u{0}", "1:2: error: the control character U+0000 is not XML"),
  ])
  func `an error has its location`(_ text: String, _ expected: String) {
    let (domain, errors) = read(text)
    #expect(domain == nil && errors == ["web.xml:" + expected], "\(errors)")
  }

  @Test(arguments: [
    ("bus='0x100'", "'bus' is '0x100', and not a number up to 0xff"),
    ("slot='32'", "'slot' is '32', and not a number up to 0x1f"),
    ("slot='1f'", "'slot' is '1f', and not a number up to 0x1f"),
    ("function='8'", "'function' is '8', and not a number up to 0x7"),
    ("function='08'", "'function' is '08', and not a number up to 0x7"),
    ("bus='-1'", "'bus' is '-1', and not a number up to 0xff"),
    ("domain='65536'", "'domain' is '65536', and not a number up to 0xffff"),
    ("bus=''", "'bus' is '', and not a number up to 0xff"),
    ("bus='99999999999999999999'", "'bus' is '99999999999999999999', and not a number up to 0xff"),
  ])
  func `an address that libvirt does not take is an error`(_ address: String, _ message: String) {
    let (domain, errors) = read(domain(card("type='pci'", address)))
    #expect(domain == nil && errors == ["web.xml:12:1: error: \(message)"], "\(errors)")
  }

  @Test func `a device without an address is an error`() {
    for device in ["<hostdev type='pci'/>", "<hostdev type='pci'><source/></hostdev>", "<interface type='hostdev'/>"] {
      let (domain, errors) = read(self.domain(device))
      #expect(domain == nil && errors == ["web.xml:9:5: error: this device has no address in its source"], "\(errors)")
    }
  }

  @Test func `bytes that are no text, and any beginning of a domain, are read or refused`() {
    let whole = Array(domain(card("type='pci'", "bus='0x06' slot='0x12'") + "<a b=\"&#x41;\"><![CDATA[x]]></a>").utf8)
    for length in 0...whole.count {
      let (domain, errors) = read(Array(whole[..<length]))
      #expect((domain == nil) == !errors.isEmpty)
    }
    var random = SeededGenerator(seed: 11)
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let (domain, errors) = read(bytes)
      #expect((domain == nil) == !errors.isEmpty)
    }
  }

  @Test func `depth and size are bounded`() {
    let deep = String(repeating: "<a>", count: 100_000)
    #expect(read(deep).errors == ["web.xml:1:194: error: elements are nested more than 64 times"])
    let wide = "<domain><name>a</name>" + String(repeating: "<a b='c'/>&lt;", count: 50_000) + "</domain>"
    #expect(read(wide).domain?.name == "a")
  }
}
