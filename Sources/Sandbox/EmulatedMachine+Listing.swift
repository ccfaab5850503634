import Model

/// The answer to `query-pci` in the form of QEMU 7.2 (`qmp_query_pci`, hw/pci/pci-qmp-cmds.c), keys in QEMU's order.
extension EmulatedMachine {
  var listing: JSONText {
    let fixed: [JSONText] = [
      Self.entry(0, 0, "", 0x0600, "Host bridge", DeviceID(vendor: 0x8086, device: 0x1237)),
      Self.entry(1, 0, "", 0x0601, "ISA bridge", DeviceID(vendor: 0x8086, device: 0x7000)),
      Self.entry(1, 1, "", 0x0101, "IDE controller", DeviceID(vendor: 0x8086, device: 0x7010)),
      Self.entry(1, 3, "", 0x0680, "Bridge", DeviceID(vendor: 0x8086, device: 0x7113), pin: 1, line: 10),
      Self.entry(2, 0, "", 0xFF80, nil, DeviceID(vendor: 0x5853, device: 0x0001), pin: 1, line: 11),
    ]
    return .array([.object([("bus", .integer(0)), ("devices", .array(fixed + entries(behind: nil, bus: 0)))])])
  }

  private func entries(behind bridge: String?, bus: Int) -> [JSONText] {
    let bridges = devices.filter { $0.driver == Self.bridge }.map(\.id)
    return devices.filter { $0.bridge == bridge }.sorted { ($0.slot, $0.function) < ($1.slot, $1.function) }.map {
      guard $0.driver == Self.bridge else {
        return Self.entry(
          $0.slot, $0.function, $0.id, 0, nil, $0.real?.id ?? DeviceID(vendor: 0, device: 0), bus: bus, pin: 1,
          line: $0.real?.interrupt, regions: Self.regions($0.real?.resources ?? []))
      }
      let number = (bridges.firstIndex(of: $0.id) ?? 0) + 1
      return Self.entry(
        $0.slot, $0.function, $0.id, 0x0604, "PCI bridge", DeviceID(vendor: 0x1B36, device: 0x0001), bus: bus, pin: 1,
        line: 0, behind: Self.bridgeMember(bus, number, entries(behind: $0.id, bus: number)))
    }
  }

  private static func bridgeMember(_ bus: Int, _ number: Int, _ devices: [JSONText]) -> JSONText {
    func window(_ limit: Int) -> JSONText { .object([("limit", .integer(limit)), ("base", .integer(0))]) }
    var members: [(name: String, value: JSONText)] = [
      (
        "bus",
        .object([
          ("prefetchable_range", window(1_048_575)), ("memory_range", window(1_048_575)),
          ("secondary", .integer(number)), ("io_range", window(4095)), ("number", .integer(bus)),
          ("subordinate", .integer(number)),
        ])
      )
    ]
    if !devices.isEmpty { members.append(("devices", .array(devices))) }
    return .object(members)
  }

  private static func entry(
    _ slot: UInt8, _ function: UInt8, _ name: String, _ deviceClass: Int, _ words: String?, _ id: DeviceID,
    bus: Int = 0, pin: Int = 0, line: UInt32? = nil, regions: [JSONText] = [], behind: JSONText? = nil
  ) -> JSONText {
    var members: [(name: String, value: JSONText)] = [("irq_pin", .integer(pin)), ("bus", .integer(bus))]
    if let behind { members.append(("pci_bridge", behind)) }
    members.append(("qdev_id", .text(name)))
    if let line { members.append(("irq", .integer(line))) }
    members += [
      ("slot", .integer(slot)),
      ("class_info", .object([("class", .integer(deviceClass))] + (words.map { [("desc", .text($0))] } ?? []))),
      ("id", .object([("device", .integer(id.device)), ("vendor", .integer(id.vendor))])),
      ("function", .integer(function)), ("regions", .array(regions)),
    ]
    return .object(members)
  }

  private static func regions(_ resources: [DeviceResource]) -> [JSONText] {
    resources.enumerated().map { index, resource in
      let place: [(name: String, value: JSONText)] = [
        ("bar", .integer(index)), ("size", .integer(resource.range.upperBound - resource.range.lowerBound &+ 1)),
        ("address", .integer(-1)),
      ]
      guard resource.space != .ports else { return .object(place + [("type", .text("io"))]) }
      return .object(
        [("prefetch", .bool(false)), ("mem_type_64", .bool(false))] + place + [("type", .text("memory"))])
    }
  }
}
