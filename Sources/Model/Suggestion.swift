/// Returns the candidate closest to the word, within the distance of a typing error. If several are equally close, it
/// returns the first.
///
/// It compares the first 64 characters of the first 1000 candidates, so that a hostile text causes a bounded amount of
/// work.
package func closest(to word: String, among candidates: some Sequence<String>) -> String? {
  let typed = beginning(of: word)
  let reach = max(1, typed.count / 3)
  var best: (distance: Int, candidate: String)?
  for candidate in candidates.prefix(1000) where Name(candidate) != Name(word) {
    // Unicode lets the two look the same.
    if candidate == word { return candidate }
    let other = beginning(of: candidate)
    // `own` for `owned` is further away than a typing error, but as clear.
    if typed.count >= 3, other.starts(with: typed), best == nil { best = (reach, candidate) }
    guard abs(other.count - typed.count) <= reach else { continue }
    let distance = editDistance(typed, other)
    if distance <= reach, distance < best?.distance ?? Int.max { best = (distance, candidate) }
  }
  return best?.candidate
}

/// Returns the first characters of a word, in lower case.
private func beginning(of word: String) -> [Unicode.Scalar] {
  Array(String(String.UnicodeScalarView(word.unicodeScalars.prefix(64))).lowercased().unicodeScalars.prefix(64))
}

/// Returns how many letters must be added, dropped, changed or swapped with their neighbour.
private func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
  var before: [Int] = []
  var previous = Array(0...right.count)
  for (row, letter) in left.enumerated() {
    var current = [row + 1]
    current.reserveCapacity(right.count + 1)
    for (column, other) in right.enumerated() {
      var cost = min(previous[column] + (letter == other ? 0 : 1), previous[column + 1] + 1, current[column] + 1)
      if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
        cost = min(cost, before[column - 1] + 1)
      }
      current.append(cost)
    }
    before = previous
    previous = current
  }
  return previous[right.count]
}

/// Returns whether two words differ only in their digits, as `lan1` and `lan2` do. Such words are more often names of two
/// things than one name and its misspelling.
package func differsInDigitsOnly(_ left: String, _ right: String) -> Bool {
  func letters(_ word: String) -> some Sequence<UInt8> {
    word.lowercased().utf8.lazy.filter { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
  return Name(left) != Name(right) && letters(left).elementsEqual(letters(right))
}
