import Model
package import Ports

extension DamagedFile {
  /// What was found, for people: the path, and what is wrong with the file.
  package var evidence: String {
    if let detail = error.detail { return "\(path) \(detail)" }
    if error.code == .damaged { return "\(path) was not written by Berth, or is damaged" }
    return "\(path) cannot be read: \(ErrorNumber.text(of: error.errno))"
  }

  /// What a person can do about the file.
  package var remedy: String {
    switch kind {
    case .record:
      "look at the file; if you move it away, its domain's devices count as foreign until they are adopted again"
    case .intent: "look at the file; if you move it away, compare the stores with `berth status --drift`"
    case .runLock: "look at the file; if no run of Berth is at work, move it away"
    case .preparation: "look at the file; if you move it away, Berth no longer knows the device's driver"
    }
  }

  /// What is wrong, and what it stops, for people.
  package var warning: String { "\(evidence); \(effect)" }

  /// What the file stops, for people.
  package var effect: String {
    switch concern {
    case .uuid(let uuid): "nothing is changed in the domain \(uuid)"
    case .domain(let key): "nothing is changed in domain \(key.id)"
    case .number(let id): "nothing is changed in domain \(id)"
    case .device(let device): "\(device) is neither taken from a driver nor returned to one"
    case .nothing: "it is not read"
    case .everything: "nothing is changed in any domain, because no name tells which one it concerns"
    }
  }
}
