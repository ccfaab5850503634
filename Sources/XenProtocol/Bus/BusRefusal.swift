/// Why one transaction changes nothing of a bus. The raw values are names that `berth explain` knows.
package enum BusRefusal: String, Hashable, Sendable, CaseIterable {
  case notAssignable = "not-assignable"
  case corruptBackEnd = "corrupt-back-end"
  case corruptSavedConfiguration = "corrupt-saved-configuration"
  case domainDestroying = "domain-destroying"
}
