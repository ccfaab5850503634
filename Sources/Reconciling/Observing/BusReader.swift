import Model
import Ports
import XenProtocol

/// Reads one domain's PCI bus, in a transaction or without one.
struct BusReader {
  let domain: DomainID
  var hasFrontEndDriver = true

  /// Reads every node on which a decision about the bus depends.
  ///
  /// All of them must be read. A commit proves only that the same reads would return the same values again. oxenstored
  /// accepts other programs' writes to unread nodes (`tools/ocaml/xenstored/transaction.ml`, Xen 4.17).
  ///
  /// - Parameters:
  ///   - listing: the names in the back end's directory, if they were listed. Then absent nodes are not read, and
  ///     entries beyond `num_devs` are found. A transaction that changes the bus does not list: pciback adds its own
  ///     nodes at any time, and each would be a conflict.
  ///   - read: reads one node.
  func read(
    listing: [String]? = nil, kernelObject: Bool? = nil, _ read: (StorePath) throws(HostError) -> String?
  ) throws(HostError) -> BackEnd {
    let path = StorePath.backEnd(domain)
    let present = listing.map(Set.init)
    func node(_ name: String) throws(HostError) -> String? {
      if let present, !present.contains(name) { return nil }
      return try read(path.child(name))
    }
    // The listing already shows whether a node exists.
    func exists(_ name: String) throws(HostError) -> Bool {
      if let present { return present.contains(name) }
      return try read(path.child(name)) != nil
    }
    var backEnd = BackEnd(domain: domain, hasFrontEndDriver: hasFrontEndDriver, hasKernelObject: kernelObject)
    backEnd.count = DeviceCount(try node("num_devs"))
    backEnd.state = StateNode(try node("state"))
    backEnd.online = try node("online")
    backEnd.hasFrontEndPath = try node("frontend") == StorePath.frontEnd(domain).text
    backEnd.frontEndState = StateNode(try read(StorePath.frontEnd(domain).child("state")))
    let number = backEnd.count.number ?? 0
    for index in 0..<number { backEnd.entries.append(try entry(index, node, exists)) }
    if let listing {
      for index in orphanIndices(in: listing, from: number) { backEnd.orphans.append(try entry(index, node, exists)) }
    } else if backEnd.count != .absent {
      var index = number
      while index < BackEnd.mostDevices, try node("\(EntryNode.dev.rawValue)-\(index)") != nil {
        backEnd.orphans.append(try entry(index, node, exists))
        index += 1
      }
    }
    return backEnd
  }

  private func entry(
    _ index: Int, _ node: (String) throws(HostError) -> String?, _ exists: (String) throws(HostError) -> Bool
  ) throws(HostError) -> BackEndEntry {
    func text(_ name: EntryNode) throws(HostError) -> String? { try node("\(name.rawValue)-\(index)") }
    return BackEndEntry(
      index: index, device: try text(.dev).flatMap { PCIAddress($0) },
      hasKey: try exists("\(EntryNode.key.rawValue)-\(index)"),
      state: StateNode(try text(.state)), virtualAddress: try text(.vdev).flatMap { PCIAddress($0) },
      optionsText: try text(.opts), virtualFunctionText: try text(.vdevfn), name: try text(.name))
  }

  /// Returns the indices that have nodes at or above `num_devs`, at most the number that a bus can have.
  private func orphanIndices(in names: [String], from first: Int) -> [Int] {
    let prefixes = Set(EntryNode.allCases.map(\.rawValue))
    let indices = names.compactMap { name -> Int? in
      guard let dash = name.lastIndex(of: "-"), prefixes.contains(String(name[..<dash])) else { return nil }
      return decimal(name[name.index(after: dash)...])
    }
    return Array(Set(indices.filter { $0 >= first }).sorted().prefix(BackEnd.mostDevices))
  }
}

/// What one transaction read about a domain: the basis of every decision in it.
struct DomainView {
  /// Whether the domain's home still names the UUID. Destruction removes it first (`libxl__destroy_domid`).
  var isAlive: Bool
  var backEnd: BackEnd
  var claims: [PCIAddress: DomainID]
  /// The existing nodes of the bus and of claims.
  private var present: Set<StorePath> = []

  init(
    of key: DomainKey, _ route: DeviceRoute, claimsOn devices: [PCIAddress], kernelObject: Bool?,
    in access: borrowing any StoreAccess & ~Copyable
  ) throws(HostError) {
    isAlive = try access.read(StorePath.home(key.id).child("vm")) == "/vm/\(key.uuid)"
    if let stub = route.stubDomain {
      // The stub domain may have been restarted as another domain, so each of the two must still name the other.
      let isStub = try access.read(.stubDomain(of: key.id)) == stub.id.description
      let isGuest = try access.read(StorePath.home(stub.id).child("target")) == key.id.description
      let lives = try access.read(StorePath.home(stub.id).child("vm")) == "/vm/\(stub.uuid)"
      isAlive = isAlive && isStub && isGuest && lives
    }
    // The node is read although a PV guest's type never changes: a new domain with this number might be of another
    // kind.
    _ = try access.read(StorePath.toolstack(key.id).child("type"))
    let reader = BusReader(domain: route.busDomain(of: key.id), hasFrontEndDriver: route.hasFrontEndDriver)
    var present: Set<StorePath> = []
    backEnd = try reader.read(kernelObject: kernelObject) { (path) throws(HostError) in
      let text = try access.read(path)
      if text != nil { present.insert(path) }
      return text
    }
    self.present = present
    claims = [:]
    for device in devices {
      guard let text = try access.read(.claim(device)) else { continue }
      self.present.insert(.claim(device))
      if let claimant = decimal(text) { claims[device] = DomainID(UInt32(claimant)) }
    }
  }

  /// Reads back, in the transaction that made them, the writes over existing nodes.
  ///
  /// If such a write is lost, the old value remains, and no later reader notices. For example, a bus at 4 with an entry
  /// marked for removal looks as if the guest had released the device. A missing or leftover node is noticed.
  func prove(_ edits: [StoreEdit], in access: borrowing any StoreAccess & ~Copyable) throws(HostError) {
    for case .write(let path, let value) in edits where present.contains(path) {
      guard try access.read(path) == value else {
        throw .store(StoreError(.other, operation: "write", place: path.text))
      }
    }
  }
}
