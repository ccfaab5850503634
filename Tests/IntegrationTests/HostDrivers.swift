import FoundationEssentials
import Glibc
import Model
import TestSupport

extension TestHost {
  /// Returns what is wrong with the drivers of the first four devices, if `prepared` are on pciback and the driver `igb`
  /// has the others.
  func wrongDrivers(_ prepared: [PCIAddress]) throws -> [String] {
    try addresses(0..<4).flatMap { device -> [String] in
      let isPrepared = prepared.contains(device)
      var findings: [String] = []
      func expect(_ what: String, _ found: String, _ wanted: String) {
        if found != wanted { findings.append("\(device): \(what): \(found), expected \(wanted)") }
      }
      expect("driver", try driver(of: device), isPrepared ? "pciback" : "igb")
      expect("override", try sysfs("devices/\(device)/driver_override"), "(null)")
      expect("slot", "\(try sysfs("drivers/pciback/slots").contains("\(device)"))", "\(isPrepared)")
      expect("record", phase(of: device), isPrepared ? "prepared" : "none")
      return findings
    }
  }

  /// Returns how far the record of a device says that Berth has come; `none` if there is no record.
  func phase(of device: PCIAddress) -> String {
    struct Record: Decodable { var phase: String }
    let path = "\(directory)/root/var/lib/berth/devices/\(device).json"
    guard let bytes = FileManager.default.contents(atPath: path) else { return "none" }
    do { return try JSONDecoder().decode(Record.self, from: bytes).phase } catch { return "unreadable" }
  }

  /// Returns the driver of a device; `none` if no driver has it.
  func driver(of device: PCIAddress) throws -> String {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink("\(directory)/root/sys/bus/pci/devices/\(device)/driver", &bytes, bytes.count)
    guard count >= 0 else { return "none" }
    return String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
      .split(separator: "/").last.map(String.init) ?? "none"
  }

  /// Returns the text of a file below `sys/bus/pci`, without its last newline.
  func sysfs(_ name: String) throws -> String {
    let text = String(decoding: try folder.read("host/root/sys/bus/pci/\(name)"), as: UTF8.self)
    return text.last == "\n" ? String(text.dropLast()) : text
  }
}
