/// Returns the exit status of a plan for many hosts: the worst of theirs.
///
/// Hosts that could not be planned come first: if all of them have the same status, it is that status, and otherwise
/// `failed`. Of the hosts that were planned, one that fails (`--require-running`) counts before a blocked one, and that
/// one before one that has changes.
///
/// - Parameters:
///   - failures: the statuses of the hosts that could not be planned.
///   - planned: the statuses of the others.
package func exitStatus(ofHosts failures: [ExitStatus], planned: [ExitStatus]) -> ExitStatus {
  let found = Set(failures)
  if let failure = found.first { return found.count == 1 ? failure : .failed }
  let order: [ExitStatus] = [.failed, .blocked, .changesPending]
  return order.first(where: planned.contains) ?? .done
}
