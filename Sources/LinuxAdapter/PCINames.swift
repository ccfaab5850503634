import Glibc
package import Model

/// Device names for people, from the PCI ID Repository's list as distributions install it (package `pci.ids`).
///
/// The list is read once per question, and only for a question about some device or class. Without the list there are no names.
package struct PCINames: Sendable {
  private let root: Root

  /// `root` is `/`, or the folder that replaces it for a sandbox.
  package init(root: String) { self.root = Root(root) }

  /// Returns the known names, such as `Intel I210 Gigabit Network Connection`.
  package func names(for devices: Set<DeviceID>) -> [DeviceID: String] {
    guard !devices.isEmpty, let list else { return [:] }
    return Self.names(for: devices, in: list)
  }

  /// The first list that can be read. An unreadable list counts as a missing one: names are optional.
  private var list: [UInt8]? {
    for path in root.pciNames {
      if let bytes = try? readFile(path, atMost: 16 << 20) { return bytes }
    }
    return nil
  }

  /// Returns the names in a list.
  ///
  /// A vendor's line is `8086  Intel Corporation`, a device's below it `<tab>1533  I210 Gigabit Network Connection`.
  /// Two tabs begin a subsystem. `C` begins the list of classes, which ends the devices.
  static func names(for devices: Set<DeviceID>, in list: [UInt8]) -> [DeviceID: String] {
    let vendors = Set(devices.map(\.vendor))
    var names: [DeviceID: String] = [:]
    var vendor: (id: UInt16, name: String)?
    var position = 0
    while position < list.count {
      let end = endOfLine(list, position)
      let line = list[position..<end]
      position = end + 1
      guard let first = line.first else { continue }
      switch first {
      case UInt8(ascii: "#"): continue
      case UInt8(ascii: "C"): return names
      case UInt8(ascii: "\t"):
        guard let current = vendor, line.dropFirst().first != UInt8(ascii: "\t"),
          let (id, name) = entry(line.dropFirst()), devices.contains(DeviceID(vendor: current.id, device: id))
        else { continue }
        names[DeviceID(vendor: current.id, device: id)] = current.name + " " + name
      default:
        vendor = entry(line).flatMap { vendors.contains($0.id) ? ($0.id, shortVendor($0.name)) : nil }
      }
    }
    return names
  }

  /// Returns the known names of classes, such as `Ethernet controller`. A class has 24 bits.
  package func classNames(for classes: Set<UInt32>) -> [UInt32: String] {
    guard !classes.isEmpty, let list else { return [:] }
    return Self.classNames(for: classes, in: list)
  }

  /// Returns the names of classes in a list.
  ///
  /// A class's line is `C 02  Network controller`, a subclass's below it `<tab>00  Ethernet controller`, and an
  /// interface's `<tab><tab>02  NVM Express`. An interface's name stands behind that of its subclass.
  static func classNames(for classes: Set<UInt32>, in list: [UInt8]) -> [UInt32: String] {
    var found: [UInt32: String] = [:]
    var base: UInt32?
    var sub: (number: UInt32, name: String)?
    var position = startOfClasses(in: list)
    while position < list.count {
      let end = endOfLine(list, position)
      let line = list[position..<end]
      position = end + 1
      let depth = line.prefix { $0 == UInt8(ascii: "\t") }.count
      if depth == 0, line.first == UInt8(ascii: "C") {
        base = classEntry(line.dropFirst(2))?.number
        sub = nil
      } else if depth == 1, let base {
        sub = classEntry(line.dropFirst()).map { (base << 8 | $0.number, $0.name) }
        if let sub { for wanted in classes where wanted >> 8 == sub.number { found[wanted] = sub.name } }
      } else if depth == 2, let sub, let (number, name) = classEntry(line.dropFirst(2)) {
        let wanted = sub.number << 8 | number
        if classes.contains(wanted) { found[wanted] = "\(sub.name) (\(name))" }
      }
    }
    return found
  }

  /// Returns where the list of classes begins; the list's end if it has none.
  private static func startOfClasses(in list: [UInt8]) -> Int {
    var position = 0
    while position < list.count {
      if list[position] == UInt8(ascii: "C") { return position }
      position = endOfLine(list, position) + 1
    }
    return list.count
  }

  private static func classEntry(_ line: ArraySlice<UInt8>) -> (number: UInt32, name: String)? {
    guard line.count > 4, let number = hexadecimal(String(decoding: line.prefix(2), as: UTF8.self), digits: 2...2)
    else { return nil }
    return (UInt32(number), String(decoding: line.dropFirst(4), as: UTF8.self))
  }

  private static func endOfLine(_ list: [UInt8], _ start: Int) -> Int {
    unsafe list.withUnsafeBytes { bytes in
      guard let base = bytes.baseAddress,
        let found = unsafe memchr(base + start, Int32(UInt8(ascii: "\n")), bytes.count - start)
      else { return bytes.count }
      return unsafe UnsafeRawPointer(found) - base
    }
  }

  private static func entry(_ line: ArraySlice<UInt8>) -> (id: UInt16, name: String)? {
    guard line.count > 6, let id = hexadecimal(String(decoding: line.prefix(4), as: UTF8.self), digits: 4...4)
    else { return nil }
    return (UInt16(id), String(decoding: line.dropFirst(6), as: UTF8.self))
  }

  /// Returns a vendor's name without the words for its legal form: `Intel`, `Realtek`, `AMD/ATI`.
  private static func shortVendor(_ name: String) -> String {
    if let open = name.lastIndex(of: "["), let close = name.lastIndex(of: "]"), open < close {
      return String(name[name.index(after: open)..<close])
    }
    let company: Set<Substring> = [
      "corporation", "corp", "inc", "co", "ltd", "limited", "gmbh", "ag", "llc", "company", "semiconductor",
      "semiconductors", "electronics", "technology", "technologies", "international", "group",
    ]
    var words = name.split(separator: " ")
    while words.count > 1, let last = words.last {
      let plain = last.lowercased().split(whereSeparator: { $0 == "." || $0 == "," }).first ?? ""
      guard company.contains(plain) else { break }
      words.removeLast()
    }
    return words.joined(separator: " ").split(separator: ",").first.map(String.init) ?? name
  }
}
