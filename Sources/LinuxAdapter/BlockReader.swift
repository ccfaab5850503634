import Model

/// The block devices of a host, and what is made of several of them, from sysfs and udev's database.
struct BlockReader {
  let root: Root
  private let files = FactFiles()

  init(root: Root) { self.root = root }

  func blocks() throws(ReadFailure) -> [BlockDevice] {
    try files.names(root.blockClass).map { (name) throws(ReadFailure) in try block(name) }
  }

  private func block(_ name: String) throws(ReadFailure) -> BlockDevice {
    let folder = "\(root.blockClass)/\(name)"
    var block = BlockDevice(name: name)
    let parts = (try files.link(folder) ?? "").split(separator: "/").map(String.init)
    block.functions = parts.compactMap { FunctionName($0) }
    // `/sys/devices/virtual` has what the kernel makes without a device (`virtual_device_parent`, Linux
    // drivers/base/core.c, 6.1).
    block.isVirtual = parts.isEmpty || parts.contains("virtual")
    block.number = try files.text("\(folder)/dev")
    block.title = try files.text("\(folder)/dm/name")
    block.backingFile = try files.text("\(folder)/loop/backing_file")
    block.parts = try files.names("\(folder)/slaves")
    // A partition's folder is in its disk's.
    if try files.text("\(folder)/partition") != nil, parts.count > 1 { block.parts.append(parts[parts.count - 2]) }
    try readControllers(of: &block, parts)
    if let session = parts.first(where: { Self.number(of: $0, after: "session") != nil }) {
      block.peers = (block.peers ?? []) + (try portals(ofSession: session))
    }
    if let number = block.number { try readUdevData(of: &block, number) }
    block.functions = Set(block.functions).sorted()
    return block
  }

  /// Returns the decimal number that follows a word: 3 for `session3`; nil for another text.
  private static func number(of text: String, after word: String) -> Int? {
    text.hasPrefix(word) ? decimal(text.dropFirst(word.count)) : nil
  }

  // MARK: NVMe and iSCSI

  /// Reads the controllers of an NVMe disk: those of its subsystem, or the one whose folder it is in.
  private func readControllers(of block: inout BlockDevice, _ parts: [String]) throws(ReadFailure) {
    guard parts.count > 1 else { return }
    var controllers = parts.dropLast().filter { Self.number(of: $0, after: "nvme") != nil }
    if parts.contains("nvme-subsystem") {
      // With native multipath the disk is the subsystem's, whose folder has a link to each controller
      // (`nvme_mpath_set_live`, Linux drivers/nvme/host/multipath.c, 6.1).
      let subsystem = "\(root.subsystems)/\(parts[parts.count - 2])"
      for name in try files.names(subsystem) where Self.number(of: name, after: "nvme") != nil {
        controllers.append(name)
        block.functions += FactFiles.functions(in: try files.link("\(subsystem)/\(name)") ?? "")
      }
    }
    for name in controllers {
      let folder = "\(root.controllers)/\(name)"
      block.functions += FactFiles.functions(in: try files.link(folder) ?? "")
      // `pcie`, `tcp`, `rdma`, `fc` or `loop` (Linux drivers/nvme/host, 6.1).
      guard let transport = try files.text("\(folder)/transport"), ["tcp", "rdma"].contains(transport) else { continue }
      // `traddr=10.0.0.1,trsvcid=4420` (`nvmf_get_address`, Linux drivers/nvme/host/fabrics.c, 6.1).
      let words = (try files.text("\(folder)/address") ?? "").split(separator: ",")
      let address = words.first { $0.hasPrefix("traddr=") }.flatMap { InternetAddress(String($0.dropFirst(7))) }
      block.peers = (block.peers ?? []) + [address?.text].compactMap(\.self)
    }
  }

