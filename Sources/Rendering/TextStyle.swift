package import Model
import Planning

/// How text is written for people: what the terminal can show and how much is wanted.
package struct TextStyle: Sendable {
  /// Colours repeat what marks and words already say.
  package var usesColor: Bool
  /// Only ASCII: the locale cannot show more.
  package var isASCII: Bool
  /// Also what is as declared, and the proof behind each line.
  package var isVerbose: Bool

  package init(usesColor: Bool = false, isASCII: Bool = false, isVerbose: Bool = false) {
    self.usesColor = usesColor
    self.isASCII = isASCII
    self.isVerbose = isVerbose
  }

  /// The subject of a line, shown by its colour if the terminal has colours.
  enum Tone: String {
    case plain = ""
    case added = "32"
    case removed = "31"
    case changed = "33"
    case refused = "31;1"
    case waiting = "36"
    case quiet = "2"
    case heading = "1"
  }

  /// Returns the text between the terminal's codes for a tone, or only the text if colours are off.
  func paint(_ text: TerminalText, _ tone: Tone) -> TerminalText {
    usesColor && tone != .plain ? "\u{1B}[\(tone.rawValue)m\(text)\u{1B}[0m" : text
  }

  /// Returns a line of words and texts from outside as the terminal can show it: made visible, and in ASCII if the locale
  /// has no more.
  package func printable(_ line: String) -> TerminalText {
    let text = TerminalText(line)
    return isASCII ? text.ascii(Self.plainForms) : text
  }

  /// The replacements of the program's own signs if only ASCII can be shown.
  private static let plainForms: [Unicode.Scalar: String] = [
    "·": "|", "→": "->", "…": ".", "≠": "*", "–": "-", "×": "x", "’": "'", "µ": "u",
  ]
}

/// The sign before a line. Colour only repeats what the sign says.
enum Mark: String {
  case add = "+"
  case remove = "-"
  case change = "~"
  case refuse = "!"
  case wait = "…"
  case differ = "≠"
  case same = "="
  case unsure = "?"
  case none = " "

  var tone: TextStyle.Tone {
    switch self {
    case .add: .added
    case .remove: .removed
    case .change, .differ: .changed
    case .refuse: .refused
    case .wait, .unsure: .waiting
    case .same: .quiet
    case .none: .plain
    }
  }

  init(_ step: DeviceStep.Kind) {
    self =
      switch step {
      case .change(let change, _): Mark(change.kind)
      case .drift: .differ
      case .unchanged, .kept, .foreign: .same
      case .blocked: .refuse
      case .pending: .wait
      }
  }

  init(_ change: ChangeKind) {
    self =
      switch change {
      case .attach: .add
      case .detach: .remove
      case .reattach, .move: .change
      case .repair: .differ
      case .adopt: .same
      }
  }

  init(_ result: StepResult, of action: ChangeKind) {
    self =
      switch result {
      case .done, .unchanged: Mark(action)
      case .failed, .blocked: .refuse
      case .unknown: .unsure
      case .pending, .interrupted: .wait
      }
  }
}

/// Returns a device's name for people from the system's list of ids; nil if the list has none.
package typealias DeviceNaming = @Sendable (DeviceID) -> String?
