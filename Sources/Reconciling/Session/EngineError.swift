import Ports

/// Why the work on a domain ends early.
enum EngineError: Error {
  /// The domain has gone, or is going.
  case domainGone
  case host(HostError)

  /// Whether Berth did not get libxl's lock, or that of its own record, in time.
  var isLockBusy: Bool {
    switch self {
    case .host(.userdata(let error)): error.code == .busy
    case .host(.record(let error)): error.code == .busy
    case .host, .domainGone: false
    }
  }
}
