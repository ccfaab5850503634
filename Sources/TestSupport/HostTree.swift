import Glibc

/// A part of a host's files, from a text such as `Scripts/capture-host` writes: one entry per line.
///
/// ```
/// # A note.
/// /sys/bus/pci/devices/0000:03:00.0 -> ../../../devices/pci0000:00/0000:03:00.0
/// /sys/devices/pci0000:00/0000:03:00.0/class = 0x020000
/// /sys/devices/pci0000:00/0000:03:00.0/config : 8680331507041000
/// /proc/1/mountinfo <<
///  | 22 1 8:1 / / rw - ext4 /dev/sda1 rw
/// /sys/devices/pci0000:00/0000:03:00.0/net/eth0/
/// ```
///
/// `->` is a link, `=` a file of one line, `:` a file of bytes, `<<` a file whose lines follow behind ` | `, and a slash at
/// the end a folder.
package struct HostTree {
  package struct Malformed: Error, CustomStringConvertible {
    package let description: String
  }

  private enum Content {
    case link(String), bytes([UInt8]), folder
  }
  private var entries: [(path: String, content: Content)] = []

  package init(_ text: String) throws {
    for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      if line.isEmpty || line.hasPrefix("#") { continue }
      if line.hasPrefix(" | ") || line == " |" {
        guard case .bytes(let before)? = entries.last?.content else { throw Self.malformed(number, line) }
        entries[entries.count - 1].content = .bytes(before + Array(line.dropFirst(3).utf8) + [UInt8(ascii: "\n")])
        continue
      }
      guard line.hasPrefix("/") else { throw Self.malformed(number, line) }
      entries.append(try Self.entry(line, number))
    }
  }

  private static func malformed(_ number: Int, _ line: Substring) -> Malformed {
    Malformed(description: "line \(number + 1) is no entry: \(line)")
  }

  private static func entry(_ line: Substring, _ number: Int) throws -> (String, Content) {
    if line.hasSuffix("/") { return (String(line.dropLast()), .folder) }
    let words = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
    let path = String(words[0])
    switch words.dropFirst().first {
    case "->" where words.count == 3: return (path, .link(String(words[2])))
    case "=": return (path, .bytes(Array((words.count == 3 ? words[2] : "").utf8) + [UInt8(ascii: "\n")]))
    case "<<": return (path, .bytes([]))
    case ":" where words.count == 3:
      let digits = Array(words[2].utf8)
      let bytes = stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
      }
      guard digits.count % 2 == 0, bytes.allSatisfy({ $0 != nil }) else { throw malformed(number, line) }
      return (path, .bytes(bytes.compactMap(\.self)))
    default: throw malformed(number, line)
    }
  }

  /// Writes the files below a folder, which then is the root of that host.
  package func write(to folder: TemporaryFolder) throws {
    for (path, content) in entries {
      let name = String(path.dropFirst())
      switch content {
      case .folder: try folder.makeFolder(name)
      case .bytes(let bytes): try folder.write(name, bytes)
      case .link(let target):
        if let slash = name.lastIndex(of: "/") { try folder.makeFolder(String(name[..<slash])) }
        try folder.link(name, to: target)
      }
    }
  }
}
