import ArgumentParser
import Manifest
import Planning
import Rendering

/// The manifests a command reads, and what overrides them.
struct ManifestOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "Manifest files, or directories of them.", discussion: "BERTH_MANIFEST in the environment is the default.",
      valueName: "manifest"))
  var paths: [String] = []

  /// The paths given, or the environment's; none is a usage error unless `isOptional`.
  func resolved(in context: CommandContext, isOptional: Bool = false) throws(Failure) -> [String] {
    if !paths.isEmpty { return paths }
    if let path = context.environment["BERTH_MANIFEST"], !path.isEmpty { return [path] }
    guard !isOptional else { return [] }
    throw Failure(
      .usage, "no manifest given", hint: "name a manifest file or a directory of them, or set BERTH_MANIFEST")
  }
}

/// What reading manifests came to.
enum ReadManifests<Value> {
  case valid(Value)
  case invalid([Diagnostic])
}

/// Reads manifests; throws where there are none.
func readManifests<Value>(_ read: () throws(ManifestFailure) -> Value) throws(Failure) -> ReadManifests<Value> {
  do throws(ManifestFailure) { return .valid(try read()) } catch {
    switch error {
    case .notFound(let message): throw Failure(.noManifest, message)
    case .invalid(let diagnostics): return .invalid(diagnostics)
    }
  }
}

extension BerthCommand {
  /// Reads manifests; what is wrong with them is written to standard error, all of it.
  func load(_ paths: [String], in context: CommandContext) throws(Failure) -> LoadedManifests {
    let name: String
    do throws(Failure) { name = try hostName(in: context) } catch {
      // What is wrong with a manifest is told also where its host cannot be reached.
      _ = try valid({ () throws(ManifestFailure) in try validateManifests(paths: paths) }, in: context)
      throw error
    }
    let loaded = try valid(
      { () throws(ManifestFailure) in try loadManifests(paths: paths, hostName: name) }, in: context)
    report(loaded.warnings, in: context)
    if global.verbose { report(loaded.skipped, in: context) }
    return loaded
  }

  private func valid<Value>(
    _ read: () throws(ManifestFailure) -> Value, in context: CommandContext
  ) throws(Failure) -> Value {
    switch try readManifests(read) {
    case .valid(let value): return value
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      let errors = diagnostics.count { $0.severity == .error }
      throw Failure(.invalidManifest, "\(errors) error\(errors == 1 ? "" : "s") in the manifest; nothing was touched")
    }
  }

  /// Writes what the manifest's reader found.
  func report(_ diagnostics: [Diagnostic], in context: CommandContext) {
    for diagnostic in diagnostics { context.standardError("\(diagnostic)\n") }
  }
}
