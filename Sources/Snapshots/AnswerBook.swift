import Model
import Ports
import Synchronization
import XenProtocol

/// The answers of one host while they are recorded, or while they are played.
///
/// The first answer to a request counts, and the request is not made again: a recording is what one look saw, even if
/// the host changes meanwhile. The ports of a recording and of a snapshot are the same, so neither can answer otherwise.
final class AnswerBook: Sendable {
  private let answers: Mutex<Answers>
  /// The devices of the host's list, as it was at the start; nil if there was none.
  let listed: Set<PCIAddress>?

  init(_ answers: Answers = Answers()) {
    self.answers = Mutex(answers)
    if case .answer(let functions)? = answers.inventory.names {
      listed = Set(functions.compactMap(\.address))
    } else {
      listed = nil
    }
  }

  var all: Answers { answers.withLock { $0 } }

  /// Returns the recorded answer, or asks and records. Without a port, throws `missing` for a request that nobody made.
  func answer<Port, Value>(
    _ place: any WritableKeyPath<Answers, Recorded<Value>?> & Sendable, or missing: @autoclosure () -> HostError,
    _ port: Port?, _ ask: (Port) throws(HostError) -> Value
  ) throws(HostError) -> Value {
    if let known = answers.withLock({ $0[keyPath: place] }) { return try known.get() }
    guard let port else { throw missing() }
    return try keep(Recorded { () throws(HostError) in try ask(port) }, at: place).get()
  }

  /// Returns the recorded answer. Throws `missing` for a request that nobody made.
  func answer<Value>(
    _ place: any WritableKeyPath<Answers, Recorded<Value>?> & Sendable, or missing: @autoclosure () -> HostError
  ) throws(HostError) -> Value {
    guard let known = answers.withLock({ $0[keyPath: place] }) else { throw missing() }
    return try known.get()
  }

  /// Returns an answer that cannot fail; nil for a request that nobody made.
  func answer<Port, Value: Sendable>(
    _ place: any WritableKeyPath<Answers, Value?> & Sendable, _ port: Port?, _ ask: (Port) -> Value
  ) -> Value? {
    if let known = answers.withLock({ $0[keyPath: place] }) { return known }
    guard let port else { return nil }
    let new = ask(port)
    return answers.withLock { all in
      if all[keyPath: place] == nil { all[keyPath: place] = new }
      return all[keyPath: place]
    }
  }

  private func keep<Value>(
    _ new: Recorded<Value>, at place: any WritableKeyPath<Answers, Recorded<Value>?> & Sendable
  ) -> Recorded<Value> {
    answers.withLock { all in
      let known = all[keyPath: place]
      if known == nil { all[keyPath: place] = new }
      return known ?? new
    }
  }

  // MARK: xenstore

  /// Returns the recorded value of a node, or reads it.
  func value(_ path: StorePath, _ store: (any StorePort)?) throws(HostError) -> String? {
    let (value, failure) = answers.withLock { ($0.store.values[path.text], $0.store.failedReads[path.text]) }
    if let value { return value }
    if let failure { throw failure }
    guard let store else { throw .store(unanswered("read", path)) }
    let new: String?
    do throws(HostError) { new = try store.read(path) } catch {
      answers.withLock { $0.store.failedReads[path.text] = error }
      throw error
    }
    note(path, value: new)
    return new
  }

  /// Returns the recorded names of a node's children, or reads them.
  func names(_ path: StorePath, _ store: (any StorePort)?) throws(HostError) -> [String]? {
    let (names, failure) = answers.withLock { ($0.store.lists[path.text], $0.store.failedLists[path.text]) }
    if let names { return names }
    if let failure { throw failure }
    guard let store else { throw .store(unanswered("list", path)) }
    let new: [String]?
    do throws(HostError) { new = try store.list(path) } catch {
      answers.withLock { $0.store.failedLists[path.text] = error }
      throw error
    }
    note(path, names: new)
    return new
  }

  /// Replaces what was recorded of a node: a transaction read it together with others.
  func note(_ path: StorePath, value: String?) {
    answers.withLock { $0.store.values[path.text] = .some(value) }
  }

  func note(_ path: StorePath, names: [String]?) {
    answers.withLock { $0.store.lists[path.text] = .some(names) }
  }
}

/// Returns the failure of a request that nobody made when the snapshot was taken.
func unanswered<Code: PortCode>(_ operation: String, _ place: (some CustomStringConvertible)?) -> PortError<Code> {
  PortError(
    Code(errno: 0), operation: operation + " from the snapshot", place: place?.description,
    detail: "it has no such answer")
}

func unanswered<Code: PortCode>(_ operation: String) -> PortError<Code> { unanswered(operation, String?.none) }

/// Returns the failure of each change: a snapshot is no host.
func refusal(of operation: String) -> HostError { .record(refusedChange(of: operation)) }

func refusedChange(of operation: String) -> RecordError {
  RecordError(.notPermitted, operation: operation, place: "a snapshot", detail: "a snapshot cannot be changed")
}
