package import Ports

/// What an outcome says of a step or a domain: one sentence of the catalogue, and what was read for it.
///
/// Each `HostError` stays a value, because only Rendering has words for failures.
package struct OutcomeDetail: Hashable, Sendable {
  package enum Part: Hashable, Sendable {
    case text(String)
    case failure(HostError)
  }

  /// What stands for one `{}` of a sentence.
  package indirect enum Value: Hashable, Sendable {
    case text(String)
    case failure(HostError)
    case detail(OutcomeDetail)
  }

  package let sentence: OutcomeSentence
  package let values: [Value]

  /// Returns a sentence with its values, in the order of the words.
  package init(_ sentence: OutcomeSentence, _ values: any OutcomeValue...) {
    self.sentence = sentence
    self.values = values.map(\.outcomeValue)
    assert(values.count == sentence.entry.placeholders, "\(sentence) has other values")
  }

  /// Returns a detail that is one failure of a port, without other words.
  package init(_ failure: HostError) { self.init(.failed, failure) }

  /// The sentence, and those in its values.
  package var sentences: [OutcomeSentence] {
    [sentence]
      + values.flatMap { value -> [OutcomeSentence] in
        if case .detail(let detail) = value { detail.sentences } else { [] }
      }
  }

  /// Whether a request got no answer in time, so that nobody knows whether the request was carried out.
  package var isWithoutAnswer: Bool {
    values.contains { value in
      switch value {
      case .failure(let error): error.isWithoutAnswer
      case .detail(let detail): detail.isWithoutAnswer
      case .text: false
      }
    }
  }

  /// The parts, in the order in which Rendering prints them. No text follows another text.
  package var parts: [Part] {
    var parts: [Part] = []
    func add(_ text: some StringProtocol) {
      guard !text.isEmpty else { return }
      if case .text(let last)? = parts.last {
        parts[parts.count - 1] = .text(last + text)
      } else {
        parts.append(.text(String(text)))
      }
    }
    for (index, words) in sentence.entry.words.split(separator: "{}", omittingEmptySubsequences: false).enumerated() {
      if index > 0, index <= values.count {
        switch values[index - 1] {
        case .text(let text): add(text)
        case .failure(let error): parts.append(.failure(error))
        case .detail(let detail):
          for part in detail.parts {
            if case .text(let text) = part { add(text) } else { parts.append(part) }
          }
        }
      }
      add(words)
    }
    return parts
  }
}

/// What can stand for one `{}` of a sentence.
package protocol OutcomeValue: Sendable {
  var outcomeValue: OutcomeDetail.Value { get }
}

extension String: OutcomeValue {
  package var outcomeValue: OutcomeDetail.Value { .text(self) }
}
extension HostError: OutcomeValue {
  package var outcomeValue: OutcomeDetail.Value { .failure(self) }
}
extension OutcomeDetail: OutcomeValue {
  package var outcomeValue: OutcomeDetail.Value { .detail(self) }
}
