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
      let drivers = model.state.withLock(\.drivers)
      function.virtualisation.children = drivers.children[address] ?? []
      // A driver shows what it made of the device, and pciback makes nothing.
      if known?.driver != nil, known?.isOnPCIBack == false { function.interfaces = drivers.interfaces[address] ?? [] }
      if facts.contains(.serial) { function.serial = tree.serial(of: address) }
      return function
    }
    return Inventory(functions: functions, facts: facts)
  }
}

/// What tests say that the model host stands on.
struct ModelUsage: HostUsagePort {
  let model: ModelHost
  func usage() -> HostUsage { model.state.withLock(\.drivers.usage) }
  func openings(of disks: [String]) -> [DiskOpening] {
    let held = model.state.withLock(\.drivers.heldDisks)
    return disks.map { DiskOpening(disk: $0, answer: held.contains($0) ? .held : .free) }
  }
}

/// The model host does not start.
struct ModelBoot: BootPort {
  func bootID() -> String? { boot().bootID }
  func boot() -> BootFacts { BootFacts() }
  func nativeDrivers(of functions: [PCIFunction]) -> [FunctionName: [NativeDriver]] { [:] }
  func replaceModuleOptions(with bytes: [UInt8]) throws(RecordError) -> String {
    throw RecordError(.notPermitted, operation: "write", place: "the model's files")
  }
}
