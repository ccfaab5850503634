import Model
import Planning

/// Writes a manifest line by line.
///
/// Texts from outside stand in double quotes or in comments: no name can end its quotes or begin a line.
struct ManifestText {
  private let style: TextStyle
  private(set) var text: TerminalText = ""

  init(style: TextStyle) { self.style = style }

  /// Adds a line. Lines at and behind a column `sign` are comments: without the sign and the blank behind it, they are
  /// lines of the manifest again.
  mutating func line(_ indent: Int, _ content: TerminalText, sign: Int? = nil) {
    text += "\(Self.margin(indent, sign))\(content)\n"
  }

  /// Adds a comment, broken into lines.
  mutating func comment(_ indent: Int, _ words: String, sign: Int? = nil) {
    for line in Words.lines(words, indent: indent + 2, first: indent + 2) {
      text += "\(Self.margin(indent, sign))# \(style.printable(line))\n"
    }
  }

  private static func margin(_ indent: Int, _ sign: Int?) -> TerminalText {
    sign.map { "\(.blanks($0))# \(.blanks(indent - $0))" } ?? .blanks(indent)
  }

  /// Returns a text in double quotes, as YAML 1.2 reads it (section 7.3.1). A character that a reader does not see stands
  /// as its number, and so does one that the locale cannot show.
  func quoted(_ outside: String) -> TerminalText {
    var quoted = "\""
    for scalar in outside.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where scalar.isVisible && scalar != "#" && (scalar.isASCII || !style.isASCII):
        quoted.unicodeScalars.append(scalar)
      case _ where scalar.value <= 0xFF: quoted += "\\x" + hex(UInt64(scalar.value), 2)
      case _ where scalar.value <= 0xFFFF: quoted += "\\u" + hex(UInt64(scalar.value), 4)
      default: quoted += "\\U" + hex(UInt64(scalar.value), 8)
      }
    }
    return TerminalText(quoted + "\"")
  }

  /// Returns the keys that say which device is meant: `{address: "0000:03:00.0", id: "8086:1533"}`.
  func mapping(of selector: DeviceSelector, _ options: DeviceOptions = DeviceOptions()) -> TerminalText {
    var keys = selector.keys.compactMap { key -> TerminalText? in
      selector.value(of: key).map { "\(key.rawValue): \(quoted($0))" }
    }
    if selector.takesAllFunctions { keys.append("functions: all") }
    return "{\((keys + Self.texts(of: options)).joined(", "))}"
  }

  /// Returns an entry of a domain's list: the name alone, or with options.
  func entry(_ label: String, _ options: DeviceOptions) -> TerminalText {
    let options = Self.texts(of: options)
    return options.isEmpty ? "\(label)" : "{device: \(label), \(options.joined(", "))}"
  }

  /// Returns the options that are not libxl's defaults, as a manifest spells them.
  private static func texts(of options: DeviceOptions) -> [TerminalText] {
    options.unusual.map { option in
      switch option.value {
      case .flag(let isSet): "\(option.name): \(isSet ? "true" : "false")"
      case .word(let word): "\(option.name): \(word)"
      case .slot(let slot): "\(option.name): \(slot.map(String.init) ?? "")"
      }
    }
  }
}
