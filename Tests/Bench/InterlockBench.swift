import Model
import Planning

/// Measures what stands on 512 functions of a host with 1000 guests: 24 disks in arrays, 1000 volumes for guests and 200 for
/// dom0, cards in bonds with VLANs and bridges, and 60 default routes.
func measureInterlocks(_ inventory: Inventory, into section: inout Section) throws {
  let (usage, served) = largeHost(inventory)
  var (building, asking): ([Double], [Double]) = ([], [])
  for _ in 0..<11 {
    var rules: InterlockRules?
    building.append(milliseconds { rules = InterlockRules(usage: usage, inventory: inventory, served: served) })
    var count = 0
    asking.append(
      milliseconds {
        for function in inventory.functions { count += rules?.interlocks(on: function.name).count ?? 0 }
      })
    // Each guest's disk stands on both members of its array and on the root ports above.
    guard count > 4000 else { throw BenchError("there are \(count) interlocks") }
  }
  for (name, times) in [("build", building), ("ask", asking)] {
    section.rows.append(["interlocks, \(name)", times.median.text(decimals: 1), "0", "0.0"])
    section.figures.append(Figure("interlocks_\(name)_ms", times.median))
  }
}

private func largeHost(_ inventory: Inventory) -> (HostUsage, ServedDevices) {
  var (usage, served) = (HostUsage(), ServedDevices())
  let cards = inventory.functions.filter { $0.chain.count > 1 }
  func add(_ name: String, _ functions: [FunctionName] = [], parts: [String] = [], title: String? = nil) {
    var block = BlockDevice(name: name)
    (block.functions, block.parts, block.title, block.isVirtual) = (functions, parts, title, functions.isEmpty)
    block.number = "8:\(usage.blocks.count)"
    usage.blocks.append(block)
  }
  for disk in 0..<24 {
    add("sd\(disk)", cards[disk * 16].chain)
    add("sd\(disk)p1", cards[disk * 16].chain, parts: ["sd\(disk)"])
  }
  for array in 0..<12 { add("md\(array)", parts: ["sd\(2 * array)p1", "sd\(2 * array + 1)p1"]) }
  for volume in 0..<1200 { add("dm-\(volume)", parts: ["md\(volume % 12)"], title: "vg\(volume % 12)-v\(volume)") }
  for mount in 0..<200 {
    let number = usage.blocks.first { $0.name == "dm-\(mount)" }?.number ?? ""
    usage.mounts.append(
      Mount(number: number, type: "ext4", source: "dm-\(mount)", point: mount == 0 ? "/" : "/store/\(mount)"))
  }
  var interfaces: [HostInterface] = []
  for card in 0..<16 {
    interfaces.append(HostInterface(name: "eth\(card)", kind: .device, functions: cards[card * 16 + 8].chain))
  }
  for bond in 0..<8 {
    interfaces.append(
      HostInterface(name: "bond\(bond)", kind: .virtual, lower: ["eth\(2 * bond)", "eth\(2 * bond + 1)"]))
  }
  for lane in 0..<64 {
    interfaces.append(HostInterface(name: "bond\(lane % 8).\(lane)", kind: .virtual, lower: ["bond\(lane % 8)"]))
    let guests = stride(from: lane, to: 1000, by: 64).map { "vif\($0 + 1).0" }
    interfaces.append(
      HostInterface(name: "br\(lane)", kind: .virtual, lower: ["bond\(lane % 8).\(lane)"] + guests))
  }
  for guest in 1...1000 {
    let id = DomainID(UInt32(guest))
    interfaces.append(HostInterface(name: "vif\(guest).0", kind: .guest(id)))
    let number = usage.blocks.first { $0.name == "dm-\(guest + 199)" }?.number
    served.disks.append(ServedDisk(guest: id, number: number, path: nil))
    served.interfaces.append(ServedInterface(guest: id, bridge: "br\((guest - 1) % 64)"))
    served.names[id] = "guest\(guest)"
  }
  usage.network.interfaces = interfaces
  for table in 0..<60 {
    usage.network.defaultRoutes.append(
      DefaultRoute(family: table % 2 == 0 ? .ipv4 : .ipv6, table: "\(table)", interfaces: ["br\(table)"]))
  }
  return (usage, served)
}
