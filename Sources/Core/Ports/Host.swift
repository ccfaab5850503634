/// The ports to one host, joined by the executable.
package struct Host: Sendable {
  package var name: String
  package var stores: any StoreConnector
  package var hypervisor: any HypervisorPort
  package var tree: any DeviceTreePort
  package var userdata: any UserdataPort
  package var deviceModels: any DeviceModelPort
  package var ownership: any OwnershipPort
  package var intents: any IntentPort
  package var runLocks: any RunLockPort
  /// Seconds since 1970.
  package var wallClock: @Sendable () -> Int64
  /// Whether the user asked the program to stop.
  package var isInterrupted: @Sendable () -> Bool

  package init(
    name: String, stores: any StoreConnector, hypervisor: any HypervisorPort, tree: any DeviceTreePort,
    userdata: any UserdataPort, deviceModels: any DeviceModelPort, ownership: any OwnershipPort,
    intents: any IntentPort, runLocks: any RunLockPort, wallClock: @escaping @Sendable () -> Int64,
    isInterrupted: @escaping @Sendable () -> Bool
  ) {
    self.name = name
    self.stores = stores
    self.hypervisor = hypervisor
    self.tree = tree
    self.userdata = userdata
    self.deviceModels = deviceModels
    self.ownership = ownership
    self.intents = intents
    self.runLocks = runLocks
    self.wallClock = wallClock
    self.isInterrupted = isInterrupted
  }
}

/// A failure of any port.
package enum HostError: Error, Hashable, Sendable {
  case store(StoreError)
  case hypervisor(HypervisorError)
  case tree(DeviceTreeError)
  case userdata(UserdataError)
  case record(RecordError)
  case deviceModel(DeviceModelError)
}

/// Makes one kind of failure into the common one: `try asHostError { () throws(StoreError) in … }`.
package func asHostError<Result>(_ body: () throws(StoreError) -> Result) throws(HostError) -> Result {
  do throws(StoreError) { return try body() } catch { throw .store(error) }
}
package func asHostError<Result>(_ body: () throws(HypervisorError) -> Result) throws(HostError) -> Result {
  do throws(HypervisorError) { return try body() } catch { throw .hypervisor(error) }
}
package func asHostError<Result>(_ body: () throws(DeviceTreeError) -> Result) throws(HostError) -> Result {
  do throws(DeviceTreeError) { return try body() } catch { throw .tree(error) }
}
package func asHostError<Result>(_ body: () throws(UserdataError) -> Result) throws(HostError) -> Result {
  do throws(UserdataError) { return try body() } catch { throw .userdata(error) }
}
package func asHostError<Result>(_ body: () throws(RecordError) -> Result) throws(HostError) -> Result {
  do throws(RecordError) { return try body() } catch { throw .record(error) }
}
package func asHostError<Result>(_ body: () throws(DeviceModelError) -> Result) throws(HostError) -> Result {
  do throws(DeviceModelError) { return try body() } catch { throw .deviceModel(error) }
}
package func asHostError<Result>(_ body: () throws(SavedConfigurationError) -> Result) throws(HostError) -> Result {
  do throws(SavedConfigurationError) { return try body() } catch {
    throw .userdata(UserdataError(.other, operation: "change", path: "libxl-json, which \(error.description)"))
  }
}
