import Model
import Ports

/// All nodes of xenstore, so that another daemon can have them.
struct StoreContents {
  private struct Node {
    let path: String
    let value: String
    /// In xenstored's letters: `n0,r5`.
    let permissions: String
  }

  /// A parent precedes its children.
  private var nodes: [Node] = []

  /// Reads every node.
  init(of store: StoreLink) throws(StoreError) { try add("/", of: store) }

  private mutating func add(_ path: String, of store: StoreLink) throws(StoreError) {
    guard let value = try store.read(path), let names = try store.list(path) else { return }
    // The root exists in each daemon.
    if path != "/", let permissions = try store.permissions(path) {
      nodes.append(Node(path: path, value: value, permissions: permissions))
    }
    for name in names { try add(path == "/" ? "/" + name : path + "/" + name, of: store) }
  }

  /// Writes every node. The domains that own nodes must have been introduced.
  func write(to store: StoreLink) throws(StoreError) {
    for node in nodes {
      try store.write(node.path, node.value)
      try store.setPermissions(node.path, letters: node.permissions)
    }
  }
}

extension SandboxServer {
  /// Ends xenstored, and starts another one with the same nodes. All connections and their transactions end. Guests and
  /// kernels keep what they know.
  func restartStore() throws(SandboxError) {
    try catchUp()
    let contents = try storeCall { () throws(StoreError) in try StoreContents(of: store) }
    daemon.stop()
    daemon = try StoreDaemon.start(
      description.store, in: directory, preload: description.preload, isTracing: description.isTracing,
      testEagain: description.testEagain, until: .now + .seconds(20))
    try storeCall { () throws(StoreError) in
      try store.reconnect(path: paths.storeSocket)
      for domain in domains.values.sorted(by: { $0.key.id < $1.key.id }) where isIntroduced(domain.scenario) {
        try store.introduce(domain.key.id)
      }
      try contents.write(to: store)
    }
    try watchStore()
    try markReady()
  }
}
