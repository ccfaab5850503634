import Glibc
import Model
import Ports

/// The programs that a pull needs, and how they are started.
struct GitPrograms: Sendable {
  /// Where programs are looked for.
  let folders: [String]
  /// The most bytes of each file that git writes. All that is fetched at once becomes one file.
  let mostFileBytes: UInt64
  /// How long a program may take that asks no other machine.
  static let patience = Duration.seconds(60)
  /// The most that is shown of a program's own words.
  private static let longestWords = 300

  /// Returns the path of a program. Throws if it is not installed.
  func path(of name: String) throws(RepositoryFault) -> String {
    for folder in folders where unsafe access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
    throw .noProgram(name)
  }

  /// Settings that stand above every file of settings. Hooks are off, each object is checked, and git tidies up
  /// nothing.
  private static let settings = [
    "core.hooksPath=" + Root.nothing, "core.bigFileThreshold=1m", "core.commitGraph=false", "fetch.fsckObjects=true",
    "fetch.unpackLimit=1", "fetch.recurseSubmodules=false", "gc.auto=0", "maintenance.auto=false", "credential.helper=",
    "protocol.version=2", "core.logAllRefUpdates=false",
  ]

  /// Returns the variables of git and of what it starts. This program's own are not among them. So the files and the
  /// variables of a user have no effect on git.
  func environment(home: String) -> [String: String] {
    [
      "PATH": folders.joined(separator: ":"), "HOME": home, "TMPDIR": home, "LC_ALL": "C", "GNUPGHOME": home + "/gnupg",
      "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": Root.nothing, "GIT_ATTR_NOSYSTEM": "1",
      "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "https:ssh:file", "GIT_NO_REPLACE_OBJECTS": "1",
      "GIT_LITERAL_PATHSPECS": "1", "GIT_SSH_VARIANT": "ssh",
      // A master would outlive the pull.
      "GIT_SSH_COMMAND":
        "ssh -o BatchMode=yes -o ControlMaster=no -o ControlPath=none -o ForwardAgent=no -o ForwardX11=no "
        + "-o PermitLocalCommand=no -o ClearAllForwardings=yes -o ForkAfterAuthentication=no",
    ]
  }

  /// Runs git. `allowed` are the exit codes that are answers.
  func git(
    _ arguments: [String], home: String, input: [UInt8] = [], mostBytes: Int = 64 << 10,
    within time: Duration = patience,
    settings more: [String] = []
  ) throws(RepositoryFault) -> BoundedProgram.Answer {
    let words = (Self.settings + more).flatMap { ["-c", $0] } + arguments
    return try run("git", words, home: home, input: input, mostBytes: mostBytes, within: time)
  }

  /// Runs a program.
  func run(
    _ name: String, _ arguments: [String], home: String, input: [UInt8] = [], mostBytes: Int = 64 << 10,
    within time: Duration = patience
  ) throws(RepositoryFault) -> BoundedProgram.Answer {
    let program = BoundedProgram(
      path: try path(of: name), arguments: arguments, environment: environment(home: home), input: input,
      mostBytes: mostBytes, mostFileBytes: mostFileBytes)
    do throws(BoundedProgram.Failure) { return try program.run(within: time) } catch {
      switch error {
      case .timedOut: throw .timedOut(time)
      case .tooMuch: throw .tooLarge("an answer of \(name) has more than \(mostBytes) bytes")
      case .system(let failure): throw .files(RecordError(failure, name))
      }
    }
  }

  /// Returns the words of a program for people: its lines without the words that say that they are errors.
  static func words(_ messages: String) -> String {
    let lines = messages.split(whereSeparator: \.isNewline).map { line in
      for start in ["fatal: ", "error: "] where line.hasPrefix(start) { return line.dropFirst(start.utf8.count) }
      return line
    }
    return cut(visible(lines.joined(separator: "; ")), to: longestWords)
  }
}
