package import Ports

/// What a port answered to one request: a value, or its failure.
package enum Recorded<Value: Codable & Hashable & Sendable>: Hashable, Sendable {
  case answer(Value)
  case failure(HostError)

  package init(_ body: () throws(HostError) -> Value) {
    do throws(HostError) { self = .answer(try body()) } catch { self = .failure(error) }
  }

  /// Returns the value. Throws the failure.
  package func get() throws(HostError) -> Value {
    switch self {
    case .answer(let value): return value
    case .failure(let error): throw error
    }
  }
}

extension Recorded: Codable {
  private enum Key: String, CodingKey { case answer, failure }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    if values.contains(.failure) {
      self = .failure(try values.decode(HostError.self, forKey: .failure))
    } else {
      self = .answer(try values.decode(Value.self, forKey: .answer))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    switch self {
    case .answer(let value): try values.encode(value, forKey: .answer)
    case .failure(let error): try values.encode(error, forKey: .failure)
    }
  }
}
