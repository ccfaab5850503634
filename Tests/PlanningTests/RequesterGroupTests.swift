import Model
import Planning
import Testing

/// What Xen's answers about single devices say of all of them.
@Suite struct RequesterGroupTests {
  private func name(_ text: String) throws -> FunctionName { try #require(FunctionName(text)) }

  private func function(
    _ text: String, companions: [String]? = nil, reserved: [ClosedRange<UInt64>]? = nil, isBridge: Bool = false
  ) throws -> PCIFunction {
    var function = PCIFunction(name: try name(text))
    function.deviceClass = isBridge ? 0x060400 : 0x020000
    function.companions = try companions?.map { try name($0) }
    function.reservedMemory = reserved
    return function
  }

  private func entries(_ functions: [PCIFunction]) -> [String: InventoryEntry] {
    let listing = DeviceListing(
      inventory: Inventory(functions: functions, facts: FunctionFact.ofXen), observation: nil)
    return Dictionary(uniqueKeysWithValues: listing.devices.map { ("\($0.function.name)", $0) })
  }

  private func companions(_ functions: [PCIFunction]) -> [String: [String]?] {
    entries(functions).mapValues { $0.companions?.map(\.description) }
  }

  @Test func `devices that guests have are found by the bridge that dom0 has`() throws {
    let found = companions([
      try function("0000:00:1e.0", companions: [], isBridge: true),
      try function("0000:05:00.0", companions: ["0000:00:1e.0"]),
      try function("0000:05:01.0", companions: ["0000:00:1e.0"]),
      try function("0000:06:00.0", companions: []),
    ])
    #expect(found["0000:05:00.0"] == ["0000:05:01.0"])
    #expect(found["0000:05:01.0"] == ["0000:05:00.0"])
    #expect(found["0000:06:00.0"] == .some([]))
    // A bridge is no companion, but it has some.
    #expect(found["0000:00:1e.0"] == ["0000:05:00.0", "0000:05:01.0"])
  }

  @Test func `an answer about one device counts for the other one, and what nobody answered is unknown`() throws {
    let found = companions([
      try function("0000:05:00.0", companions: ["0000:05:00.1"]),
      try function("0000:05:00.1"), try function("0000:06:00.0"),
    ])
    #expect(found["0000:05:00.1"] == ["0000:05:00.0"])
    #expect(found["0000:06:00.0"] == .some(nil))
  }

  @Test func `a device that is in no list is left out`() throws {
    let found = companions([try function("0000:05:00.0", companions: ["0000:07:00.0"])])
    #expect(found == ["0000:05:00.0": []])
  }

  @Test func `the same range is shared, and another range is not`() throws {
    let shared: ClosedRange<UInt64> = 0x7B800...0x7B9FF
    let found = entries([
      try function("0000:00:14.0", reserved: [shared, 0x100...0x1FF]),
      try function("0000:00:1a.0", reserved: [shared]),
      try function("0000:00:1d.0", reserved: [0x200...0x2FF]),
      try function("0000:03:00.0", reserved: []),
      try function("0000:04:00.0"),
    ]).mapValues { $0.reservedMemorySharers?.map(\.description) }
    #expect(found["0000:00:14.0"] == ["0000:00:1a.0"])
    #expect(found["0000:00:1a.0"] == ["0000:00:14.0"])
    #expect(found["0000:00:1d.0"] == .some([]) && found["0000:03:00.0"] == .some([]))
    #expect(found["0000:04:00.0"] == .some(nil))
  }
}
