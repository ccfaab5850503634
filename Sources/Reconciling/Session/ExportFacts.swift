import Model
import Planning
import Ports
import XenProtocol

/// What one transaction finds of pciback, besides the nodes.
struct PCIBackFacts {
  /// The devices that are bound to pciback.
  var exportable: Set<PCIAddress>
  /// What is known of its exports. Nothing is if nobody asks.
  var history: ExportHistory
}

extension ExportHistory {
  /// Reads what Berth recorded, and what the kernel logged, of the exports to a domain's bus. Asks of `devices` whether
  /// other domains have released them.
  ///
  /// The log is read to its end, so it also has what pciback did while the transaction was open.
  init(
    of domain: DomainUUID, on bus: DomainID, asking devices: [PCIAddress], host: Host,
    in access: borrowing any StoreAccess & ~Copyable
  ) throws(HostError) {
    let record = try host.ownership.record(of: domain)
    self.init(recorded: Self.places(of: record?.exports ?? [], on: bus))
    guard let exports = try host.tree.listenForExports(sinceBoot: true)?.exports() else { return }
    let last = Self.last(of: exports)
    logged = last
    for device in devices {
      guard let other = last[device]?.domain, other != bus else { continue }
      if try Self.hasReleased(device, other, host, in: access) { released.insert(device) }
    }
  }

  /// Returns whether a domain's bus is gone, or is a PV domain's and does not list the device.
  private static func hasReleased(
    _ device: PCIAddress, _ domain: DomainID, _ host: Host, in access: borrowing any StoreAccess & ~Copyable
  ) throws(HostError) -> Bool {
    guard try host.tree.hasBackEndObject(for: domain) else { return true }
    guard try access.read(StorePath.toolstack(domain).child("type")) == "pv" else { return false }
    let bus = try BusReader(domain: domain).read { (path) throws(HostError) in try access.read(path) }
    return !(bus.entries + bus.orphans).contains { $0.device == device }
  }
}