  /// Returns the addresses that the connections of an iSCSI session have (`connection1:0`, Linux
  /// drivers/scsi/scsi_transport_iscsi.c, 6.1).
  private func portals(ofSession session: String) throws(ReadFailure) -> [String] {
    let number = session.dropFirst("session".count)
    var portals: [String] = []
    for name in try files.names(root.iscsiConnections) where name.hasPrefix("connection\(number):") {
      for file in ["address", "persistent_address"] {
        guard let text = try files.text("\(root.iscsiConnections)/\(name)/\(file)") else { continue }
        if let address = InternetAddress(text)?.text, !portals.contains(address) { portals.append(address) }
      }
    }
    return portals
  }

  // MARK: Udev's database

  /// What udev has found on devices that are members of something, as its builtin `blkid` names it (libblkid,
  /// util-linux 2.38).
  private static let members: Set<String> = [
    "LVM2_member", "linux_raid_member", "crypto_LUKS", "zfs_member", "bcache", "ceph_bluestore",
    "DDF_raid_member", "isw_raid_member", "drbd",
  ]

  private func readUdevData(of block: inout BlockDevice, _ number: String) throws(ReadFailure) {
    guard let data = try files.content("\(root.udevData)/b\(number)", atMost: 1 << 20) else { return }
    var values: [Substring: Substring] = [:]
    for line in data.split(separator: "\n") where line.hasPrefix("E:") {
      let words = line.dropFirst(2).split(separator: "=", maxSplits: 1)
      if words.count == 2 { values[words[0]] = words[1] }
    }
    if let type = values["ID_FS_TYPE"], Self.members.contains(String(type)) { block.membership = String(type) }
    block.label = values["ID_FS_LABEL"].map(String.init)
    if let type = values["ID_PART_ENTRY_TYPE"] {
      block.partition = PartitionIdentity(
        type: type.lowercased(), number: values["ID_PART_ENTRY_UUID"]?.lowercased())
    }
  }

  // MARK: Pools

  func pools(_ blocks: [BlockDevice], mounts: [Mount]) throws(ReadFailure) -> [StoragePool] {
    let btrfs = try files.names(root.btrfs).map { (name) throws(ReadFailure) in
      StoragePool(kind: .btrfs, name: name, members: try files.names("\(root.btrfs)/\(name)/devices"))
    }
    return btrfs.filter { !$0.members.isEmpty } + (try zfs(blocks, mounts))
  }

  /// Returns the ZFS pools. Nothing in sysfs names their devices, but udev has seen what is on each.
  private func zfs(_ blocks: [BlockDevice], _ mounts: [Mount]) throws(ReadFailure) -> [StoragePool] {
    var imported: Set<String> = []
    // The folder also has files, which are about all pools.
    for name in try files.names(root.pools) where try files.isFolder("\(root.pools)/\(name)") { imported.insert(name) }
    for mount in mounts where mount.type == "zfs" {
      imported.formUnion(mount.source.split(separator: "/").prefix(1).map(String.init))
    }
    var members: [String: [String]] = Dictionary(uniqueKeysWithValues: imported.map { ($0, []) })
    for block in blocks where block.membership == "zfs_member" {
      if let label = block.label { members[label, default: []].append(block.name) }
    }
    return members.sorted { $0.key < $1.key }.map {
      StoragePool(kind: .zfs, name: $0.key, members: $0.value, isImported: imported.contains($0.key))
    }
  }

  // MARK: The boot loader

  /// Reads the number of the partition from which the boot loader was started: four bytes of attributes, and then UTF-16
  /// (`efivarfs_file_read`, Linux fs/efivarfs/file.c, 6.1).
  func loaderPartition() throws(ReadFailure) -> String? {
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try readFile(root.loaderPartition, atMost: 1024) } catch {
      if error.isAbsence { return nil }
      throw ReadFailure(place: root.loaderPartition, .failed(error.errno))
    }
    let text = bytes.dropFirst(4)
    let letters = stride(from: text.startIndex, to: text.endIndex - 1, by: 2).map { text[$0] }
    return String(decoding: letters.prefix { $0 != 0 }, as: UTF8.self).lowercased()
  }
}
