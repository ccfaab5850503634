package import Planning

extension Wait {
  package var explanation: Explanation {
    switch self {
    case .domainAbsent:
      Explanation(
        meaning: "the domain does not exist now",
        cause: "The host has no domain of this name. The first apply after it starts attaches its devices.",
        remedy: "start the domain, then run again")
    case .domainBuilding:
      Explanation(
        meaning: "libxl is still creating the domain",
        cause: "libxl attaches devices without a lock while it creates a domain. It writes the saved configuration "
          + "last, and that is not there yet.",
        remedy: "run again when the domain is created")
    case .domainShuttingDown:
      Explanation(
        meaning: "the domain is shutting down",
        cause: "The domain has ended or crashed, and its toolstack is about to destroy or restart it.",
        remedy: "run again when the domain is back")
    case .domainDestroying:
      Explanation(
        meaning: "the domain is being destroyed",
        cause: "libxl removes the domain's nodes from xenstore before it removes the domain. They are gone already.",
        remedy: "run again when the domain is back")
    case .domainPaused:
      Explanation(
        meaning: "the domain is paused and cannot answer",
        cause: "A paused guest can neither take nor release a device. Berth begins nothing that a paused guest would "
          + "have to finish.",
        remedy: "\(.command("xl unpause", .domain)), then run again")
    case .stubDomainAbsent:
      Explanation(
        meaning: "the domain's stub domain is not running",
        cause: "The guest's devices go through its stub domain, which is starting, stopping, paused or gone.",
        remedy: "see \(.command("xl list")); run again when the stub domain runs")
    }
  }
}
