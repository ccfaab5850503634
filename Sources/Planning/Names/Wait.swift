/// What a change waits for. The raw values are stable: scripts depend on them.
package enum Wait: String, Hashable, Sendable, CaseIterable {
  case domainAbsent = "domain-absent"
  case domainBuilding = "domain-building"
  case domainShuttingDown = "domain-shutting-down"
  case domainDestroying = "domain-destroying"
  case domainPaused = "domain-paused"
  case stubDomainAbsent = "stub-domain-absent"
}
