import Model
import XenProtocol

/// libxl's saved configuration: what is edited stays readable, and all the rest of it stays as it was.
func editConfiguration(_ text: [UInt8]) {
  // Nothing is read without the NUL that ends the file, and few bytes that nobody chose have one there.
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
    must(removed.devices == others, "what is left is not what was there")
    let none = try removed.removing([address])
    must(none == removed, "it is removed twice")
  } catch {
    wrong("what was edited cannot be read again: \(error)")
  }
}
