import ArgumentParser
import Core
import Manifest
import Rendering

/// `berth validate`: checks manifests, away from any host.
struct ValidateCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate", abstract: "Check manifests and tell every error in them; needs no Xen.")

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context)
    let hostName = try context.hostName(global.sandboxDirectory(in: context))
    switch try readManifests(paths, hostName: hostName) {
    case .valid(let loaded):
      report(loaded.warnings, in: context)
      try show(
        ValidationView(
          domainCount: loaded.desired.domains.count,
          deviceCount: loaded.desired.domains.reduce(0) { $0 + $1.devices.count },
          remarks: loaded.warnings.map(Remark.init)), in: context)
      return .done
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      try show(ValidationView(domainCount: 0, deviceCount: 0, remarks: diagnostics.map(Remark.init)), in: context)
      return .invalidManifest
    }
  }
}

extension Remark {
  /// What the manifest's reader found, without the excerpt of the text.
  init(_ diagnostic: Diagnostic) {
    self.init(
      severity: diagnostic.severity == .error ? .error : .warning, file: diagnostic.mark?.source.name ?? "",
      line: diagnostic.mark?.line ?? 0, column: diagnostic.mark?.column ?? 0, message: diagnostic.message,
      hint: diagnostic.hint)
  }
}
