import Model
import Planning
import Ports
import Rendering

extension BerthCommand {
  /// Writes a warning to standard error for each of Berth's own files that cannot be used, and returns the warnings.
  func warn(of damaged: [DamagedFile], in context: CommandContext) -> [String] {
    let style = global.errorStyle(in: context)
    for file in damaged {
      context.standardError(
        "berth: warning: \(style.printable(file.warning))\n  \(style.printable("next: " + file.remedy))\n")
    }
    return damaged.map(\.warning)
  }
}
