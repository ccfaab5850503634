import Model
import Synchronization
import XenProtocol

extension ModelHost {
  /// Makes the guest's device model a qemu-traditional, in dom0 or in the stub domain `dm`. It answers each command as
  /// soon as a program waits for the answer.
  ///
  /// It rejects a device it already has, and never answers a removal of one it lacks.
  package func setTraditional(_ number: UInt32, in dm: UInt32) {
    let nodes = "/local/domain/\(dm)/device-model/\(number)"
    store[StorePath.toolstack(DomainID(number)).child("dm-version").text] = "qemu_xen_traditional"
    store[nodes + "/state"] = "running"
    store.whenIdle.function = { [unowned self] store in
      guard store[nodes + "/state"] == "running", let command = store[nodes + "/command"],
        let parameter = store[nodes + "/parameter"],
        let device = PCIAddress(parameter.prefix { $0 != "," && $0 != "@" })
      else { return false }
      let name = DeviceModelName(device).description
      if command != "pci-ins", !letsGo(number) { return false }
      store[nodes + "/command"] = nil
      if command == "pci-ins" {
        let hasIt = emulated(number).contains(name)
        if !hasIt {
          putEmulated(number, device, slot: 4 + device.device)
          store[nodes + "/parameter"] = "0x" + String((4 + device.device) << 3, radix: 16)
        }
        store[nodes + "/state"] = hasIt ? "pci-insert-failed" : "pci-inserted"
      } else {
        guard emulated(number).contains(name) else { return true }
        removeEmulated(number, device)
        store[nodes + "/state"] = "pci-removed"
      }
      return true
    }
  }
}
