import Glibc
import LinuxAdapter
import Model
import Planning
import Ports

/// Two functions, the second behind the first, with the files that the inventory and the usage read.
private let host: (root: String, bridge: String, card: String) = {
  let root = fuzzRoot + "/host"
  let bus = root + "/sys/bus/pci/devices"
  let bridge = root + "/sys/devices/pci0000:00/0000:00:1c.0"
  let card = bridge + "/0000:03:00.0"
  for folder in [
    bus, card + "/net/lan0", card + "/nvme/nvme0", root + "/sys/bus/pci/slots/1", root + "/proc/1",
    root + "/proc/net/bonding", root + "/run/udev/data", root + "/sys/class/block/sda/slaves",
    root + "/proc/bus/input", root + "/run/berth-capture", root + "/sys/class/net", root + "/sys/class/block/sda/dm",
    root + "/sys/class/block/sda/loop", root + "/sys/fs/btrfs/1/devices/sda",
  ] { makeFolders(folder) }
  _ = unsafe symlink("../../../devices/pci0000:00/0000:00:1c.0", bus + "/0000:00:1c.0")
  _ = unsafe symlink("../../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0", bus + "/0000:03:00.0")
  _ = unsafe symlink("../../../../../virtual/net/bond0", card + "/net/lan0/master")
  _ = unsafe symlink(
    "../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0/net/lan0", root + "/sys/class/net/lan0")
  return (root, bridge, card)
}()

/// Tests the inventory of PCI functions, and what stands on them. Whatever the files contain, each function is listed,
/// a fact that is not understood is named with its file, and the graphs end.
func readInventory(_ bytes: [UInt8]) {
  // The configuration space comes last, as it is bytes.
  let pieces = bytes.split(separator: 0, maxSplits: 26, omittingEmptySubsequences: false).map(Array.init)
  func piece(_ number: Int) -> [UInt8] { number < pieces.count ? pieces[number] : [] }
  let files = [
    host.bridge + "/secondary_bus_number", host.bridge + "/modalias", host.card + "/modalias", host.card + "/revision",
    host.card + "/driver_override", host.card + "/irq", host.card + "/resource", host.card + "/reset_method",
    host.card + "/sriov_totalvfs", host.card + "/net/lan0/address", host.card + "/net/lan0/addr_assign_type",
    host.card + "/nvme/nvme0/serial", host.root + "/sys/bus/pci/slots/1/address", host.root + "/proc/1/mountinfo",
    host.root + "/proc/swaps", host.root + "/proc/net/bonding/bond0", host.root + "/run/udev/data/b8:0",
    host.root + "/sys/class/block/sda/dev", host.root + "/sys/class/block/sda/dm/name",
    host.root + "/sys/class/block/sda/loop/backing_file", host.root + "/proc/net/tcp",
    host.root + "/run/berth-capture/routes-ipv4", host.root + "/run/berth-capture/routes-ipv6",
    host.root + "/proc/consoles", host.root + "/proc/bus/input/devices", host.card + "/vpd", host.card + "/config",
  ]
  for (number, file) in files.enumerated() { write(piece(number), to: file) }
  let reader = SysfsInventory(root: host.root)
  do throws(HostError) {
    let inventory = try reader.inventory(of: Set(FunctionFact.allCases))
    must(inventory.functions.count == 2, "a function that is there is passed over")
    for failure in inventory.functions.flatMap(\.unread.values) {
      must(failure.place.hasPrefix(host.root), "an unknown fact without its file")
    }
    let groups = IsolationGroups(inventory)
    for function in inventory.functions { _ = groups.isolation(of: function.name) }
    let usage = UsageReader(root: host.root).usage()
    for failure in usage.unread.values { must(failure.place.hasPrefix(host.root), "an unknown fact without its file") }
    let rules = InterlockRules(usage: usage, inventory: inventory)
    let listing = DeviceListing(inventory: inventory, observation: nil, rules: rules)
    must(listing.devices.count == 2, "a device that is there is passed over")
    for interlock in listing.devices.flatMap(\.interlocks) {
      must(interlock.chain.count > 1, "an interlock without a way")
    }
    resolve(in: inventory)
    if let card = FunctionName("0000:03:00.0") { _ = try reader.productData(of: card) }
  } catch { must(hasPlace(error), "an error without a place") }
}

/// Looks for devices that the second function may be. What is found has an address, and what is not has a reason.
private func resolve(in inventory: Inventory) {
  var selectors = [DeviceSelector](repeating: DeviceSelector(), count: 4)
  selectors[0].serial = "a0-36-9f-ff-ff-12-34-56"
  selectors[1].mac = MACAddress("a0:36:9f:12:34:56")
  selectors[2].id = DeviceID("8086:1533")
  selectors[3].address = PCIAddress("0000:03:00.0")
  (selectors[3].slot, selectors[3].takesAllFunctions) = ("1", true)
  let selections = selectors.enumerated().map { DeviceSelection(selector: $1, label: "\($0)") }
  let desired = DesiredState(domains: [DesiredDomain(name: "a", devices: [], selections: selections)])
  let domain = desired.resolved(in: inventory).domains[0]
  must(domain.selections.isEmpty, "a selection is left")
  must(domain.devices.count + domain.unresolved.count >= selectors.count, "a selection has no answer")
}
