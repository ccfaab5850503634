package import Model
package import Planning
package import Ports
import XenProtocol

/// Reads what dom0 serves to guests, from the nodes of dom0's own back ends. Guests cannot write them.
package struct ServedDeviceReader {
  /// Back ends for disks: of the kernel, of QEMU, of XAPI's blktap and its like.
  private static let disks: Set<String> = ["qdisk", "tap", "vbd", "vbd3"]
  /// Back ends for whole SCSI devices. Their nodes name no block device.
  private static let opaque: Set<String> = ["vscsi"]

  private let host: Host

  package init(host: Host) { self.host = host }

  /// Returns what dom0 serves, and the devices that the observed guests have.
  ///
  /// What cannot be read is named in the answer. `observation` is nil if Xen or xenstored did not answer.
  package func served(_ observation: ObservationIndex?) -> ServedDevices {
    var served = ServedDevices()
    guard let observation else {
      served.unread = [StorePath.servedByHost.text]
      return served
    }
    served = self.served()
    observation.addHolders(to: &served)
    return served
  }

  /// Returns what dom0 serves, without the devices that guests have.
  func served() -> ServedDevices {
    var served = ServedDevices()
    do throws(HostError) { try read(host.stores.connect(), into: &served) } catch {
      served.unread.append(StorePath.servedByHost.text)
    }
    return served
  }

  private func read(_ store: any StorePort, into served: inout ServedDevices) throws(HostError) {
    for kind in try store.list(.servedByHost) ?? [] {
      let isDisk = Self.disks.contains(kind)
      guard isDisk || kind == "vif" || Self.opaque.contains(kind) else { continue }
      let home = StorePath.servedByHost.child(kind)
      for name in try store.list(home) ?? [] {
        let guestHome = home.child(name)
        guard let guest = decimal(name).map({ DomainID(UInt32($0)) }) else {
          served.unread.append(guestHome.text)
          continue
        }
        for device in try store.list(guestHome) ?? [] {
          let folder = guestHome.child(device)
          if isDisk {
            served.disks.append(try disk(of: guest, folder, store))
          } else if kind == "vif" {
            served.interfaces.append(ServedInterface(guest: guest, bridge: try text(folder.child("bridge"), store)))
          } else {
            served.unread.append(folder.text)
          }
        }
      }
    }
  }

  /// Reads a disk. `physical-device` is `fd:3`, major and minor number in hexadecimal, as the hotplug script writes them
  /// (`write_dev`, tools/hotplug/Linux/block-common.sh, Xen 4.17).
  private func disk(of guest: DomainID, _ folder: StorePath, _ store: any StorePort) throws(HostError) -> ServedDisk {
    let numbers = (try text(folder.child("physical-device"), store) ?? "").split(separator: ":")
      .compactMap { hexadecimal($0, digits: 1...8) }
    let number = numbers.count == 2 && numbers != [0, 0] ? "\(numbers[0]):\(numbers[1])" : nil
    var path = try text(folder.child("physical-device-path"), store)
    if path == nil { path = try text(folder.child("params"), store) }
    return ServedDisk(guest: guest, number: number, path: path.map(Self.plain))
  }

  /// Returns the path in a text such as `aio:/images/web.img`, which says also how QEMU opens it (`libxl__device_disk_add`,
  /// libxl_disk.c, Xen 4.17); another text as it is.
  private static func plain(_ text: String) -> String {
    guard let colon = text.firstIndex(of: ":"), !text[..<colon].contains("/") else { return text }
    let rest = text[text.index(after: colon)...]
    return rest.hasPrefix("/") ? String(rest) : text
  }

  private func text(_ path: StorePath, _ store: any StorePort) throws(HostError) -> String? {
    try store.read(path).flatMap { $0.isEmpty ? nil : $0 }
  }
}
