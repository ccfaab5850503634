/// A host's files, written in few words: PCI functions, block devices and network interfaces with their links in sysfs.
///
/// A host is quiet: it has mounts, routes and the like only as far as they are given, and nothing is missing.
package struct CraftedHost {
  private var lines: [String] = []
  /// The lines of files that grow.
  private var tables = [
    Table.mounts: ["22 1 0:20 / / rw - rootfs rootfs rw"], .connections: ["  sl  local_address rem_address   st"],
    .routes: [], .routesOfIPv6: [],
  ]
  private var blockCount = 0

  private enum Table: String, CaseIterable {
    case mounts = "/proc/1/mountinfo"
    case connections = "/proc/net/tcp"
    case routes = "/run/berth-capture/routes-ipv4"
    case routesOfIPv6 = "/run/berth-capture/routes-ipv6"
  }

  package init() {}

  /// Returns the files as the text that `HostTree` reads.
  package var text: String {
    var all = lines
    for table in Table.allCases {
      all.append("\(table.rawValue) <<")
      all += (tables[table] ?? []).map { " | \($0)" }
    }
    for path in ["/proc/swaps", "/proc/consoles", "/proc/bus/input/devices"] {
      if !lines.contains(where: { $0.hasPrefix(path) }) { all.append("\(path) =") }
    }
    return all.joined(separator: "\n") + "\n"
  }

  /// Adds lines as they are.
  package mutating func add(_ text: String) { lines += text.split(separator: "\n").map(String.init) }

  package mutating func mount(_ line: String) { add("\(30 + blockCount) 22 \(line)", to: .mounts) }

  /// Adds a route as `ip -o route show table all` prints it.
  package mutating func route(_ line: String) { add(line, to: .routes) }
  package mutating func routeOfIPv6(_ line: String) { add(line, to: .routesOfIPv6) }

  /// Adds a connection of TCP, established unless said otherwise, with addresses and states as the kernel writes them.
  package mutating func connection(from own: String, to peer: String, socket: Int, state: String = "01") {
    let zeros = "00000000"
    add(
      "   0: \(own) \(peer) \(state) \(zeros):\(zeros) 00:\(zeros) \(zeros)     0        0 \(socket) 1",
      to: .connections)
  }

  private mutating func add(_ line: String, to table: Table) { tables[table, default: []].append(line) }

  /// Adds a process with sockets.
  package mutating func process(_ number: Int, _ name: String, sockets: [Int] = []) {
    lines.append("/proc/\(number)/comm = \(name)")
    lines.append("/proc/\(number)/fd/")
    for (index, socket) in sockets.enumerated() {
      lines.append("/proc/\(number)/fd/\(3 + index) -> socket:[\(socket)]")
    }
  }

  /// Adds a PCI function. `path` is its place below `/sys/devices`: `pci0000:00/0000:02:00.0`.
  package mutating func function(_ path: String, class code: String, driver: String? = nil) {
    let name = path.split(separator: "/").last ?? ""
    lines.append("/sys/bus/pci/devices/\(name) -> ../../../devices/\(path)")
    let code = code.uppercased()
    let (base, rest) = (code.prefix(2), code.dropFirst(2))
    lines.append(
      "/sys/devices/\(path)/modalias = pci:v00008086d00001533sv00000000sd00000000bc\(base)sc\(rest.prefix(2))"
        + "i\(rest.dropFirst(2))")
    if let driver { lines.append("/sys/devices/\(path)/driver -> ../../../bus/pci/drivers/\(driver)") }
  }

  /// Adds a block device, and returns its number. `path` is its folder below `/sys/devices`.
  @discardableResult
  package mutating func block(_ path: String, parts: [String] = [], title: String? = nil) -> String {
    let name = path.split(separator: "/").last ?? ""
    let number = "8:\(blockCount)"
    blockCount += 1
    lines.append("/sys/class/block/\(name) -> ../../devices/\(path)")
    lines.append("/sys/devices/\(path)/dev = \(number)")
    for part in parts { lines.append("/sys/devices/\(path)/slaves/\(part) -> ../../\(part)") }
    if let title { lines.append("/sys/devices/\(path)/dm/name = \(title)") }
    return number
  }

  /// Adds a network interface. `path` is its folder below `/sys/devices`.
  package mutating func interface(_ path: String, lower: [String] = [], files: [String: String] = [:]) {
    let name = path.split(separator: "/").last ?? ""
    lines.append("/sys/class/net/\(name) -> ../../devices/\(path)")
    lines.append("/sys/devices/\(path)/type = \(files["type"] ?? "1")")
    for below in lower { lines.append("/sys/devices/\(path)/lower_\(below) -> ../\(below)") }
    for (file, text) in files.sorted(by: { $0.key < $1.key }) where file != "type" {
      lines.append("/sys/devices/\(path)/\(file) = \(text)")
    }
  }
}
