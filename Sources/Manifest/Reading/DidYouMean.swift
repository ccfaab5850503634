import Model

/// Returns "did you mean 'devices'?" if one of the candidates is close to a word; otherwise nil.
package func didYouMean(_ word: String, among candidates: some Sequence<String>) -> String? {
  closest(to: word, among: candidates).map { "did you mean \(quoted($0))?" }
}
