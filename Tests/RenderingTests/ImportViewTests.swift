import Model
import Planning
import Rendering
import TestSupport
import Testing
import XenProtocol

@Suite struct ImportViewTests {
  /// A manifest with each kind of remark.
  private func manifest() throws -> ImportedManifest {
    let (one, two, three) = (
      try Samples.address("0000:03:00.0"), try Samples.address("0000:04:00.0"), try Samples.address("0000:05:00.0")
    )
    var card = PCIFunction(name: FunctionName(one))
    (card.id, card.deviceClass, card.slots) = (DeviceID("8086:1533"), 0x020000, ["PCIE1"])
    card.serial = "a0-36-9f-ff-ff-12-34-56"
    card.interfaces = [NetworkInterface(name: "eth0", address: MACAddress("52:54:00:00:00:01"))]
    var disk = PCIFunction(name: FunctionName(two))
    (disk.id, disk.deviceClass) = (DeviceID("144d:a80a"), 0x010802)
    disk.nvme = [NVMeController(name: "nvme0", serial: "S4EVNX0R", model: nil)]
    let inventory = Inventory(functions: [card, disk], facts: [])

    var net = ImportedDomain(name: "sys-net", uuid: try Samples.uuid("2"), kind: .pv)
    (net.id, net.lifecycle) = (DomainID(2), .running)
    net.devices = [ImportedDevice(one, in: inventory), ImportedDevice(two, in: inventory)]
    net.devices[0].options = DeviceOptions(permissive: true, rdmPolicy: .relaxed)
    net.devices[0].remarks = [.slot(5, .kind)]
    net.devices[1].isLeftOut = true
    net.devices[1].remarks = [
      .deviceWouldChange(
        try Samples.step("0000:04:00.0", .repair(.writeClaim(replacing: nil)), evidence: "its claim is gone"))
    ]
    net.remarks = [
      .savedLine(OtherSavedLine(oddity: .name("disk"), text: #"{ "name": "disk" }"#, address: nil))
    ]
    var hostile = ImportedDomain(name: "x\": {}\n# \u{1B}[8m${A}", uuid: try Samples.uuid("3"), kind: .hvm)
    hostile.devices = [ImportedDevice(three, in: nil)]
    hostile.remarks = [.domainName]
    hostile.isLeftOut = true
    var twin = ImportedDomain(name: "twin", uuid: nil, kind: .pv, devices: [], remarks: [.nameShared])
    twin.isLeftOut = true
    var manifest = ImportedManifest(
      hostName: "host17", prune: .never, domains: [net, hostile, twin], remarks: [.keepsUndeclared, .hostRepairs(2)])
    manifest.nameDevices()
    return manifest
  }

  private func view() throws -> ImportView {
    ImportView(
      manifest: try manifest(), sources: ["the host host17"], warnings: ["a record is damaged"],
      naming: Samples.naming)
  }

  @Test func `a manifest with comments`() throws {
    try expectGolden(try rendered(try view(), as: .table, style: TextStyle()), "everything/import.yaml")
    try expectGolden(try rendered(try view(), as: .json, style: TextStyle()), "everything/import.json")
  }

  @Test func `a host without devices`() throws {
    let view = ImportView(manifest: ImportedManifest(hostName: "host17"), sources: ["the host host17"])
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "in-sync/import.yaml")
  }

  @Test(arguments: OutsideNameTests.names + ["a\"b\\c", "#d", "e: [f", "- g", "&h", "\u{A0}i"])
  func `no name ends its quotes, begins a line, or reaches the terminal as it is`(_ name: Name) throws {
    var manifest = try manifest()
    manifest.domains[0].name = name
    manifest.hostName = name.text
    for isASCII in [false, true] {
      let view = ImportView(manifest: manifest, sources: ["/etc/xen/\(name)"], warnings: ["\(name)"])
      let text = try rendered(view, as: .table, style: TextStyle(isASCII: isASCII))
      for line in text.split(separator: "\n") {
        #expect(visible(line) == String(line))
        if isASCII { #expect(line.utf8.count == line.unicodeScalars.count, "\(line)") }
        // Besides comments there are only the lines of a manifest.
        let content = line.drop { $0 == " " }
        let isKnown = [
          "# ", "- ", "\"", "uuid: ", "devices:", "domains:", "spec:", "policy:", "kind:", "apiVersion:",
          "metadata: {name: \"", "net0: {", "nvme0: {",
        ]
        .contains { content.hasPrefix($0) }
        #expect(isKnown, "\(line)")
      }
    }
  }

  @Test func `every remark has words and a word of its own`() throws {
    let step = try Samples.step("0000:03:00.0", .adopt)
    let unresolved = UnresolvedStep(
      label: "net0", selector: DeviceSelector(), obstacle: .deviceMissing, evidence: "no device has it")
    let remarks: [ImportRemark] = [
      .hostName("h"), .keepsUndeclared, .hostRepairs(1), .domainName, .nameShared, .domainWouldChange([step]),
      .deviceWouldChange(step), .ownedChanges(step), .deviceUnresolved(unresolved), .listedTwice("a"),
      .slot(4, .shared),
      .savedLine(OtherSavedLine(oddity: .mask, text: "{}", address: nil)), .slot(4, .wholeSlot),
      .declaredTwice(file: "a.cfg"), .domainAbsent, .otherName("b"), .otherUUID(try Samples.uuid("1")), .deviceAbsent,
      .bridge, .notOnPCIBack(driver: nil), .notOnPCIBack(driver: "igb"), .hostUnknown("no Xen"),
      .configuration(.seize), .configuration(.deviceName("d", line: 3)), .configuration(.wholeSlot),
      .configuration(.unknownKey("k")), .configuration(.notNumber(key: "permissive", value: "yes")),
      .configuration(.domainPolicy("policy=strict")), .configuration(.otherDevice("dtdev")), .configuration(.managed),
      .configuration(.interface),
      .configuration(.hypervisor("kvm")),
    ]
    let manifest = ImportedManifest(hostName: nil, remarks: remarks)
    let document = try rendered(ImportView(manifest: manifest, sources: []), as: .json, style: TextStyle())
    #expect(try DocumentSchemas().violations(of: document) == [])
    let text = try rendered(
      ImportView(manifest: manifest, sources: ["a", "b", "c", "d", "e"]), as: .table, style: TextStyle())
    #expect(text.contains("from a, b, c, d and 1 more"))
    for remark in remarks {
      #expect(text.replacing("\n# ", with: " ").contains(remark.words), "\(remark)")
      #expect(remark.words.hasSuffix(".") || remark.words.hasSuffix("}"), "\(remark.words)")
    }
  }
}
