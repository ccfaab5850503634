import FoundationEssentials
import Glibc
import LinuxAdapter
import Model
import Planning

/// Measures the inventory of a host with 512 functions: 32 root ports with 15 cards each.
///
/// The files are ordinary ones, in a temporary folder. On a host, each access to a configuration space also waits for the
/// device.
func measureInventory(_: Programs) throws -> Section {
  var section = Section(
    title: "Inventory of 512 functions, and what stands on them", rows: [["facts", "ms", "reads", "reads each"]],
    figures: [])
  var template = Array("/tmp/berth-bench-XXXXXX\0".utf8CString.dropLast())
  guard unsafe mkdtemp(&template) != nil else { throw BenchError("mkdtemp: errno \(errno)") }
  let root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer {
    do { try FileManager.default.removeItem(atPath: root) } catch { tell("left \(root): \(error)", to: STDERR_FILENO) }
  }
  let count = try makeTree(below: root)
  let inventory = SysfsInventory(root: root)
  for (name, facts) in [("usual", FunctionFact.usual), ("all", Set(FunctionFact.allCases))] {
    var times: [Double] = []
    var reads = 0
    for _ in 0..<11 {
      let before = try readCalls()
      var found = Inventory(functions: [], facts: [])
      times.append(try milliseconds { found = try inventory.inventory(of: facts) })
      reads = try readCalls() - before
      guard found.functions.count == count, found.functions.allSatisfy(\.unread.isEmpty) else {
        throw BenchError("the inventory has \(found.functions.count) functions of \(count)")
      }
    }
    let time = times.median
    section.rows.append([name, time.text(decimals: 1), "\(reads)", (Double(reads) / Double(count)).text(decimals: 1)])
    section.figures += [Figure("inventory_\(name)_ms", time), Figure("inventory_\(name)_reads", reads)]
  }
  let whole = try inventory.inventory(of: Set(FunctionFact.allCases))
  var times: [Double] = []
  for _ in 0..<11 { times.append(milliseconds { _ = IsolationGroups(whole) }) }
  section.rows.append(["isolation", times.median.text(decimals: 1), "0", "0.0"])
  section.figures.append(Figure("inventory_isolation_ms", times.median))
  try measureInterlocks(whole, into: &section)
  return section
}

/// Returns how often this process has called read(2) and its relatives (proc(5), `io`).
private func readCalls() throws -> Int {
  let text = try String(contentsOfFile: "/proc/self/io", encoding: .utf8)
  guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("syscr: ") }),
    let number = Int(line.dropFirst(7))
  else { throw BenchError("/proc/self/io has no syscr") }
  return number
}

/// Makes the files of all functions, and returns their number.
private func makeTree(below root: String) throws -> Int {
  let manager = FileManager.default
  let bus = root + "/sys/bus/pci/devices"
  try manager.createDirectory(atPath: bus, withIntermediateDirectories: true)
  func make(_ folder: String, _ name: String, _ files: [String: String], _ configuration: [Int: UInt32]) throws {
    let path = "\(root)/sys/devices/\(folder)"
    try manager.createDirectory(atPath: path, withIntermediateDirectories: true)
    try manager.createSymbolicLink(atPath: "\(bus)/\(name)", withDestinationPath: "../../../devices/\(folder)")
    for (file, text) in files { try write(text + "\n", to: "\(path)/\(file)") }
    var bytes = [UInt8](repeating: 0, count: 4096)
    for (offset, word) in configuration {
      for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index))) }
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path + "/config"))
  }
  let zeros = Array(repeating: Array(repeating: "0x0000000000000000", count: 3).joined(separator: " "), count: 12)
  let resource = (["0x00000000df200000 0x00000000df2fffff 0x0000000000040200"] + zeros).joined(separator: "\n")
  var count = 0
  for port in 0..<32 {
    let bridge = "0000:00:" + hex(UInt64(port), 2) + ".0"
    let number = port * 7 + 1
    try make(
      "pci0000:00/\(bridge)", bridge,
      [
        "modalias": "pci:v00008086d0000A338sv00000000sd00000000bc06sc04i00", "secondary_bus_number": "\(number)",
        "driver_override": "(null)", "revision": "0xf0", "irq": "120", "power_state": "D0", "d3cold_allowed": "1",
        "resource": zeros.joined(separator: "\n"),
      ],
      [
        0x00: 0xA338_8086, 0x04: 0x0010_0000, 0x0C: 0x0001_0000, 0x34: 0x40, 0x40: 0x0042_0010, 0x100: 0x0001_000D,
        0x104: 0x001D_001F,
      ])
    count += 1
    for card in 0..<15 {
      let name = "0000:" + hex(UInt64(number), 2) + ":" + hex(UInt64(card), 2) + ".0"
      // Two capabilities stand before the one that is looked for, in each of the two lists.
      try make(
        "pci0000:00/\(bridge)/\(name)", name,
        [
          "modalias": "pci:v00008086d00001533sv00008086sd00000001bc02sc00i00", "driver_override": "(null)",
          "revision": "0x03", "irq": "16", "power_state": "D0", "d3cold_allowed": "1", "reset": "",
          "reset_method": "flr pm", "resource": resource,
        ],
        [
          0x00: 0x1533_8086, 0x04: 0x0010_0000, 0x34: 0x40, 0x40: 0x0000_5001, 0x50: 0x0000_7005, 0x70: 0x0002_0010,
          0x100: 0x1402_0001, 0x140: 0x1501_0018, 0x150: 0x0001_0003, 0x154: UInt32(port << 8 | card) | 0xFF00_0000,
          0x158: 0xA036_9FFF,
        ])
      count += 1
    }
  }
  return count
}
