import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// What `berth pull` pulls, and whose signatures count: out of a file, or out of the options.
struct PullOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The file that says what is pulled, in place of the next five options.", valueName: "file"))
  var config: String?

  @Option(
    name: .customLong("from"),
    help: ArgumentHelp("The repository: https://…, ssh://…, user@host:path or file:///….", valueName: "url"),
    transform: { try read($0, RepositoryURL.expected, RepositoryURL.init(text:)) })
  var url: RepositoryURL?

  @Option(
    help: ArgumentHelp("The branch.", valueName: "name"),
    transform: { try read($0, BranchName.expected, BranchName.init(text:)) })
  var branch: BranchName?

  @Option(
    name: .customLong("directory"),
    help: ArgumentHelp("The folder of the repository that has the manifests.", valueName: "path"),
    transform: { try read($0, RepositoryFolder.expected, RepositoryFolder.init(text:)) })
  var folder: RepositoryFolder?

  @Option(
    name: .customLong("openpgp-keys"),
    help: ArgumentHelp("Public keys of OpenPGP, of which one must have signed the commit.", valueName: "file"))
  var openPGPKeys: String?

  @Option(
    name: .customLong("ssh-keys"),
    help: ArgumentHelp(
      "The allowed_signers of ssh-keygen, of which one must have signed the commit.", valueName: "file"))
  var sshKeys: String?

  @Flag(
    name: .customLong("accept-new-history"),
    help: "Accept a commit once that does not continue the accepted one, or another repository or branch.")
  var acceptsNewHistory = false

  @Option(
    name: .customLong("fetch-timeout"),
    help: ArgumentHelp("How long the repository may take to answer.", valueName: "time"),
    transform: DurationArgument.parseSome)
  var fetchTimeout = DurationArgument(.seconds(120))

  /// Reads an argument. Throws what it must be.
  private static func read<Value>(_ text: String, _ expected: String, _ parse: (String) -> Value?) throws -> Value {
    guard let value = parse(text) else { throw ValidationError("this must be \(expected)") }
    return value
  }

  /// Returns what these options, or their file, say.
  func resolved(by command: some BerthCommand, in context: CommandContext) throws(Failure) -> PullConfiguration {
    guard let config else {
      guard let url, let branch else {
        throw Failure(
          .usage, "no repository given", hint: "name a file with --config, or a repository with --from and --branch")
      }
      return PullConfiguration(
        source: PullSource(url: url, branch: branch, folder: folder ?? .top), openPGPKeys: openPGPKeys, sshKeys: sshKeys
      )
    }
    guard url == nil, branch == nil, folder == nil, openPGPKeys == nil, sshKeys == nil else {
      throw Failure(.usage, "--config says what is pulled, and other options do so, too", hint: "leave one of them out")
    }
    switch try readManifests({ () throws(ManifestFailure) in try loadPullConfiguration(config) }) {
    case .valid(let value): return value
    case .invalid(let diagnostics):
      command.report(diagnostics, in: context)
      throw Failure(.invalidManifest, "\(config) does not say what is pulled; nothing was touched")
    }
  }
}

extension PullConfiguration {
  /// Returns the keys of which one must have signed; nil if no key is configured.
  func keys() throws(Failure) -> SigningKeys? {
    guard openPGPKeys != nil || sshKeys != nil else { return nil }
    var keys = SigningKeys()
    if let openPGPKeys { keys.openPGP = try readFile(openPGPKeys, limit: 1 << 20) }
    if let sshKeys { keys.ssh = try readFile(sshKeys, limit: 1 << 20) }
    return keys
  }
}
