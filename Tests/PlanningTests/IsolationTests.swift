import Model
import Planning
import Testing

@Suite struct IsolationTests {
  /// Access Control Services that isolate, and that are switched off.
  private let on = IsolationFacts.AccessControl(capabilities: 0x1F, control: 0x1D)
  private let off = IsolationFacts.AccessControl(capabilities: 0x1F, control: 0)

  private func function(
    _ chain: String..., type: IsolationFacts.ExpressType? = .endpoint, services: IsolationFacts.AccessControl? = nil,
    isMulti: Bool = false, isExpress: Bool = true, hasExtendedSpace: Bool = true, vendor: UInt16 = 0x144D,
    isBridge: Bool = false, parent: String? = nil
  ) throws -> PCIFunction {
    let names = try chain.map { try #require(FunctionName($0)) }
    var function = PCIFunction(name: try #require(names.last))
    function.chain = names
    function.id = DeviceID(vendor: vendor, device: 1)
    function.deviceClass = isBridge ? 0x060400 : 0x020000
    function.isolation = IsolationFacts(
      isMultiFunction: isMulti, type: type, isExpress: isExpress, accessControl: services,
      hasExtendedSpace: hasExtendedSpace)
    function.virtualisation.parent = try parent.map { try #require(FunctionName($0)) }
    return function
  }

  private func bridge(
    _ chain: String..., type: IsolationFacts.ExpressType, services: IsolationFacts.AccessControl?,
    vendor: UInt16 = 0x144D, isExpress: Bool = true
  ) throws -> PCIFunction {
    var bridge = try function(
      chain.last ?? "", type: type, services: services, isExpress: isExpress, vendor: vendor, isBridge: true)
    bridge.chain = try chain.map { try #require(FunctionName($0)) }
    return bridge
  }

  private func isolation(of name: String, _ functions: [PCIFunction]) throws -> Isolation {
    let inventory = Inventory(
      functions: functions.sorted { $0.name < $1.name }, facts: IsolationGroups.facts)
    return IsolationGroups(inventory).isolation(of: try #require(FunctionName(name)))
  }

  private func names(_ texts: String...) throws -> [FunctionName] { try texts.map { try #require(FunctionName($0)) } }

  @Test func `a card behind a root port that isolates is isolated`() throws {
    let functions = [
      try bridge("0000:00:1c.0", type: .rootPort, services: on),
      try function("0000:00:1c.0", "0000:03:00.0"),
      try bridge("0000:00:1d.0", type: .rootPort, services: on),
      try function("0000:00:1d.0", "0000:04:00.0"),
    ]
    #expect(try isolation(of: "0000:03:00.0", functions) == .isolated)
    #expect(try isolation(of: "0000:04:00.0", functions) == .isolated)
  }

  @Test func `cards behind one switch whose ports do not isolate share a group`() throws {
    let functions = [
      try bridge("0000:00:1c.0", type: .rootPort, services: on),
      try bridge("0000:00:1c.0", "0000:01:00.0", type: .upstreamPort, services: nil),
      try bridge("0000:00:1c.0", "0000:01:00.0", "0000:02:00.0", type: .downstreamPort, services: off),
      try function("0000:00:1c.0", "0000:01:00.0", "0000:02:00.0", "0000:03:00.0"),
      try bridge("0000:00:1c.0", "0000:01:00.0", "0000:02:01.0", type: .downstreamPort, services: nil),
      try function("0000:00:1c.0", "0000:01:00.0", "0000:02:01.0", "0000:04:00.0"),
    ]
    #expect(try isolation(of: "0000:03:00.0", functions) == .shared(with: names("0000:04:00.0")))
    // The root port's isolation keeps them from the rest of the host only.
    var closed = functions
    for index in [2, 4] {
      let chain = closed[index].chain
      closed[index] = try bridge("\(chain[2])", type: .downstreamPort, services: on)
      closed[index].chain = chain
    }
    #expect(try isolation(of: "0000:03:00.0", closed) == .isolated)
    var open = closed
    open[0] = try bridge("0000:00:1c.0", type: .rootPort, services: off)
    #expect(try isolation(of: "0000:03:00.0", open) == .shared(with: names("0000:04:00.0")))
    #expect(try isolation(of: "0000:04:00.0", open) == .shared(with: names("0000:03:00.0")))
  }

  @Test func `conventional cards behind one bridge share a group`() throws {
    let functions = [
      try bridge("0000:00:1e.0", type: .bridgeToPCI, services: nil),
      try function("0000:00:1e.0", "0000:05:01.0", type: nil, isExpress: false),
      try function("0000:00:1e.0", "0000:05:02.0", type: nil, isExpress: false),
    ]
    #expect(try isolation(of: "0000:05:01.0", functions) == .shared(with: names("0000:05:02.0")))
  }

  @Test func `functions of one slot share a group unless they isolate themselves`() throws {
    func graphics(_ services: IsolationFacts.AccessControl?) throws -> [PCIFunction] {
      [
        try bridge("0000:00:01.0", type: .rootPort, services: on),
        try function("0000:00:01.0", "0000:01:00.0", services: services, isMulti: true),
        try function("0000:00:01.0", "0000:01:00.1", services: services, isMulti: true),
      ]
    }
    #expect(try isolation(of: "0000:01:00.0", graphics(nil)) == .shared(with: names("0000:01:00.1")))
    #expect(try isolation(of: "0000:01:00.1", graphics(off)) == .shared(with: names("0000:01:00.0")))
    #expect(try isolation(of: "0000:01:00.0", graphics(on)) == .isolated)
  }

  @Test func `the first function of a slot may not say that there are more`() throws {
    let functions = [
      try function("0000:00:1f.0", type: .integratedEndpoint, isMulti: true),
      try function("0000:00:1f.3", type: .integratedEndpoint),
    ]
    #expect(try isolation(of: "0000:00:1f.3", functions) == .shared(with: names("0000:00:1f.0")))
  }

  @Test func `virtual functions are isolated from their parent and from each other`() throws {
    let functions = [
      try bridge("0000:00:01.0", type: .rootPort, services: on),
      try function("0000:00:01.0", "0000:01:00.0"),
      try function("0000:00:01.0", "0000:01:00.1", parent: "0000:01:00.0"),
      try function("0000:00:01.0", "0000:01:00.2", parent: "0000:01:00.0"),
    ]
    #expect(try isolation(of: "0000:01:00.1", functions) == .isolated)
    #expect(try isolation(of: "0000:01:00.0", functions) == .isolated)
  }

  @Test func `what is behind a port is not isolated from the port's own slot`() throws {
    let functions = [
      try bridge("0000:00:1c.0", type: .rootPort, services: nil),
      try bridge("0000:00:1c.1", type: .rootPort, services: nil),
      try function("0000:00:1c.0", "0000:03:00.0"),
      try function("0000:00:1c.1", "0000:04:00.0"),
    ]
    #expect(try isolation(of: "0000:03:00.0", functions) == .shared(with: names("0000:04:00.0")))
  }

  // MARK: What is unknown

  @Test func `a port of a vendor whose ports Linux knows is unknown, not open`() throws {
    let functions = [
      try bridge("0000:00:1c.0", type: .rootPort, services: nil, vendor: 0x8086),
      try function("0000:00:1c.0", "0000:03:00.0"),
      try function("0000:00:1c.0", "0000:03:01.0"),
    ]
    #expect(try isolation(of: "0000:03:00.0", functions) == .unknown(perhapsWith: names("0000:03:01.0")))
  }

  @Test func `without the extended space, or without any answer, isolation is unknown`() throws {
    let port = try bridge("0000:00:1c.0", type: .rootPort, services: on)
    var silent = try bridge("0000:00:1d.0", type: .rootPort, services: on)
    silent.isolation = nil
    let functions = [
      port, silent,
      try function("0000:00:1c.0", "0000:03:00.0", isMulti: true, hasExtendedSpace: false),
      try function("0000:00:1c.0", "0000:03:00.1", isMulti: true, hasExtendedSpace: false),
      try function("0000:00:1d.0", "0000:04:00.0"),
      try function("0000:00:1c.7", "0000:05:00.0"),
    ]
    #expect(try isolation(of: "0000:03:00.0", functions) == .unknown(perhapsWith: names("0000:03:00.1")))
    #expect(try isolation(of: "0000:04:00.0", functions) == .unknown(perhapsWith: []))
    var lost = try function("0000:06:00.0")
    lost.unread[.path] = ReadFailure(place: "/sys/bus/pci/devices/0000:06:00.0", .malformed)
    #expect(try isolation(of: "0000:06:00.0", [lost]) == .unknown(perhapsWith: []))
    // The inventory lacks the bridge itself.
    #expect(try isolation(of: "0000:05:00.0", functions) == .unknown(perhapsWith: []))
  }
}
