/// The ports to one host, joined by the executable.
package struct Host: Sendable {
  /// The time for one answer of xenstored or the hypervisor if the user names no other.
  package static let answerTimeout = Duration.seconds(5)

  package var name: String
  package var stores: any StoreConnector
  package var hypervisor: any HypervisorPort
  package var tree: any DeviceTreePort
  package var inventory: any InventoryPort
  package var usage: any HostUsagePort
  package var drivers: any DriverPort
  package var preparations: any PreparationPort
  package var boot: any BootPort
  package var userdata: any UserdataPort
  package var deviceModels: any DeviceModelPort
  package var ownership: any OwnershipPort
  package var intents: any IntentPort
  package var runLocks: any RunLockPort
  /// Returns the seconds since 1970.
  package var wallClock: @Sendable () -> Int64
  /// Returns whether the user asked the program to stop.
  package var isInterrupted: @Sendable () -> Bool

  package init(
    name: String, stores: any StoreConnector, hypervisor: any HypervisorPort, tree: any DeviceTreePort,
    inventory: any InventoryPort, usage: any HostUsagePort, drivers: any DriverPort,
    preparations: any PreparationPort, boot: any BootPort, userdata: any UserdataPort,
    deviceModels: any DeviceModelPort,
    ownership: any OwnershipPort,
    intents: any IntentPort, runLocks: any RunLockPort, wallClock: @escaping @Sendable () -> Int64,
    isInterrupted: @escaping @Sendable () -> Bool
  ) {
    self.name = name
    self.stores = stores
    self.hypervisor = hypervisor
    self.tree = tree
    self.inventory = inventory
    self.usage = usage
    self.drivers = drivers
    self.preparations = preparations
    self.boot = boot
    self.userdata = userdata
    self.deviceModels = deviceModels
    self.ownership = ownership
    self.intents = intents
    self.runLocks = runLocks
    self.wallClock = wallClock
    self.isInterrupted = isInterrupted
  }
}
