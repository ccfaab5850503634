import Model

/// Which functions Xen takes for one requester, and which of them share reserved memory, by Xen's answers about each.
///
/// Functions with one requester id have the same rights to memory, so that only one domain can have all of them. Xen names
/// only those that dom0 has. But the same requester is an equivalence: two devices of guests behind a bridge of dom0 are
/// found by the bridge.
struct Companions {
  private var groups: FunctionGroups
  /// The functions for which Xen answered, and those that an answer names.
  private var known: Set<FunctionName> = []
  private var members: [FunctionName: [FunctionName]] = [:]
  private var owners: [ClosedRange<UInt64>: [FunctionName]] = [:]

  init(_ inventory: Inventory) {
    let names = inventory.functions.map(\.name)
    let listed = Set(names)
    groups = FunctionGroups(names)
    for function in inventory.functions {
      if function.companions != nil { known.insert(function.name) }
      // A function that was added after the inventory was read is in no list.
      for companion in function.companions ?? [] where listed.contains(companion) {
        groups.join(function.name, companion)
        known.formUnion([function.name, companion])
      }
      for range in Set(function.reservedMemory ?? []) { owners[range, default: []].append(function.name) }
    }
    for function in inventory.functions where function.isBridge != true {
      members[groups.head(of: function.name), default: []].append(function.name)
    }
  }

  /// Returns the other functions with a function's requester id, except bridges; nil if nothing is known of them.
  func requesters(besides function: PCIFunction) -> [FunctionName]? {
    guard known.contains(function.name) else { return nil }
    return (members[groups.head(of: function.name)] ?? []).filter { $0 != function.name }
  }

  /// Returns the other functions for which one of the same ranges is reserved; nil if that function's ranges are unknown.
  ///
  /// Xen has one list of devices per range, and gives each of them the whole range
  /// (`intel_iommu_get_reserved_device_memory`, xen/drivers/passthrough/vtd/iommu.c, Xen 4.17).
  func reservedMemorySharers(of function: PCIFunction) -> [FunctionName]? {
    function.reservedMemory.map { ranges in
      Set(ranges.flatMap { owners[$0] ?? [] }).subtracting([function.name]).sorted()
    }
  }
}

/// Functions in groups, each with a head that names the group.
struct FunctionGroups {
  /// Maps each function to one of its group that is nearer to the head, or to itself.
  private var heads: [FunctionName: FunctionName] = [:]

  /// Each of these is a group of its own.
  init(_ names: [FunctionName]) { for name in names { heads[name] = name } }

  func head(of name: FunctionName) -> FunctionName {
    var name = name
    while let head = heads[name], head != name { name = head }
    return name
  }

  mutating func join(_ first: FunctionName, _ second: FunctionName) {
    let (one, other) = (head(of: first), head(of: second))
    // The lower name is the head, so that the result does not depend on the order.
    if one != other { heads[max(one, other)] = min(one, other) }
  }
}
