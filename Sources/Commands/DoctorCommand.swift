import ArgumentParser
import Planning
import Rendering

/// `berth doctor`: what is wrong with the host itself.
struct DoctorCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what is wrong with this host, how it came about, and what to do next.",
    discussion: """
      Asks Xen, xenstored, the kernel and Berth's own files, each for itself, and goes on where one does not answer. \
      Changes nothing. `berth explain NAME` tells more of a name.
      """)

  @OptionGroup var global: GlobalOptions

  @Flag(name: .customLong("detailed-exitcode"), help: "Exit with 2 where a problem is found.")
  var detailedExitCode = false

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let sandbox = global.sandboxDirectory(in: context)
    // A sandbox that does not answer has no name to tell, and is what this command is for.
    let name: String
    do throws(Failure) { name = try hostName(in: context) } catch { name = sandbox ?? "this host" }
    let examination = context.openHost(sandbox, name).examine()
    let findings = diagnose(examination)
    let place = context.place(sandbox: sandbox)
    try show(DoctorView(examination: examination, findings: findings, place: place), in: context)
    return exitStatus(of: findings, isDetailed: detailedExitCode, place: place)
  }
}

/// The exit status of a diagnosis: that of the first of Xen and xenstored that cannot be asked, where one cannot.
func exitStatus(of findings: [Finding], isDetailed: Bool, place: HostPlace) -> ExitStatus {
  for finding in findings {
    guard case .ailment(let ailment) = finding.kind, let error = finding.error else { continue }
    switch ailment {
    case .xenUnreachable, .storeUnreachable, .sysfsUnreadable, .lookFailed: return place.failure(for: error).status
    default: continue
    }
  }
  return isDetailed && findings.contains { !$0.isNote } ? .changesPending : .done
}
