import LinuxAdapter
import Model
import Planning
import TestSupport
import Testing

extension CraftedHost {
  /// Returns the interlocks of each function that has some, as `name: way`, with `!` if it refuses.
  func interlocks(served: ServedDevices = ServedDevices()) throws -> [String: [String]] {
    let folder = try TemporaryFolder()
    try HostTree(text).write(to: folder)
    let usage = UsageReader(root: folder.path).usage()
    #expect(usage.unread.isEmpty, "\(usage.unread)")
    let inventory = try SysfsInventory(root: folder.path).inventory(of: InterlockRules.facts)
    let rules = InterlockRules(usage: usage, inventory: inventory, served: served)
    var result: [String: [String]] = [:]
    for function in inventory.functions {
      let found = rules.interlocks(on: function.name).map { "\($0.isRefusal ? "!" : "")\($0.name.rawValue): \($0)" }
      if !found.isEmpty { result["\(function.name)"] = found }
    }
    return result
  }
}
