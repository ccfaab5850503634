import LinuxAdapter
import Model
import Planning
import Ports
import Snapshots
import TestSupport
import Testing

extension CraftedHost {
  /// Returns the interlocks of each function that has some, as `name: way`, with `!` if it refuses.
  ///
  /// A snapshot of the host must have the same ones, and a redacted snapshot the same names.
  func interlocks(served: ServedDevices = ServedDevices()) throws -> [String: [String]] {
    let folder = try TemporaryFolder()
    try HostTree(text).write(to: folder)
    var host = ModelHost().host
    host.usage = UsageReader(root: folder.path)
    host.inventory = SysfsInventory(root: folder.path)
    let usage = host.usage.usage()
    #expect(usage.unread.isEmpty, "\(usage.unread)")
    let result = try Self.interlocks(on: host, served) { "\($0)" }
    let recording = Recording(of: host)
    _ = try Self.interlocks(on: recording.host, served) { "\($0)" }
    let snapshot = Snapshot(hostName: "host", takenAt: 1, userID: 0, sandbox: nil, answers: recording.answers)
    #expect(try Self.interlocks(on: Snapshot(snapshot.encoded()).host, served) { "\($0)" } == result)
    // What guests are served has paths that a redacted host lacks.
    guard served == ServedDevices() else { return result }
    #expect(
      try Self.interlocks(on: snapshot.redacted().host, served) { "\($0.name.rawValue)" }
        == Self.interlocks(on: host, served) { "\($0.name.rawValue)" }, "redacted")
    return result
  }

  private static func interlocks(
    on host: Host, _ served: ServedDevices, _ words: (Interlock) -> String
  ) throws -> [String: [String]] {
    let inventory = try host.inventory.inventory(of: InterlockRules.facts)
    let rules = InterlockRules(usage: host.usage.usage(), inventory: inventory, served: served)
    var result: [String: [String]] = [:]
    for function in inventory.functions {
      let found = rules.interlocks(on: function.name).map {
        "\($0.isRefusal ? "!" : "")\($0.name.rawValue): \(words($0))"
      }
      if !found.isEmpty { result["\(function.name)"] = found }
    }
    return result
  }
}
