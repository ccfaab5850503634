import ArgumentParser
import Manifest
import Model
import Planning
import Ports
import Rendering

/// `berth fmt`: writes manifests in one style.
struct FormatCommand: BerthCommand {
  static let configuration = CommandConfiguration(
    commandName: "fmt",
    abstract: "Write manifests in one style: indentation, blanks, empty lines. Comments and values stay.",
    discussion: """
      A directory stands for its manifests. `-` reads standard input and writes standard output. Lines are neither joined \
      nor divided, and the text of each value stays as it is written. A file is left alone if its values or comments \
      would not stay the same.
      With --check nothing is written, and the exit status is 2 if a file would change.
      """)

  @OptionGroup var manifests: ManifestOptions
  @OptionGroup var global: GlobalOptions

  @Flag(help: "Write nothing; name the files that would change. The exit status is 2 if there are any.")
  var check = false

  @Flag(help: "Also show what changes, as diff -u does.")
  var diff = false

  var formats: [OutputFormat] { [.table] }

  func run(in context: CommandContext) throws(Failure) -> ExitStatus {
    let paths = try manifests.resolved(in: context)
    guard !paths.contains("-") || paths.count == 1 else {
      throw Failure(.usage, "standard input is formatted alone", hint: "name only -, or only files")
    }
    let texts: [ManifestText]
    switch try readManifests({ () throws(ManifestFailure) in try readManifestTexts(paths: paths) }) {
    case .valid(let read):
      report(read.warnings, in: context)
      texts = read.texts
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "nothing was formatted")
    }
    if paths == ["-"], let text = texts.first { return try filter(text, in: context) }
    var counts = FormatCounts(files: texts.count)
    for (order, text) in texts.enumerated() {
      guard let new = style(text, order: order, in: context) else {
        counts.refused += 1
        continue
      }
      guard new != text.bytes else { continue }
      if check {
        counts.changed += 1
        context.standardOutput("\(global.style(in: context).printable("would change: \(text.name)"))\n")
      } else if try write(new, to: text, in: context) {
        counts.changed += 1
        context.standardOutput("\(global.style(in: context).printable("formatted: \(text.name)"))\n")
      } else {
        counts.unwritten += 1
      }
      if diff { show(text, new, in: context) }
    }
    return try end(counts, in: context)
  }
}

/// What became of the files that were to be formatted.
private struct FormatCounts {
  let files: Int
  var changed = 0
  /// Those whose text is not formatted.
  var refused = 0
  /// Those that are no files that can be replaced, or that changed meanwhile.
  var unwritten = 0
}

extension FormatCommand {
  /// Formats standard input. If there is an error, standard output stays empty.
  private func filter(_ text: ManifestText, in context: CommandContext) throws(Failure) -> ExitStatus {
    guard let new = style(text, order: 0, in: context) else {
      throw Failure(.invalidManifest, "standard input was not formatted")
    }
    if diff { show(text, new, in: context) }
    if check { return new == text.bytes ? .done : .changesPending }
    guard !diff else { return .done }
    let whole = String(decoding: new, as: UTF8.self)
    if context.isOutputTerminal {
      for line in whole.split(separator: "\n", omittingEmptySubsequences: false).dropLast(whole.hasSuffix("\n") ? 1 : 0)
      {
        context.standardOutput("\(line)\n")
      }
    } else {
      // A program gets the text as it is: the reader has refused control characters.
      context.standardOutput(TerminalText(own: whole))
    }
    return .done
  }

  /// Returns the text in the one style; nil if it is refused, which is reported.
  private func style(_ text: ManifestText, order: Int, in context: CommandContext) -> [UInt8]? {
    let diagnostics = Diagnostics()
    let result = formatted(
      SourceText(name: text.name, bytes: text.bytes, order: order), report: diagnostics)
    report(diagnostics.sorted, in: context)
    return result
  }

  private func show(_ text: ManifestText, _ new: [UInt8], in context: CommandContext) {
    context.standardOutput(
      UnifiedDiff(path: text.name, from: text.bytes, to: new).text(global.style(in: context)))
  }

  /// Replaces a file; returns false if it is left alone, which is said.
  private func write(_ new: [UInt8], to text: ManifestText, in context: CommandContext) throws(Failure) -> Bool {
    let obstacle = try asking(context) { () throws(HostError) in try context.rewriteFile(text.name, text.bytes, new) }
    guard let obstacle else { return true }
    _ = warn(
      "\(text.name) was left alone: it \(obstacle)", next: "berth fmt - < FILE prints its text in the one style",
      in: context)
    return false
  }

  private func end(_ counts: FormatCounts, in context: CommandContext) throws(Failure) -> ExitStatus {
    let files = Words.count(counts.files, "manifest")
    let changed = check ? "\(counts.changed) would change" : "\(counts.changed) formatted"
    context.standardOutput("\(files), \(changed)\n")
    if counts.refused > 0 {
      throw Failure(.invalidManifest, "\(Words.count(counts.refused, "manifest")) could not be formatted")
    }
    if counts.unwritten > 0 {
      throw Failure(.failed, "\(Words.count(counts.unwritten, "manifest")) could not be written")
    }
    return check && counts.changed > 0 ? .changesPending : .done
  }
}
