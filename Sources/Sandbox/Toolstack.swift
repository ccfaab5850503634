import Glibc
import Model
import Ports
import XenProtocol

/// The traces that a toolstack leaves in xenstore and in its files when it builds a domain.
///
/// They are the nodes, values and permissions that `xl create` of Xen 4.17 left on a real host.
struct Toolstack {
  let directory: SandboxDirectory
  let store: StoreLink

  /// Writes dom0's own nodes (`xen-init-dom0`).
  func prepareHost() throws(StoreError) {
    let home = DomainID.zero.home
    for (name, value) in [
      ("domid", "0"), ("name", "Domain-0"), ("control/feature-poweroff", "1"), ("control/feature-reboot", "1"),
      ("memory/target", "1048576"), ("memory/static-max", "1048576"),
    ] { try store.write(home + "/" + name, value) }
    try store.write("/local/pool/0/name", "Pool-0")
    try store.write("/libxl", "")
  }

  /// Writes a domain's nodes without its devices.
  func build(_ domain: ScenarioDomain, as id: DomainID) throws(StoreError) {
    let guestReads = StorePermissions(owner: .zero, reader: id)
    let guestOwns = StorePermissions(owner: id, reader: nil)
    let virtualMachine = "/vm/\(domain.uuid)"
    try store.write("/libxl/\(id)", "")
    try store.write("/libxl/\(id)/device", "")
    if domain.kind != .unknown { try store.write("/libxl/\(id)/type", domain.kind.rawValue) }
    try store.write("/libxl/\(id)/dm-version", domain.deviceModel.version.rawValue)
    try store.makeNode(virtualMachine, guestReads)
    for (name, value) in [
      ("uuid", "\(domain.uuid)"), ("name", domain.name), ("image/ostype", domain.kind == .hvm ? "hvm" : "linux"),
    ] {
      try store.write(virtualMachine + "/" + name, value)
    }
    try store.makeNode(id.home, guestReads)
    for (name, value) in [
      ("vm", virtualMachine), ("name", domain.name), ("domid", "\(id)"), ("device", ""),
      ("cpu/0/availability", "online"), ("memory/static-max", "262144"), ("memory/target", "262144"),
      ("control/platform-feature-xs_reset_watches", "1"), ("store/port", "1"), ("store/ring-ref", "1"),
    ] { try store.write(id.home + "/" + name, value) }
    for name in ["control/shutdown", "control/sysrq", "data", "drivers", "feature", "attr", "error"] {
      try store.makeNode(id.home + "/" + name, guestOwns)
    }
    guard domain.kind == .hvm else { return }
    try store.write(id.home + "/platform/device-model", domain.deviceModel.version.rawValue)
    guard domain.stubDomain == nil else { return }
    try store.write(id.home + "/image/device-model-pid", Self.noProcess)
    try store.write("/local/domain/0/device-model/\(id)/state", "running")
  }

  /// One more than the highest number of a process (`PID_MAX_LIMIT`, Linux include/linux/threads.h). The simulator
  /// plays QEMU, and a toolstack sends a signal to the number in this node.
  private static let noProcess = "4194305"

  /// Records that a domain is a guest's stub domain (`libxl__spawn_stub_dm`, libxl_dm.c, Xen 4.17).
  func setTarget(_ guest: DomainID, of stub: DomainID) throws(StoreError) {
    try store.write(stub.home + "/target", "\(guest)")
    try store.write(stub.home + "/image/device-model-pid", Self.noProcess)
    let directory = stub.home + "/device-model"
    try store.makeNode(directory, StorePermissions(owner: stub, reader: nil))
    try store.write("\(directory)/\(guest)/state", "running")
  }

  /// Records where a guest's QEMU runs.
  func setStub(_ stub: DomainID, of guest: DomainID) throws(StoreError) {
    try store.write(guest.home + "/image/device-model-domid", "\(stub)")
  }

  /// Writes a bus with all its devices as the first attach does: both ends in state 1, one commit.
  ///
  /// For a guest with a stub domain, `domain` is the stub domain, and the claim is the guest's.
  func attach(
    _ devices: [SavedDevice], to domain: ScenarioDomain, as id: DomainID, claimedBy guest: DomainID
  ) throws(StoreError) {
    guard !devices.isEmpty else { return }
    try store.transaction { (inside: any SimulatorStore) throws(StoreError) in
      try inside.makeNode(id.backEnd, StorePermissions(owner: .zero, reader: id))
      try inside.makeNode(id.frontEnd, StorePermissions(owner: id, reader: .zero))
      for (name, value) in [
        ("frontend", id.frontEnd), ("frontend-id", "\(id)"), ("online", "1"), ("state", "1"), ("domain", domain.name),
        ("num_devs", "\(devices.count)"),
      ] { try inside.write(id.backEnd + "/" + name, value) }
      for (name, value) in [("backend", id.backEnd), ("backend-id", "0"), ("state", "1")] {
        try inside.write(id.frontEnd + "/" + name, value)
      }
      for (index, device) in devices.enumerated() {
        try inside.write(id.backEnd + "/key-\(index)", "\(device.address)")
        try inside.write(id.backEnd + "/dev-\(index)", "\(device.address)")
        if let function = device.options.storeVirtualFunction {
          try inside.write(id.backEnd + "/vdevfn-\(index)", function)
        }
        try inside.write(id.backEnd + "/opts-\(index)", device.options.storeText)
        try inside.write(id.backEnd + "/state-\(index)", "1")
        try inside.write(StorePath.claim(device.address).text, "\(guest)")
      }
      return true
    }
  }

  /// Writes the file that a toolstack writes last when it has built a domain.
  func save(_ domain: ScenarioDomain, as id: DomainID) throws(SandboxError) {
    let key = DomainKey(id: id, uuid: domain.uuid)
    try directory.write(
      directory.paths.userdata("d", of: key, "libxl-json"),
      SavedConfigurationText.bytes(of: domain, devices: domain.devices + domain.staleDevices))
  }

  /// Removes everything of a domain, in libxl's order (`libxl__destroy_domid`).
  func destroy(_ key: DomainKey) throws(StoreError) {
    for path in [
      key.id.backEnd, key.id.home + "/device/pci", "/vm/\(key.uuid)", key.id.home, "/libxl/\(key.id)",
      "/local/domain/0/device-model/\(key.id)", "/local/domain/0/error/backend/pci/\(key.id)",
    ] { try store.remove(path) }
    for path in ["/local/domain/0/backend/pci/\(key.id)", "/local/domain/0/backend/pci"]
    where try store.list(path)?.isEmpty == true { try store.remove(path) }
    for claim in try store.list("/libxl/pci") ?? []
    where try store.read("/libxl/pci/\(claim)/domid") == "\(key.id)" { try store.remove("/libxl/pci/\(claim)/domid") }
  }

  /// Removes a domain's userdata files except the lock, as libxl does.
  func forget(_ key: DomainKey) throws(SandboxError) {
    let folder = directory.paths.userdata
    for name in try directory.list(folder) ?? []
    where name.contains(".\(key.id).\(key.uuid).") && !name.hasSuffix(".domain-userdata-lock") {
      try directory.remove(folder + "/" + name)
    }
  }
}
