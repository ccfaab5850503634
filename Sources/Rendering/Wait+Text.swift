package import Planning

extension Wait {
  /// Returns one sentence, without a full stop, that says what the name means.
  package var meaning: String {
    switch self {
    case .domainAbsent: "the domain does not exist now"
    case .domainBuilding: "libxl is still creating the domain"
    case .domainShuttingDown: "the domain is shutting down"
    case .domainDestroying: "the domain is being destroyed"
    case .domainPaused: "the domain is paused and cannot answer"
    case .stubDomainAbsent: "the domain's stub domain is not running"
    }
  }

  /// Returns the next step, with ADDRESS and DOMAIN for the device and the domain; nil if a person has none to take.
  package var remedy: String? {
    switch self {
    case .domainAbsent: "start the domain, then run again"
    case .domainBuilding: "run again when the domain is created"
    case .domainShuttingDown: "run again when the domain is back"
    case .domainDestroying: "run again when the domain is back"
    case .domainPaused: "`xl unpause DOMAIN`, then run again"
    case .stubDomainAbsent: "see `xl list`; run again when the stub domain runs"
    }
  }

  /// Returns how it comes to be so, and what Berth does about it: a few sentences for `berth explain`.
  package var cause: String {
    switch self {
    case .domainAbsent: "No domain of this name is there. Its devices are attached by the first apply after it starts."
    case .domainBuilding:
      "libxl attaches devices itself while it creates a domain, without any lock; its saved configuration, which comes "
        + "last of all, is not there yet."
    case .domainShuttingDown:
      "The domain has ended or crashed, and its toolstack is about to destroy or restart it."
    case .domainDestroying: "libxl removes the domain's nodes before the domain itself: they are gone already."
    case .domainPaused:
      "A paused guest cannot answer a round, and cannot let go of a device. Nothing is begun that it would have to end."
    case .stubDomainAbsent:
      "The guest's devices go through its stub domain, which is starting, stopping, paused or gone."
    }
  }
}
