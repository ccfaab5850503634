package import Ports

/// The text of an outcome for people: words, and failures of ports between them.
///
/// A string literal makes one. Each interpolated `HostError` stays a value, because only Rendering has words for
/// failures.
package struct OutcomeDetail: Hashable, Sendable {
  package enum Part: Hashable, Sendable {
    case text(String)
    case failure(HostError)
  }
  /// The parts, in the order in which Rendering prints them.
  package private(set) var parts: [Part]

  /// Returns a detail that is one failure of a port, without other words.
  package init(_ failure: HostError) { parts = [.failure(failure)] }

  package static func + (first: OutcomeDetail, second: OutcomeDetail) -> OutcomeDetail { "\(first)\(second)" }
}

extension OutcomeDetail: ExpressibleByStringInterpolation {
  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var parts: [Part] = []

    package init(literalCapacity: Int, interpolationCount: Int) {}

    package mutating func appendLiteral(_ literal: String) {
      guard !literal.isEmpty else { return }
      if case .text(let text)? = parts.last {
        parts[parts.count - 1] = .text(text + literal)
      } else {
        parts.append(.text(literal))
      }
    }

    package mutating func appendInterpolation(_ value: some CustomStringConvertible) {
      appendLiteral(value.description)
    }

    package mutating func appendInterpolation(_ failure: HostError) { parts.append(.failure(failure)) }

    package mutating func appendInterpolation(_ detail: OutcomeDetail) {
      for part in detail.parts {
        switch part {
        case .text(let text): appendLiteral(text)
        case .failure: parts.append(part)
        }
      }
    }
  }

  package init(stringLiteral value: String) { parts = value.isEmpty ? [] : [.text(value)] }
  package init(stringInterpolation: StringInterpolation) { parts = stringInterpolation.parts }
}
