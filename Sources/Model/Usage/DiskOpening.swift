/// Whether somebody holds a block device, by an attempt to open it exclusively.
package struct DiskOpening: Hashable, Sendable {
  package enum Answer: Hashable, Sendable {
    case free
    /// Somebody in the kernel, or a program, has opened it exclusively: as a file system, a member, an export.
    case held
    case failed(ReadFailure)
  }

  /// The name of the block device.
  package let disk: String
  package let answer: Answer
  package init(disk: String, answer: Answer) { (self.disk, self.answer) = (disk, answer) }
}

extension DiskOpening.Answer: Codable {
  private enum Word: String, Codable { case free, held, failed }
  private enum Key: String, CodingKey { case answer, failure }

  package init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: Key.self)
    switch try values.decode(Word.self, forKey: .answer) {
    case .free: self = .free
    case .held: self = .held
    case .failed: self = .failed(try values.decode(ReadFailure.self, forKey: .failure))
    }
  }

  package func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: Key.self)
    switch self {
    case .free: try values.encode(Word.free, forKey: .answer)
    case .held: try values.encode(Word.held, forKey: .answer)
    case .failed(let failure):
      try values.encode(Word.failed, forKey: .answer)
      try values.encode(failure, forKey: .failure)
    }
  }
}
