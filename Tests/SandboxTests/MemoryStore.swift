import Ports
import Sandbox
import XenProtocol

/// xenstore in memory, for kernels under test. Every change is an event, and transactions never conflict.
final class MemoryStore: SimulatorStore {
  private(set) var nodes: [String: String] = ["": "", "/local": "", "/local/domain": ""]
  /// The paths changed since the last `takeEvents`.
  private var events: [String] = []
  /// The writes and removals, in order: a path, or a path after `-`.
  private(set) var changes: [String] = []

  func takeEvents() -> [String] {
    defer { events = [] }
    return events
  }

  subscript(path: String) -> String? { nodes[path] }

  func read(_ path: String) -> String? { nodes[path] }

  func list(_ path: String) -> [String]? {
    guard nodes[path] != nil else { return nil }
    return nodes.keys.filter { $0.hasPrefix(path + "/") }.map { String($0.dropFirst(path.count + 1)) }
      .filter { !$0.contains("/") }.sorted()
  }

  func write(_ path: String, _ value: String) {
    var parent = path.split(separator: "/").dropLast()
    while !parent.isEmpty {
      let text = "/" + parent.joined(separator: "/")
      if nodes[text] == nil { nodes[text] = "" }
      parent = parent.dropLast()
    }
    nodes[path] = value
    events.append(path)
    changes.append(path)
  }

  func remove(_ path: String) {
    guard nodes[path] != nil else { return }
    nodes = nodes.filter { $0.key != path && !$0.key.hasPrefix(path + "/") }
    events.append(path)
    changes.append("-" + path)
  }

  func setPermissions(_ path: String, _ permissions: StorePermissions) {}

  func transaction(_ body: (any SimulatorStore) throws(StoreError) -> Bool) throws(StoreError) {
    let before = (nodes, events, changes)
    if try !body(self) { (nodes, events, changes) = before }
  }
}
