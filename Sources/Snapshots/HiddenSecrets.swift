import Model
import Ports

/// What makes a word of a command line the name of a secret.
private let secretNames = ["passw", "secret", "token", "key="]

/// Returns a command line up to the first secret in it: `xl create web.cfg vnc…`.
func withoutSecrets(_ command: String) -> String {
  // Only ASCII letters are compared, so that each byte keeps its place.
  let lower = command.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
  let starts = secretNames.compactMap { lower.firstRange(of: Array($0.utf8))?.lowerBound }
  return starts.min().map { String(decoding: Array(command.utf8)[..<$0], as: UTF8.self) + "…" } ?? command
}

extension LockHolder {
  mutating func hideSecrets() { command = command.map { withoutSecrets($0) } }
}

extension RunMark {
  /// The same mark, without a secret in the command line of its holder.
  var withoutSecrets: RunMark {
    var mark = self
    mark.holder?.command = holder?.command.map { Snapshots.withoutSecrets($0) }
    return mark
  }
}

extension HostError {
  /// The same failure, without a secret in the command line of a lock's holder.
  var withoutSecrets: HostError {
    guard case .deviceModel(let error) = self, var holder = error.holder else { return self }
    holder.hideSecrets()
    return .deviceModel(
      DeviceModelError(
        error.code, operation: error.operation, place: error.place, errno: error.errno, holder: holder,
        detail: error.detail))
  }
}
