/// A usual slip behind a syntax error of libyaml's. libyaml stops where it cannot go on, which is often a line too late.
struct Slip {
  let message: String
  let mark: SourceMark
  let hint: String?

  /// Recognises a slip; nil if there is no more to say than libyaml does.
  ///
  /// - Parameters:
  ///   - mark: where libyaml stopped.
  ///   - context: where the value begins in which it stopped.
  init?(_ problem: String, at mark: SourceMark, context: SourceMark) {
    let line = Self.text(of: mark)
    if let template = ["{%", "{{", "{#", "<%", "${"].first(where: line.hasPrefix) {
      self.init("'\(template)' begins a part of a template that no tool has filled in", mark, Template.hint)
      return
    }
    if problem == "did not find expected <document start>" {
      self.init("a second document begins here", mark, "put a line '---' between documents, also between lines of JSON")
      return
    }
    guard problem == "could not find expected ':'" else { return nil }
    let key = context.source.text(from: context, atMost: 256)
    if key.hasPrefix("-"), let next = key.dropFirst().first, next != " ", next != "-" {
      self.init("a space is missing after '-'", context, "write '- \(key.dropFirst().prefix(40))'")
    } else if let colon = key.firstIndex(of: ":"), key[..<colon].allSatisfy({ $0.isLetter }),
      let next = key[key.index(after: colon)...].first, next != " "
    {
      self.init(
        "a space is missing after ':'", context, "write '\(key[...colon]) \(key[colon...].dropFirst().prefix(40))'")
    } else {
      return nil
    }
  }

  private init(_ message: String, _ mark: SourceMark, _ hint: String?) {
    (self.message, self.mark, self.hint) = (message, mark, hint)
  }

  /// Returns the text of a line without its indentation.
  private static func text(of mark: SourceMark) -> Substring {
    String(decoding: mark.source.line(mark.line).prefix(256), as: UTF8.self).drop { $0 == " " || $0 == "\t" }
  }
}
