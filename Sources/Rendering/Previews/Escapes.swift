import Model

/// Text in HTML and in XML.
typealias MarkupText = EscapedText<Markup>
/// Text of a page in Markdown, as GitHub and GitLab read it.
typealias MarkdownText = EscapedText<MarkdownProse>
/// A line of a block of code in Markdown.
typealias BlockLine = EscapedText<MarkdownBlock>
/// The lines that GitHub's runner reads on standard output.
typealias WorkflowText = EscapedText<WorkflowData>
/// A message of a SARIF log.
typealias SARIFText = EscapedText<SARIFMessage>
/// A label between double quotes in a diagram of Mermaid.
typealias MermaidText = EscapedText<MermaidLabel>
/// A value of a JSON document, which the encoder escapes.
typealias ValueText = EscapedText<JSONValueText>

enum Markup: Escape {
  static func escaped(_ outside: String) -> String {
    guard outside.utf8.contains(where: { [38, 60, 62, 34, 39].contains($0) }) else { return outside }
    var result = ""
    for scalar in outside.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Words stand as they are, and all else stands as code.
///
/// In code, neither GitHub nor GitLab looks for tags, links, names of users, and numbers of issues. A backslash before a
/// sign does not stop these searches, because they come after Markdown. What stands between two backquotes already is
/// a command, and stays code.
enum MarkdownProse: Escape {
  static func escaped(_ outside: String) -> String {
    let parts = outside.split(separator: "`", omittingEmptySubsequences: false)
    // A single backquote, or one beside another, encloses no command: it is a part of a name.
    guard parts.count % 2 == 1, !outside.contains("``") else { return code(outside) }
    var pieces = Pieces()
    for (index, part) in parts.enumerated() {
      if index % 2 == 1 { pieces.addCode(part) } else { pieces.add(part) }
    }
    return pieces.finished()
  }

  /// Returns a text as code, between more backquotes than follow each other in it (CommonMark 0.31, "Code spans").
  static func code(_ text: String) -> String {
    if text.isEmpty { return "" }
    var (longest, run) = (0, 0)
    for byte in text.utf8 {
      run = byte == UInt8(ascii: "`") ? run + 1 : 0
      longest = max(longest, run)
    }
    let fence = String(repeating: "`", count: longest + 1)
    // A blank at both ends is not part of the code, unless the code is all blanks.
    let needsBlanks =
      text.hasPrefix("`") || text.hasSuffix("`")
      || text.hasPrefix(" ") && text.hasSuffix(" ") && text.contains { $0 != " " }
    let blank = needsBlanks ? " " : ""
    return fence + blank + text + blank + fence
  }

  /// The pieces of a sentence: words, blanks, and code. Code that touches code is one piece.
  private struct Pieces {
    private var text = ""
    /// Code that what follows may add to.
    private var pending = ""

    mutating func addCode(_ part: Substring) { pending += part }

    mutating func finished() -> String {
      flush()
      return text
    }

    mutating func add(_ part: Substring) {
      var words = part.split(separator: " ", omittingEmptySubsequences: false)[...]
      var isFirst = true
      while let word = words.popFirst() {
        if !isFirst { addBlank(before: words.isEmpty && word.isEmpty ? nil : word) }
        isFirst = false
        if word.isEmpty { continue }
        if isPlain(word) {
          flush()
          text += word
        } else {
          addWord(word)
        }
      }
    }

    /// Adds a word as code, without the signs of a sentence around it.
    private mutating func addWord(_ word: Substring) {
      let head = word.prefix { "('".contains($0) }
      let rest = word.dropFirst(head.count)
      let core = rest.dropLast(rest.reversed().prefix { ",.;:?)'".contains($0) }.count)
      if core.isEmpty {
        pending += word
        return
      }
      if !head.isEmpty {
        flush()
        text += head
      }
      pending += core
      if core.endIndex < rest.endIndex {
        flush()
        text += rest[core.endIndex...]
      }
    }

    /// Adds a blank. Between two words of code it is code, too.
    private mutating func addBlank(before word: Substring?) {
      if !pending.isEmpty, let word, !word.isEmpty, !isPlain(word) {
        pending += " "
      } else {
        flush()
        text += " "
      }
    }

    private mutating func flush() {
      if !pending.isEmpty { text += code(pending) }
      pending = ""
    }

    /// Returns whether no program sees more in a word than letters: a word of letters, or a short number, with the signs
    /// of a sentence around it.
    private func isPlain(_ word: Substring) -> Bool {
      if word.unicodeScalars.count == 1, let sign = word.unicodeScalars.first, "→·…≠–()".unicodeScalars.contains(sign) {
        return true
      }
      var core = word.unicodeScalars[...]
      while let first = core.first, "('".unicodeScalars.contains(first) { core.removeFirst() }
      while let last = core.last, ",.;:?)'".unicodeScalars.contains(last) { core.removeLast() }
      if core.isEmpty { return word.allSatisfy { ",.;:?)".contains($0) } && word.count == 1 }
      if core.allSatisfy({ ("0"..."9").contains($0) }) { return core.count <= 6 }
      // A name of a commit has seven digits and more.
      let isCommit = core.count >= 7 && core.allSatisfy { ("a"..."f").contains($0) }
      return !isCommit
        && core.split(separator: "-", omittingEmptySubsequences: false).allSatisfy { part in
          !part.isEmpty && part.allSatisfy(\.properties.isAlphabetic)
        }
    }
  }
}

/// A line between the fences of a block. Three backquotes in a row do not occur in it.
enum MarkdownBlock: Escape {
  static func escaped(_ outside: String) -> String { outside.replacing("```", with: "``\\u{60}") }
}

/// A value without blanks, which can end no comment: letters and digits stand as they are, all else as in an address of
/// the web.
enum PlainWord {
  static func escaped(_ outside: String) -> String {
    var result = ""
    for byte in outside.utf8 {
      let scalar = Unicode.Scalar(byte)
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", ".", "_", ":": result.unicodeScalars.append(scalar)
      case "-" where !result.hasSuffix("-"): result += "-"
      default: result += "%" + hex(UInt64(byte), 2).uppercased()
      }
    }
    return result.hasSuffix("-") ? result.dropLast() + "%2D" : result
  }
}

/// The text of a command of GitHub's runner (actions/runner `src/Runner.Common/ActionCommand.cs`, v2.311:
/// `_escapeDataMappings`).
enum WorkflowData: Escape {
  static func escaped(_ outside: String) -> String { outside.replacing("%", with: "%25") }
}

/// A property of such a command (the same file: `_escapeMappings`).
enum WorkflowProperty {
  static func escaped(_ outside: String) -> String {
    WorkflowData.escaped(outside).replacing(":", with: "%3A").replacing(",", with: "%2C")
  }
}

/// A message whose brackets make no link (SARIF 2.1.0, section 3.11.6).
enum SARIFMessage: Escape {
  static func escaped(_ outside: String) -> String {
    outside.replacing("\\", with: "\\\\").replacing("[", with: "\\[").replacing("]", with: "\\]")
  }
}

/// The encoder of JSON escapes such a text.
enum JSONValueText: Escape {
  static func escaped(_ outside: String) -> String { outside }
}
