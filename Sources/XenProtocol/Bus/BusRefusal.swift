/// Why a transaction leaves a bus unchanged. `berth explain` knows the raw values.
package enum BusRefusal: String, Hashable, Sendable, CaseIterable {
  case notAssignable = "not-assignable"
  case corruptBackEnd = "corrupt-back-end"
  case corruptSavedConfiguration = "corrupt-saved-configuration"
  case domainDestroying = "domain-destroying"
  case unsettledBus = "bus-unsettled"
  case busFull = "bus-full"
}
