/// Returns the exit status of a plan for many hosts: the worst of theirs.
///
/// A host that could not be planned is the worst. If all such hosts have the same status, it is that status; otherwise it
/// is `failed`. Then a blocked host counts, and then one that has changes.
package func exitStatus(ofHosts statuses: [ExitStatus]) -> ExitStatus {
  let found = Set(statuses)
  let failures = found.subtracting([.done, .changesPending, .blocked])
  if let failure = failures.first { return failures.count == 1 ? failure : .failed }
  return found.contains(.blocked) ? .blocked : found.contains(.changesPending) ? .changesPending : .done
}
