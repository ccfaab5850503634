import ArgumentParser
import Manifest
import Model
import Planning
import Rendering

/// The manifests that a command reads, and the options that override them.
struct ManifestOptions: ParsableArguments {
  @Argument(
    help: ArgumentHelp(
      "Files and directories with manifests.", discussion: "BERTH_MANIFEST in the environment is the default.",
      valueName: "manifest"))
  var paths: [String] = []

  /// Returns the given paths, or the environment's. Without any path, it throws a usage error unless `isOptional`.
  func resolved(in context: CommandContext, isOptional: Bool = false) throws(Failure) -> [String] {
    if paths.contains("") {
      throw Failure(.usage, "the name of a manifest is empty", hint: "is a variable of the calling script unset?")
    }
    if !paths.isEmpty { return paths }
    if let path = context.environment.text(.manifest) { return [path] }
    guard !isOptional else { return [] }
    throw Failure(
      .usage, "no manifest given", hint: "name a manifest file or a directory of manifest files, or set BERTH_MANIFEST")
  }
}

/// The result of reading manifests.
enum ReadManifests<Value> {
  case valid(Value)
  case invalid([Diagnostic])
}

/// Reads manifests; throws if there are none.
func readManifests<Value>(_ read: () throws(ManifestFailure) -> Value) throws(Failure) -> ReadManifests<Value> {
  do throws(ManifestFailure) { return .valid(try read()) } catch {
    switch error {
    case .notFound(let messages):
      let more = messages.count > 20 ? "; and \(messages.count - 20) more" : ""
      throw Failure(.noManifest, messages.prefix(20).joined(separator: "; ") + more)
    case .invalid(let diagnostics): return .invalid(diagnostics)
    }
  }
}

extension BerthCommand {
  /// Reads manifests. Writes all errors in them to standard error.
  func load(_ paths: [String], in context: CommandContext) throws(Failure) -> LoadedManifests {
    let name: String
    do throws(Failure) { name = try hostName(in: context) } catch {
      // Errors in a manifest are reported even if its host is unreachable.
      _ = try valid({ () throws(ManifestFailure) in try validateManifests(paths: paths) }, in: context)
      throw error
    }
    return try load(in: context) { () throws(ManifestFailure) in try loadManifests(paths: paths, hostName: name) }
  }

  /// Reads manifests by `read`. Writes all errors and warnings in them to standard error.
  func load(
    in context: CommandContext, _ read: () throws(ManifestFailure) -> LoadedManifests
  ) throws(Failure) -> LoadedManifests {
    let loaded = try valid(read, in: context)
    report(loaded.warnings, in: context)
    if global.verbose { report(loaded.skipped, in: context) }
    return loaded
  }

  func valid<Value>(
    _ read: () throws(ManifestFailure) -> Value, in context: CommandContext
  ) throws(Failure) -> Value {
    switch try readManifests(read) {
    case .valid(let value): return value
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "\(diagnostics.errors) in the manifest; nothing was touched")
    }
  }

  /// Writes the diagnostics of the manifest's reader.
  func report(_ diagnostics: [Diagnostic], in context: CommandContext) {
    for diagnostic in diagnostics { context.standardError("\(diagnostic.text)\n") }
  }
}

extension [Diagnostic] {
  /// The number of errors for people, with those for which one stands: `2 errors`.
  var errors: String { Words.count(reduce(0) { $0 + ($1.severity == .error ? $1.count : 0) }, "error") }
}
