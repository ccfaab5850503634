package import Model

/// A file of Berth's own that cannot be used: it is damaged, a later release wrote it, or Berth did not write it.
package struct DamagedFile: Hashable, Sendable, Codable {
  package enum Kind: String, Hashable, Sendable, Codable {
    /// What Berth owns in a domain.
    case record
    /// What a run was about to do.
    case intent
    /// The lock that a run holds. A run that cannot take the lock reports the file itself.
    case runLock
    /// What a device was before Berth took it from its driver.
    case preparation
  }

  /// The domains of which the file may say something, as its name tells.
  package enum Concern: Hashable, Sendable {
    /// The domain with this UUID, whatever its number is.
    case uuid(DomainUUID)
    /// This domain, and none with the same UUID that started later.
    case domain(DomainKey)
    /// The domain with this number.
    case number(DomainID)
    /// This device, whichever domain gets it.
    case device(PCIAddress)
    /// No domain: Berth writes no file of this name.
    case nothing
    /// Any domain: the name does not tell.
    case everything
  }

  package var kind: Kind
  package var concern: Concern
  /// The cause; its place is the file's path.
  package var error: RecordError

  package init(_ kind: Kind, _ concern: Concern, _ error: RecordError) {
    self.kind = kind
    self.concern = concern
    self.error = error
  }

  /// The file's path.
  package var path: String { error.place ?? "a file of Berth's" }

  /// Returns whether the file may say something of this domain.
  package func concerns(_ domain: DomainKey) -> Bool {
    switch concern {
    case .uuid(let uuid): uuid == domain.uuid
    case .domain(let key): key == domain
    case .number(let id): id == domain.id
    case .nothing, .device: false
    case .everything: true
    }
  }
}

/// The files of one kind, as far as they are usable.
package struct OwnFiles<Content: Sendable>: Sendable {
  package var contents: [Content]
  package var damaged: [DamagedFile]

  package init(_ contents: [Content] = [], damaged: [DamagedFile] = []) {
    self.contents = contents
    self.damaged = damaged
  }

  /// Returns the contents. Throws the first damage.
  package func whole() throws(HostError) -> [Content] {
    if let first = damaged.first { throw .record(first.error) }
    return contents
  }

  /// Returns the contents. Throws the first damage that may concern this domain.
  package func contents(for domain: DomainKey) throws(HostError) -> [Content] {
    if let first = damaged.first(where: { $0.concerns(domain) }) { throw .record(first.error) }
    return contents
  }
}

extension DamagedFile.Concern: TextCodable {
  /// Reads `everything`, or `number 5` and its like with what is concerned.
  package init?(text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    switch (words[0], words.count) {
    case ("nothing", 1): self = .nothing
    case ("everything", 1): self = .everything
    case ("uuid", 2):
      guard let uuid = DomainUUID(words[1]) else { return nil }
      self = .uuid(uuid)
    case ("number", 2):
      guard let number = decimal(words[1]) else { return nil }
      self = .number(DomainID(UInt32(number)))
    case ("device", 2):
      guard let device = PCIAddress(words[1]) else { return nil }
      self = .device(device)
    case ("domain", 3):
      guard let number = decimal(words[1]), let uuid = DomainUUID(words[2]) else { return nil }
      self = .domain(DomainKey(id: DomainID(UInt32(number)), uuid: uuid))
    default: return nil
    }
  }

  package var text: String {
    switch self {
    case .nothing: "nothing"
    case .everything: "everything"
    case .uuid(let uuid): "uuid \(uuid)"
    case .number(let number): "number \(number)"
    case .device(let device): "device \(device)"
    case .domain(let key): "domain \(key.id) \(key.uuid)"
    }
  }
}

extension OwnFiles: Equatable where Content: Equatable {}
extension OwnFiles: Hashable where Content: Hashable {}
extension OwnFiles: Codable where Content: Codable {}
