import Glibc
import LinuxAdapter
import Model
import Planning
import TestSupport
import Testing

/// Hosts as trees of files, with what is stored on their devices: the readers and the rules together.
@Suite struct StorageFixtureTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  @Test func `an NVMe disk with two ways stands on every function of both, VMD's among them`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:1d.0", class: "060400")
    host.function("pci0000:00/0000:00:1d.0/0000:02:00.0", class: "010802", driver: "nvme")
    host.function("pci0000:00/0000:00:0e.0", class: "010400", driver: "vmd")
    host.function("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0", class: "060400")
    host.function("pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0", class: "010802", driver: "nvme")
    let subsystem = "virtual/nvme-subsystem/nvme-subsys0"
    let number = host.block("\(subsystem)/nvme0n1")
    host.add(
      """
      /sys/class/nvme-subsystem/nvme-subsys0 -> ../../devices/\(subsystem)
      /sys/devices/\(subsystem)/nvme0 -> ../../../pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0
      /sys/devices/\(subsystem)/nvme1 -> ../../../pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme1
      """)
    host.mount("\(number) / / rw - ext4 /dev/nvme0n1 rw")
    let found = try host.interlocks()
    #expect(
      Set(found.keys) == ["0000:00:1d.0", "0000:02:00.0", "0000:00:0e.0", "10000:e0:06.0", "10000:e1:00.0"])
    #expect(found["0000:00:0e.0"] == ["!root-file-system: 0000:00:0e.0 → nvme0n1 → /"])
  }

  @Test func `a folder of the emulating machine stands on the device that it comes by, and on no network card`() throws
  {
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:02.0", class: "000200", driver: "virtio-pci")
    host.function("pci0000:00/0000:00:03.0", class: "000200", driver: "virtio-pci")
    host.function("pci0000:00/0000:00:05.0", class: "020000", driver: "e1000")
    host.add(
      """
      /sys/bus/virtio/drivers/9pnet_virtio/virtio1 -> ../../../../devices/pci0000:00/0000:00:02.0/virtio1
      /sys/devices/pci0000:00/0000:00:02.0/virtio1/mount_tag = other
      /sys/bus/virtio/drivers/9pnet_virtio/virtio2 -> ../../../../devices/pci0000:00/0000:00:03.0/virtio2
      /sys/devices/pci0000:00/0000:00:03.0/virtio2/mount_tag = lab
      """)
    host.mount("0:40 / /lab rw - 9p lab rw,trans=virtio,version=9p2000.L")
    let found = try host.interlocks()
    #expect(found["0000:00:03.0"] == ["!mounted-file-system: 0000:00:03.0 → /lab"])
    #expect(found["0000:00:02.0"] == nil && found["0000:00:05.0"] == nil)
  }

  @Test func `a root on a volume of an array of two NVMe disks`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:1d.0/0000:02:00.0", class: "010802", driver: "nvme")
    host.function("pci0000:00/0000:00:1d.4/0000:03:00.0", class: "010802", driver: "nvme")
    host.block("pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1")
    host.block("pci0000:00/0000:00:1d.4/0000:03:00.0/nvme/nvme1/nvme1n1")
    host.block("virtual/block/md0", parts: ["nvme0n1", "nvme1n1"])
    let number = host.block("virtual/block/dm-0", parts: ["md0"], title: "vg0-root")
    host.mount("\(number) / / rw - ext4 /dev/mapper/vg0-root rw")
    #expect(
      try host.interlocks() == [
        "0000:02:00.0": ["!root-file-system: 0000:02:00.0 → nvme0n1 → md0 → vg0-root → /"],
        "0000:03:00.0": ["!root-file-system: 0000:03:00.0 → nvme1n1 → md0 → vg0-root → /"],
      ])
  }

  @Test func `a host bus adapter with a root on ZFS, and a pool that is not imported`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:00:01.0/0000:01:00.0", class: "010700", driver: "mpt3sas")
    host.function("pci0000:00/0000:05:00.0", class: "010601", driver: "ahci")
    let disk = host.block("pci0000:00/0000:00:01.0/0000:01:00.0/host0/target0:0:0/0:0:0:0/block/sda")
    let other = host.block("pci0000:00/0000:05:00.0/ata1/host1/target1:0:0/1:0:0:0/block/sdb")
    host.mount("0:40 / / rw - zfs rpool/ROOT/debian rw")
    for (number, pool) in [(disk, "rpool"), (other, "old")] {
      host.add("/run/udev/data/b\(number) <<\n | E:ID_FS_TYPE=zfs_member\n | E:ID_FS_LABEL=\(pool)")
    }
    host.add("/proc/spl/kstat/zfs/rpool/\n/proc/spl/kstat/zfs/arcstats = 9 1")
    #expect(
      try host.interlocks() == [
        "0000:01:00.0": ["!root-file-system: 0000:01:00.0 → sda → rpool → /"],
        "0000:05:00.0": ["storage-member: 0000:05:00.0 → sdb → zfs_member"],
      ])
  }

  @Test func `a pool of ZFS that is imported, and of which no disk is known, refuses all that can store`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:05:00.0", class: "010601", driver: "ahci")
    host.add("/proc/spl/kstat/zfs/tank/")
    #expect(try host.interlocks() == ["0000:05:00.0": ["!interlock-unknown: 0000:05:00.0 → ? → tank"]])
  }

  @Test func `a btrfs stands on both of its disks`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:07:00.0", class: "010601", driver: "ahci")
    host.function("pci0000:00/0000:08:00.0", class: "010601", driver: "ahci")
    host.block("pci0000:00/0000:07:00.0/ata1/block/sdc")
    host.block("pci0000:00/0000:08:00.0/ata1/block/sdd")
    host.mount("0:40 / /data rw - btrfs /dev/sdc rw")
    host.add(
      "/sys/fs/btrfs/0b3d/devices/sdc -> ../../../../devices/x/sdc\n"
        + "/sys/fs/btrfs/0b3d/devices/sdd -> ../../../../devices/x/sdd")
    #expect(
      try host.interlocks() == [
        "0000:07:00.0": ["!mounted-file-system: 0000:07:00.0 → sdc → /data"],
        "0000:08:00.0": ["!mounted-file-system: 0000:08:00.0 → sdd → /data"],
      ])
  }

  @Test func `what this process has mounted counts beside what process 1 has`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:07:00.0", class: "010601", driver: "ahci")
    let number = host.block("pci0000:00/0000:07:00.0/ata1/block/sda")
    host.add("/proc/self/mountinfo <<\n | 90 22 \(number) / /srv rw - ext4 /dev/sda rw")
    #expect(try host.interlocks() == ["0000:07:00.0": ["!mounted-file-system: 0000:07:00.0 → sda → /srv"]])
  }

  @Test func `the partition of the boot loader, and the firmware's on a disk that is used`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:01:00.0", class: "010601", driver: "ahci")
    host.function("pci0000:00/0000:02:00.0", class: "010601", driver: "ahci")
    for (number, disk) in ["0000:01:00.0/ata1/block/sda", "0000:02:00.0/ata1/block/sdb"].enumerated() {
      host.block("pci0000:00/\(disk)")
      let name = disk.split(separator: "/").last ?? ""
      let part = host.block("pci0000:00/\(disk)/\(name)1")
      host.add("/sys/devices/pci0000:00/\(disk)/\(name)1/partition = 1")
      host.add(
        "/run/udev/data/b\(part) <<\n | E:ID_PART_ENTRY_TYPE=c12a7328-f81f-11d2-ba4b-00a0c93ec93b\n"
          + " | E:ID_PART_ENTRY_UUID=1111111\(number)-aaaa")
    }
    let name = "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
    let letters = "11111111-AAAA".utf8.map { hex(UInt64($0), 2) + "00" }.joined()
    host.add("/sys/firmware/efi/efivars/\(name) : 06000000\(letters)0000")
    #expect(
      try host.interlocks() == [
        "0000:02:00.0": ["!boot-partition: 0000:02:00.0 → sdb1 → EFI system partition"]
      ])
  }

  @Test func `a root by iSCSI, and a disk of NVMe over TCP, stand on the cards that lead there`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:01:00.0", class: "020000", driver: "ixgbe")
    host.function("pci0000:00/0000:02:00.0", class: "020000", driver: "ixgbe")
    host.interface("pci0000:00/0000:01:00.0/net/eth0")
    host.interface("pci0000:00/0000:02:00.0/net/eth1")
    let root = host.block("platform/host6/session1/target6:0:0/6:0:0:0/block/sdz")
    host.add(
      """
      /sys/class/iscsi_connection/connection1:0/address = 10.0.0.9
      /sys/class/iscsi_connection/connection1:0/persistent_address = storage.example
      /sys/class/iscsi_connection/connection11:0/address = 10.1.0.9
      """)
    let data = host.block("virtual/nvme-fabrics/ctl/nvme0/nvme0n1")
    host.add(
      """
      /sys/class/nvme/nvme0 -> ../../devices/virtual/nvme-fabrics/ctl/nvme0
      /sys/devices/virtual/nvme-fabrics/ctl/nvme0/transport = tcp
      /sys/devices/virtual/nvme-fabrics/ctl/nvme0/address = traddr=10.1.0.7,trsvcid=4420,src_addr=10.1.0.1
      """)
    host.mount("\(root) / / rw - ext4 /dev/sdz rw")
    host.mount("\(data) / /data rw - ext4 /dev/nvme0n1 rw")
    host.mount("0:45 / /store rw - nfs4 filer:/export rw,vers=4.2,addr=10.1.0.8")
    host.route("10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1")
    host.route("10.1.0.0/16 dev eth1 proto kernel scope link src 10.1.0.1")
    host.route("local 10.1.0.1 dev eth1 table local proto kernel scope host src 10.1.0.1")
    #expect(
      try host.interlocks() == [
        "0000:01:00.0": ["!network-storage: 0000:01:00.0 → eth0 → 10.0.0.9 → sdz → /"],
        "0000:02:00.0": [
          "!network-storage: 0000:02:00.0 → eth1 → 10.1.0.7 → nvme0n1 → /data",
          "!network-storage: 0000:02:00.0 → eth1 → 10.1.0.8 → /store",
        ],
      ])
  }

  @Test func `a guest's disk on a volume of the device's disk`() throws {
    var host = CraftedHost()
    host.function("pci0000:00/0000:02:00.0", class: "010802", driver: "nvme")
    host.block("pci0000:00/0000:02:00.0/nvme/nvme0/nvme0n1")
    let number = host.block("virtual/block/dm-4", parts: ["nvme0n1"], title: "vg0-web")
    var served = ServedDevices()
    served.disks = [ServedDisk(guest: DomainID(3), number: number, path: "/dev/vg0/web")]
    #expect(
      try host.interlocks(served: served) == [
        "0000:02:00.0": ["!guest-disk: 0000:02:00.0 → nvme0n1 → vg0-web → domid 3"]
      ])
  }

  @Test func `a disk that is not there, or that is no block device, is unknown`() throws {
    try folder.write("dev/sda", "")
    let reader = UsageReader(root: folder.path)
    #expect(
      reader.openings(of: ["sda", "sdb"]) == [
        DiskOpening(disk: "sda", answer: .failed(ReadFailure(place: folder.path + "/dev/sda", .malformed))),
        DiskOpening(disk: "sdb", answer: .failed(ReadFailure(place: folder.path + "/dev/sdb", .failed(ENOENT)))),
      ])
  }
}
