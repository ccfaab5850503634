import Model
import XenProtocol

/// Tests libxl's saved configuration: an edited file stays readable, and its other parts stay unchanged.
func editConfiguration(_ text: [UInt8]) {
  // Nothing is read without the final NUL, and few random inputs end with it.
  let bytes = text + [0]
  let old: SavedConfiguration
  do throws(SavedConfigurationError) { old = try SavedConfiguration(bytes) } catch { return }
  must(old.bytes == bytes, "reading has changed it")
  var options = DeviceOptions()
  options.permissive = bytes.count % 2 == 0
  options.virtualSlot = bytes.count % 3 == 0 ? UInt8(1 + bytes.count % 31) : nil
  let address = PCIAddress("0000:03:1f.7")
  guard let address else { wrong("an address is not read") }
  do throws(SavedConfigurationError) {
    let device = SavedDevice(address: address, options: options)
    let added = try old.adding([device])
    must(added.devices.contains(device), "what was added is not there")
    let again = try added.adding([device])
    must(again == added, "it is added twice")
    let others = old.devices.filter { $0.address != address }
    must(added.devices.filter { $0.address != address } == others, "others have changed")
    let removed = try added.removing([address])
    must(removed.devices == others, "the remaining devices have changed")
    let none = try removed.removing([address])
    must(none == removed, "it is removed twice")
  } catch {
    wrong("what was edited cannot be read again: \(error)")
  }
}
