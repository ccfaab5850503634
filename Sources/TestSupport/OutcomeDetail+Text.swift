package import Planning
package import Ports

extension OutcomeDetail {
  /// Returns the words, with each failure as Swift prints it: for messages of tests, which know no Rendering.
  package var plain: String {
    parts.map { part in
      switch part {
      case .text(let text): text
      case .failure(let error): "\(error)"
      }
    }.joined()
  }

  /// The failures of ports in it, in order.
  package var failures: [HostError] {
    parts.compactMap { if case .failure(let error) = $0 { error } else { nil } }
  }

  package func contains(_ words: String) -> Bool { plain.contains(words) }
}
