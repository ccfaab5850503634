import Model

/// The path of a manifest as programs beside a repository have it: relative to a directory if the file is below it.
struct ManifestPath: Hashable, Sendable {
  /// The path, with `/` between its parts and neither `.` nor, as far as possible, `..` among them.
  let path: String

  init(_ file: String, in directory: String?) {
    let parts = Self.parts(of: file)
    guard file.hasPrefix("/") else {
      path = parts.joined(separator: "/")
      return
    }
    let above = directory.flatMap { $0.hasPrefix("/") ? Self.parts(of: $0) : nil } ?? []
    let isBelow = !above.isEmpty && parts.count > above.count && parts.starts(with: above)
    path = isBelow ? parts.dropFirst(above.count).joined(separator: "/") : "/" + parts.joined(separator: "/")
  }

  /// The path as a reference of RFC 3986: an absolute one is an address of a file.
  var uri: String {
    var result = path.hasPrefix("/") ? "file://" : ""
    for byte in path.utf8 {
      let scalar = Unicode.Scalar(byte)
      switch scalar {
      case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~", "/": result.unicodeScalars.append(scalar)
      default: result += "%" + hex(UInt64(byte), 2).uppercased()
      }
    }
    return result
  }

  private static func parts(of path: String) -> [Substring] {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == "..", let last = parts.last, last != ".." {
        parts.removeLast()
      } else if part != ".." || !path.hasPrefix("/") {
        parts.append(part)
      }
    }
    return parts
  }
}
