import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

/// A host's folder with one guest's device model, and the requests that tests make there.
struct DeviceModelBench: Sendable {
  let folder: TemporaryFolder
  let models: QMPDeviceModels
  let domain: DomainKey
  let root: String

  /// `below` lengthens the host's path.
  init(below: String = "", driver: String = QMPDeviceModels.passthrough) throws {
    folder = try TemporaryFolder()
    root = folder.path + below
    try folder.makeFolder("\(below.dropFirst())/var/lib/xen")
    try folder.makeFolder("\(below.dropFirst())/var/run/xen")
    models = QMPDeviceModels(root: root, driver: driver)
    let uuid = try #require(DomainUUID("c8c08d9c-e6a9-11f1-9257-71012c31cfaf"))
    domain = DomainKey(id: DomainID(7), uuid: uuid)
  }

  var socket: String { "\(root)/var/run/xen/qmp-libxl-7" }
  var lock: String { "\(root)/var/lib/xen/userdata-l.7.\(domain.uuid).qmp-socket-lock" }
  /// The content of the locks' folder. It is empty unless a lock is held.
  var locks: [String] {
    get throws { try folder.names(in: String(root.dropFirst(folder.path.count)) + "/var/lib/xen") }
  }

  typealias Talk<Value> =
    @Sendable (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Value

  /// Returns the result of a conversation on its own thread.
  func talk<Value: Sendable>(
    within limit: Duration = .seconds(30), _ body: @escaping Talk<Value>
  ) async throws -> Result<Value, DeviceModelError> {
    // The closure does not capture the folder: the thread may release its captured values only just before the program
    // ends.
    try await onThread { [models, domain] in try Self.talk(with: models, of: domain, within: limit, body) }
  }

  /// Returns the result of a conversation on the caller's thread.
  func talkHere<Value>(
    within limit: Duration = .seconds(30),
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Value
  ) throws -> Result<Value, DeviceModelError> {
    try Self.talk(with: models, of: domain, within: limit, body)
  }

  private static func talk<Value>(
    with models: QMPDeviceModels, of domain: DomainKey, within limit: Duration,
    _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Value
  ) throws -> Result<Value, DeviceModelError> {
    do throws(HostError) {
      return .success(
        try models.withDeviceModel(of: domain, until: .now + limit) { (conversation) throws(HostError) in
          try body(conversation)
        })
    } catch {
      guard case .deviceModel(let error) = error else { throw error }
      return .failure(error)
    }
  }

  /// Returns the failure of a conversation.
  func failure(
    within limit: Duration = .seconds(300), _ body: @escaping Talk<Void> = { _ in }
  ) async throws -> DeviceModelError? {
    if case .failure(let error) = try await talk(within: limit, body) { error } else { nil }
  }
}

/// Returns the code with which a part of a conversation failed. The conversation may continue.
func code(_ body: () throws(HostError) -> Void) -> DeviceModelCode? {
  do throws(HostError) { try body() } catch { return error.deviceModelCode }
  return nil
}

/// The devices of these tests: `0000:03:00.0` and `0001:04:1f.3`.
enum TestDevice {
  static let first = PCIAddress(sbdf: 0x300)
  static let second = PCIAddress(sbdf: 0x1_04fb)
}
