import ArgumentParser
import Manifest
import Model
import Planning
import Rendering

/// `berth validate`: checks manifests without a host.
struct ValidateCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check manifests and report every error in them; needs no Xen.")

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Flag(help: "Count each warning as an error: the exit status is 65 if there is one.")
  var strict = false

  var formats: [OutputFormat] { [.table, .json, .jsonl, .markdown, .html, .github, .sarif, .gitlab] }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context)
    switch try readManifests({ () throws(ManifestFailure) in try validateManifests(paths: paths) }) {
    case .valid(let valid):
      report(valid.warnings, in: context)
      let stale = try staleLocks(of: valid, in: context)
      let hosts = valid.hosts.map { host in
        ValidatedHost(
          host: host.host?.text, domainCount: host.desired.domains.count,
          deviceCount: host.desired.domains.reduce(0) { $0 + $1.devices.count + $1.selections.count })
      }
      let view = ValidationView(
        files: valid.files, hosts: hosts, remarks: valid.warnings.map(Remark.init) + stale, isStrict: strict,
        directory: context.directory)
      try show(view, in: context)
      guard view.isValid else {
        throw Failure(
          .invalidManifest, "\(Words.count(view.warningCount, "warning")), and --strict counts each as an error",
          hint: "correct what they say, or leave out --strict")
      }
      return .done
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      try show(
        ValidationView(
          files: [], hosts: [], remarks: diagnostics.map(Remark.init), isStrict: strict, directory: context.directory),
        in: context)
      return .invalidManifest
    }
  }
}

extension ValidateCommand {
  /// Returns warnings of what the locks beside the manifests have in another way than the manifests, for each host that
  /// documents name. Whether the hosts differ, only a plan can say.
  private func staleLocks(
    of valid: ValidatedManifests, in context: CommandContext
  ) throws(Failure) -> [Remark] {
    let paths = try manifests.resolved(in: context)
    var remarks: [Remark] = []
    for host in valid.hosts {
      guard let name = host.host?.text else { continue }
      let read = try readManifests { () throws(ManifestFailure) in
        try loadLock(named: nil, besides: paths, hostName: name)
      }
      switch read {
      case .valid(nil): continue
      case .valid(let loaded?):
        let differences = host.desired.differences(fromDeclarationsOf: loaded.lock)
        for text in LockReport(path: loaded.path, differences: differences).warnings {
          _ = warn("\(loaded.path): \(text)", next: "berth lock --write", in: context)
          remarks.append(Remark(severity: .warning, file: loaded.path, line: 0, column: 0, message: text))
        }
      case .invalid(let diagnostics):
        report(diagnostics, in: context)
        throw Failure(.invalidManifest, "the lock of host \(name) is not valid")
      }
    }
    return remarks
  }
}

extension Remark {
  /// Makes a remark of a diagnostic of the manifest's reader, without the excerpt of the text.
  init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity == .error ? .error : .warning, file: diagnostic.mark?.source.name ?? "",
      line: diagnostic.mark?.line ?? 0, column: diagnostic.mark?.column ?? 0, message: diagnostic.message,
      hint: diagnostic.hint)
    count = diagnostic.count
  }
}
