import Model
import Ports
import XenProtocol

/// The names that `xl pci-assignable-add --name` gave to devices.
struct DeviceNames {
  let store: any StorePort

  /// Returns the device of a name; nil if no device has the name (`name2bdf`, libxl_pci.c, Xen 4.17).
  func device(named name: String) throws(HostError) -> PCIAddress? {
    for device in (try store.list(.claims) ?? []).compactMap({ PCIAddress(storeKey: $0) }) {
      if try store.read(.libxlName(device)).map({ Name($0) }) == Name(name) { return device }
    }
    return nil
  }
}
