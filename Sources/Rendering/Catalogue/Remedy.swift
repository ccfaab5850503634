package import Model
package import Planning

/// What a person can do about something: words, with commands among them as data.
///
/// A string literal makes one: `"\(.command("xl unpause", .domain)), then run again"`.
package struct Remedy: Hashable, Sendable {
  /// What stands for the device or the domain that the remedy is given for.
  package enum Subject: Hashable, Sendable {
    case address
    case domain
  }

  package enum Part: Hashable, Sendable {
    case text(String)
    /// A command for a shell: its fixed words, and what follows them.
    case commandLine(String, [Subject])
    /// The device or the domain, among words.
    case subject(Subject)

    /// Returns a command that a person can paste into a shell.
    package static func command(_ words: String, _ subjects: Subject...) -> Part { .commandLine(words, subjects) }
    package static let domain = Part.subject(.domain)
  }

  package private(set) var parts: [Part]

  /// Returns the text for a device in a domain, if they are known.
  ///
  /// A domain's name is quoted for the shell in commands. `ADDRESS` and `DOMAIN` stand for what is not known there.
  package func text(device: PCIAddress? = nil, in domain: Holder? = nil) -> String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .subject(let subject): Self.words(for: subject, device, domain)
      case .commandLine(let command, let subjects):
        "`" + ([command] + subjects.map { Self.argument(for: $0, device, domain) }).joined(separator: " ") + "`"
      }
    }.joined()
  }

  private static func words(for subject: Subject, _ device: PCIAddress?, _ domain: Holder?) -> String {
    switch subject {
    case .address: device?.description ?? "the device"
    case .domain: domain.map(Words.holder) ?? "the domain"
    }
  }

  private static func argument(for subject: Subject, _ device: PCIAddress?, _ domain: Holder?) -> String {
    switch subject {
    case .address: device?.description ?? "ADDRESS"
    case .domain: domain?.argument ?? "DOMAIN"
    }
  }

  package static func + (first: Remedy, second: Remedy) -> Remedy {
    var sum = first
    sum.parts += second.parts
    return sum
  }
}

extension Remedy: ExpressibleByStringInterpolation {
  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var parts: [Part] = []

    package init(literalCapacity: Int, interpolationCount: Int) {}

    package mutating func appendLiteral(_ literal: String) {
      if !literal.isEmpty { parts.append(.text(literal)) }
    }

    package mutating func appendInterpolation(_ part: Part) { parts.append(part) }
  }

  package init(stringLiteral value: String) { parts = [.text(value)] }
  package init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }
}
