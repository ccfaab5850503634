import Model

/// Letters, digits and a few signs stand as they are, all else as the number of the character: `#34;`.
///
/// Mermaid looks for more than the end of the quotes: for tags, `%%{` (`directiveRegex`, packages/mermaid/src/diagram-api/
/// regexes.ts, 11.6) and rules of styles, where it drops a semicolon (`encodeEntities`, src/utils.ts). The block of code
/// around a diagram ends at three backquotes.
///
/// Then it turns the numbers into characters, and reads the label as Markdown and for icons (`createText`,
/// src/rendering-util/createText.ts). So a sign that would count there is shown as its number: `\u{2a}`.
enum MermaidLabel: Escape {
  private static let rules = ["style", "classDef"]

  static func escaped(_ outside: String) -> String {
    let text = Array(outside.unicodeScalars)
    var result = ""
    for (index, scalar) in text.enumerated() {
      let isRule = rules.contains { text[index...].starts(with: $0.unicodeScalars) }
      switch scalar {
      case _ where isObeyed(text, index): result += "#92;u#123;\(hex(UInt64(scalar.value), 2))#125;"
      case _ where isRule: result += "#\(scalar.value);"
      case "0"..."9", "a"..."z", "A"..."Z", " ", ".", ",", ":", "-", "_", "/", "+", "·", "…":
        result.unicodeScalars.append(scalar)
      case _ where scalar.value >= 0x80 && scalar.properties.isAlphabetic: result.unicodeScalars.append(scalar)
      default: result += "#\(scalar.value);"
      }
    }
    return result
  }

  /// Returns whether a character is a sign in the Markdown of a label (CommonMark 0.31, and the links of GitHub's), or a
  /// part of an icon's name.
  private static func isObeyed(_ text: [Unicode.Scalar], _ index: Int) -> Bool {
    let next = index + 1 < text.count ? text[index + 1] : " "
    switch text[index] {
    case "*", "`", "~", "$", "[", "@": return true
    case "_": return index == 0 || !isWord(text[index - 1]) || !isWord(next)
    case "\\": return next.isASCII && next != " " && !isWord(next)
    case ":": return text[(index + 1)...].starts(with: "fa-".unicodeScalars) || next == "/"
    case "-", "+", ">", "#", "=": return index == 0
    case ".", ")":
      let isLink = text[..<index].suffix(3).map { $0.properties.lowercaseMapping } == ["w", "w", "w"]
      let isList = index > 0 && text[..<index].allSatisfy { ("0"..."9").contains($0) } && next == " "
      return isLink || isList
    default: return false
    }
  }

  private static func isWord(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
  }
}
