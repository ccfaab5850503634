import Model
import Planning
import Ports
import Rendering

extension BerthCommand {
  /// Writes a warning to standard error for each of Berth's own files that cannot be used, and returns the warnings.
  func warn(of damaged: [DamagedFile], in context: CommandContext) -> [String] {
    damaged.map { warn($0.warning, next: $0.remedy, in: context) }
  }

  /// Writes a warning to standard error, with what a person can do if that is known, and returns the warning.
  func warn(_ text: String, next remedy: String? = nil, in context: CommandContext) -> String {
    let style = global.errorStyle(in: context)
    let next: TerminalText = if let remedy { "  \(style.printable("next: " + remedy))\n" } else { "" }
    context.standardError("berth: warning: \(style.printable(text))\n\(next)")
    return text
  }
}
