/// What dom0 itself stores its files on, as far as it could be read.
package struct HostUsage: Hashable, Sendable, Codable {
  /// What is read, each by itself.
  package enum Fact: String, Hashable, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
    case mounts, swaps
    case blockDevices = "block-devices"
    case interfaces, routes
    /// The sessions of people and programs that work on dom0 from another host.
    case sessions
    case consoles, keyboards
    /// Other devices of dom0: its watchdog and the like.
    case attendants
  }

  /// In order of their names.
  package var blocks: [BlockDevice] = []
  package var mounts: [Mount] = []
  /// The devices and files that are swapped to: the name of a block device, or a file's path.
  package var swaps: [String] = []
  package var pools: [StoragePool] = []
  /// The folders whose files dom0 cannot do without.
  package var purposes: [String: FolderPurpose] = [:]
  /// The number of the partition from which the firmware's boot loader was started; nil if no loader says so.
  package var loaderPartition: String?
  package var network = NetworkUsage()
  package var attendants = AttendantUsage()
  /// What could not be read, and why.
  package var unread: [Fact: ReadFailure] = [:]

  package init() {}
}

/// What a folder of dom0 is for.
package enum FolderPurpose: String, Hashable, Sendable, Codable {
  /// The firmware or the boot loader reads it.
  case boot
  /// Berth's own records are in it.
  case berth
  /// The toolstack's saved configurations are in it.
  case toolstack
}

/// A block device: a disk, a partition, or one that is made of others.
package struct BlockDevice: Hashable, Sendable, Codable {
  package let name: String
  /// `259:1`, major and minor number; nil if unknown.
  package var number: String?
  /// The name that a person gave it: of a volume, of an encrypted device; nil if it has none.
  package var title: String?
  /// The block devices of which it is made, or the disk of which it is a partition.
  package var parts: [String] = []
  /// Every PCI function in the path of its folder, or in those of its NVMe controllers.
  package var functions: [FunctionName] = []
  /// The file whose content it shows.
  package var backingFile: String?
  /// The addresses of the hosts that have its content; empty if they are unknown, and nil if no other host has it.
  package var peers: [String]?
  /// Whether it is only in the kernel, so that what it is made of is all that it stands on.
  package var isVirtual = false
  /// What it is a member of, as udev has seen it: `LVM2_member` and others; nil if it is of nothing.
  package var membership: String?
  /// The name of what it is, or of what it is a member of; nil if it has none.
  package var label: String?
  /// The type and the number of a partition of a GPT, in lower case; nil if it is none.
  package var partition: PartitionIdentity?

  package init(name: String) { self.name = name }
}

/// What the table of partitions says of a partition.
package struct PartitionIdentity: Hashable, Sendable, Codable {
  package let type: String
  package let number: String?
  package init(type: String, number: String?) { (self.type, self.number) = (type, number) }

  /// The type of the partition that firmware reads (UEFI 2.10, table 5.7).
  package static let firmwareType = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
}

/// A file system on several block devices that are no block device together.
package struct StoragePool: Hashable, Sendable, Codable {
  package enum Kind: String, Hashable, Sendable, Codable { case btrfs, zfs }
  package let kind: Kind
  /// The name of a ZFS pool, or the number of a btrfs.
  package let name: String
  /// The names of the block devices.
  package let members: [String]
  /// Whether dom0 uses it now. The members of another pool are only known to belong to it.
  package let isImported: Bool

  package init(kind: Kind, name: String, members: [String], isImported: Bool = true) {
    (self.kind, self.name, self.members, self.isImported) = (kind, name, members, isImported)
  }
}

/// A file system that process 1, or this process, has mounted.
package struct Mount: Hashable, Sendable, Codable {
  /// `259:1`. Some file systems have numbers of their own, which are no block device's.
  package let number: String
  package let type: String
  /// The name of a block device, the name of a data set, or a word.
  package let source: String
  package let point: String
  /// The folders of other file systems of which it is made, as an overlay is.
  package let layers: [String]
  /// The addresses of the hosts that have its files, if its options name them.
  package let peers: [String]
  /// The functions by which the files come from the machine that emulates this host, if it is a virtual machine.
  package let carriers: [FunctionName]

  package init(
    number: String, type: String, source: String, point: String, layers: [String] = [], peers: [String] = [],
    carriers: [FunctionName] = []
  ) {
    (self.number, self.type, self.source, self.point) = (number, type, source, point)
    (self.layers, self.peers, self.carriers) = (layers, peers, carriers)
  }
}

extension HostUsage {
  /// Returns the names of the disks and partitions below a function.
  package func disks(of function: FunctionName) -> [String] {
    blocks.filter { $0.functions.contains(function) }.map(\.name)
  }
}
