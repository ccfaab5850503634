import Model
import Planning
import Testing

/// A host for tests of interlocks, described by what it has.
struct InterlockHost {
  var usage = HostUsage()
  var functions: [PCIFunction] = []
  var served = ServedDevices()

  /// Adds a function behind others; the class may be unknown.
  mutating func function(
    _ path: String, _ deviceClass: UInt32?, driver: String? = "driver",
    _ change: (inout PCIFunction) -> Void = { _ in }
  ) throws {
    let chain = try InterlockHost.functions(path)
    var function = PCIFunction(name: try #require(chain.last))
    (function.chain, function.deviceClass, function.driver) = (chain, deviceClass, driver)
    change(&function)
    functions.append(function)
  }

  static func functions(_ path: String) throws -> [FunctionName] {
    try path.split(separator: " ").map { try #require(FunctionName($0)) }
  }

  mutating func block(_ name: String, on path: String = "", _ change: (inout BlockDevice) -> Void = { _ in }) throws {
    var block = BlockDevice(name: name)
    (block.functions, block.isVirtual) = (try InterlockHost.functions(path), path.isEmpty)
    block.number = "8:\(usage.blocks.count)"
    change(&block)
    usage.blocks.append(block)
  }

  mutating func mount(_ source: String, _ point: String, type: String = "ext4", peers: [String] = []) {
    let number = usage.blocks.first { $0.name == source }?.number ?? "0:\(50 + usage.mounts.count)"
    usage.mounts.append(Mount(number: number, type: type, source: source, point: point, peers: peers))
  }

  mutating func interface(_ name: String, on path: String, lower: [String] = []) throws {
    usage.network.interfaces.append(
      HostInterface(name: name, kind: .device, functions: try InterlockHost.functions(path), lower: lower))
  }

  mutating func interface(_ name: String, _ kind: HostInterface.Kind = .virtual, lower: [String] = []) {
    usage.network.interfaces.append(HostInterface(name: name, kind: kind, lower: lower))
  }

  mutating func route(by interfaces: [String], _ family: DefaultRoute.Family = .ipv4, table: String = "main") {
    usage.network.defaultRoutes.append(DefaultRoute(family: family, table: table, interfaces: interfaces))
  }

  func rules() -> InterlockRules {
    InterlockRules(
      usage: usage, inventory: Inventory(functions: functions, facts: InterlockRules.facts), served: served)
  }

  /// Returns the interlocks on a function, each as `name: way`, with `!` if it refuses.
  func interlocks(
    _ name: String, with others: String = "", openings: [DiskOpening] = []
  ) throws -> [String] {
    rules().interlocks(
      on: try #require(FunctionName(name)), takenWith: Set(try InterlockHost.functions(others)), openings: openings
    ).map { "\($0.isRefusal ? "!" : "")\($0.name.rawValue): \($0)" }
  }
}
