import Ports

/// Why the work on a domain ends early.
enum EngineError: Error {
  /// The domain has gone, or is going.
  case domainGone
  case host(HostError)

  /// Whether Berth did not get libxl's lock in time.
  var isLockBusy: Bool {
    if case .host(.userdata(let error)) = self { error.code == .busy } else { false }
  }
}
