/// What dom0 itself stores its files on, as far as it could be read.
package struct HostUsage: Hashable, Sendable {
  /// What is read, each by itself.
  package enum Fact: String, Hashable, Sendable, CaseIterable {
    case mounts, swaps
    case blockDevices = "block-devices"
  }

  /// In order of their names.
  package var blocks: [BlockDevice] = []
  package var mounts: [Mount] = []
  /// The devices and files that are swapped to: the name of a block device, or a file's path.
  package var swaps: [String] = []
  package var pools: [StoragePool] = []
  /// What could not be read, and why.
  package var unread: [Fact: ReadFailure] = [:]

  package init() {}
}

/// A block device: a disk, a partition, or one that is made of others.
package struct BlockDevice: Hashable, Sendable {
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

  package init(name: String) { self.name = name }
}

/// A file system on several block devices that are no block device together.
package struct StoragePool: Hashable, Sendable {
  package enum Kind: String, Hashable, Sendable { case btrfs, zfs }
  package let kind: Kind
  /// The name of a ZFS pool, or the number of a btrfs.
  package let name: String
  /// The names of the block devices.
  package let members: [String]

  package init(kind: Kind, name: String, members: [String]) {
    (self.kind, self.name, self.members) = (kind, name, members)
  }
}

/// A file system that process 1 has mounted.
package struct Mount: Hashable, Sendable {
  /// `259:1`. Some file systems have numbers of their own, which are no block device's.
  package let number: String
  package let type: String
  /// The name of a block device, the name of a data set, or a word.
  package let source: String
  package let point: String
  /// The folders of other file systems of which it is made, as an overlay is.
  package let layers: [String]

  package init(number: String, type: String, source: String, point: String, layers: [String] = []) {
    (self.number, self.type, self.source, self.point, self.layers) = (number, type, source, point, layers)
  }
}
