import Model
import Planning
import TestSupport
import Testing

/// A manifest of what the configurations of another tool declare.
@Suite struct ConfigurationImportTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func configured(
    _ name: Name, _ devices: [PCIAddress], uuid: DomainUUID? = nil, kind: DomainKind = .pv, file: String = "a.cfg"
  ) -> ConfiguredDomain {
    var domain = ConfiguredDomain(name: name, uuid: uuid, kind: kind, file: file)
    domain.devices = devices.enumerated().map { ConfiguredDevice(address: $1, line: $0 + 1) }
    return domain
  }

  private var index: ObservationIndex {
    ObservationIndex(
      Observation(
        host: HostFacts(name: "host"), domains: [Sample.domain(1, "web", [one])],
        devices: [one, two].map { Sample.device($0) }))
  }

  private func inventory(_ change: (inout PCIFunction) -> Void = { _ in }) -> Inventory {
    var function = PCIFunction(name: FunctionName(one))
    (function.id, function.driver, function.serial) = (DeviceID("8086:1533"), "pciback", "a0-36-9f-ff-ff-00-00-01")
    change(&function)
    return Inventory(functions: [function], facts: Set(FunctionFact.allCases))
  }

  private func imported(
    _ domains: [ConfiguredDomain], _ index: ObservationIndex? = nil, _ inventory: Inventory? = nil
  ) -> ImportedManifest {
    ConfigurationImport(hostName: nil, index: index, inventory: inventory).manifest(of: domains) { !$0.isEmpty }
  }

  private func reasons(_ manifest: ImportedManifest) -> [ImportRemark] { manifest.allRemarks.map(\.remark) }

  @Test func `without a host, what the files say is declared by its addresses`() {
    let manifest = imported([configured("web", [one, two], uuid: Sample.uuid(1))])
    #expect(reasons(manifest).isEmpty)
    let domain = manifest.desired.domains.first
    #expect(domain?.name == "web" && domain?.uuid == Sample.uuid(1))
    #expect(domain?.devices.map(\.address) == [one, two] && domain?.devices.map(\.id) == [nil, nil])
  }

  @Test func `with a host, devices are identified, and missing ones are left out`() {
    let manifest = imported([configured("web", [one, two]), configured("gone", [])], index, inventory())
    #expect(reasons(manifest) == [.deviceAbsent])
    #expect(manifest.domains.first?.id == DomainID(1))
    #expect(manifest.desired.domains.first?.selections.map(\.selector.keys) == [[.address, .id, .serial]])
    let bridge = imported([configured("web", [one])], index, inventory { $0.deviceClass = 0x060400 })
    #expect(reasons(bridge) == [.bridge] && bridge.desired.domains.isEmpty)
    for driver in ["igb", nil] {
      let other = imported([configured("web", [one])], index, inventory { $0.driver = driver })
      #expect(reasons(other) == [.notOnPCIBack(driver: driver)] && other.desired.domains.count == 1)
    }
    let unread = imported(
      [configured("web", [one])], index,
      inventory { ($0.driver, $0.unread) = (nil, [.driver: ReadFailure(place: "driver", .malformed)]) })
    #expect(reasons(unread).isEmpty)
  }

  @Test func `a domain that the host has otherwise, or not, is declared as its file says`() {
    #expect(reasons(imported([configured("new", [one])], index)) == [.domainAbsent])
    #expect(reasons(imported([configured("web", [one], uuid: Sample.uuid(7))], index)) == [.otherUUID(Sample.uuid(1))])
    #expect(reasons(imported([configured("old", [one], uuid: Sample.uuid(1))], index)) == [.otherName("web")])
    #expect(imported([configured("old", [one], uuid: Sample.uuid(1))], index).desired.domains.map(\.name) == ["old"])
  }

  @Test func `a name, a UUID and a device are declared once`() {
    let names = imported([configured("web", [one]), configured("web", [two], file: "b.cfg")])
    #expect(reasons(names) == [.declaredTwice(file: "a.cfg")])
    #expect(names.desired.domains.flatMap(\.devices).map(\.address) == [one])
    let uuids = imported([
      configured("a", [one], uuid: Sample.uuid(1)), configured("b", [two], uuid: Sample.uuid(1)),
    ])
    #expect(reasons(uuids) == [.declaredTwice(file: "a.cfg")])
    let devices = imported([configured("a", [one, one]), configured("b", [one, two])])
    #expect(reasons(devices) == [.listedTwice("a"), .listedTwice("a")])
    #expect(devices.desired.domains.map { $0.devices.map(\.address) } == [[one], [two]])
    // A slot as a whole has each of its functions.
    var slot = configured("a", [one])
    slot.devices[0].takesAllFunctions = true
    let function = PCIAddress(sbdf: one.sbdf | 3)
    #expect(reasons(imported([slot, configured("b", [function])])) == [.listedTwice("a")])
    #expect(reasons(imported([configured("b", [function]), slot])) == [.listedTwice("b")])
    // What is left out takes nothing from others.
    #expect(reasons(imported([configured("", [one]), configured("b", [one])])) == [.domainName])
  }

  @Test func `a slot is declared if a manifest can have it`() {
    func with(_ kind: DomainKind, _ slots: [UInt8], _ all: Bool = false) -> ImportedManifest {
      var domain = configured("a", Array([one, two].prefix(slots.count)), kind: kind)
      for (position, slot) in slots.enumerated() {
        domain.devices[position].options.virtualSlot = slot
        domain.devices[position].takesAllFunctions = all
      }
      return imported([domain])
    }
    #expect(reasons(with(.hvm, [5, 6])).isEmpty)
    #expect(with(.hvm, [5, 6]).desired.domains.first?.devices.map(\.options.virtualSlot) == [5, 6])
    #expect(reasons(with(.pv, [5])) == [.slot(5, .kind)])
    #expect(reasons(with(.hvm, [5, 5])) == [.slot(5, .shared), .slot(5, .shared)])
    #expect(reasons(with(.hvm, [5], true)) == [.slot(5, .wholeSlot)])
    #expect(with(.hvm, [5], true).desired.domains.first?.selections.map(\.options) == [DeviceOptions()])
  }
}
