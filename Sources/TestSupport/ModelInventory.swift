import Model
import Ports
import Synchronization

/// The model host's devices as an inventory. Each is on the root bus.
struct ModelInventory: InventoryPort {
  let model: ModelHost

  func productData(of device: FunctionName) -> ProductData? { nil }

  func inventory(of facts: Set<FunctionFact>) -> Inventory {
    let tree = ModelTree(model: model)
    let functions = model.state.withLock(\.present).sorted().map { address in
      var function = PCIFunction(name: FunctionName(address))
      let known = tree.facts(of: address)
      (function.id, function.subsystem, function.deviceClass) = (known?.id, known?.subsystem, known?.deviceClass)
      function.driver = known?.driver
      function.path = PCIPath(
        segment: function.name.segment, steps: [PCIPath.Step(bus: address.bus, place: function.name.place)])
      if facts.contains(.serial) { function.serial = tree.serial(of: address) }
      return function
    }
    return Inventory(functions: functions, facts: facts)
  }
}

/// The model host has no files.
struct ModelUsage: HostUsagePort {
  func usage() -> HostUsage { HostUsage() }
}

/// The model host does not start.
struct ModelBoot: BootPort {
  func boot() -> BootFacts { BootFacts() }
  func nativeDrivers(of functions: [PCIFunction]) -> [FunctionName: [NativeDriver]] { [:] }
  func replaceModuleOptions(with bytes: [UInt8]) throws(RecordError) -> String {
    throw RecordError(.notPermitted, operation: "write", place: "the model's files")
  }
}
