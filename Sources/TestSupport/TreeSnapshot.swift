import Glibc

/// Everything that can be seen of a folder and of what is below it: names, kinds, modes, owners, contents, links and the
/// times of the last change. Equal snapshots mean that nothing was written there.
package struct TreeSnapshot: Hashable, Sendable {
  private var lines: [String: String] = [:]
  private let hasTimes: Bool

  /// Looks at a folder, without following links.
  ///
  /// Without times, snapshots are equal if everything else is: what was written has been put back.
  package init(of path: String, withTimes hasTimes: Bool = true) throws {
    self.hasTimes = hasTimes
    try add(path)
  }

  /// Returns a line for each name that differs from an earlier snapshot.
  package func differences(from earlier: TreeSnapshot) -> [String] {
    Set(lines.keys).union(earlier.lines.keys).sorted().compactMap { name in
      let (before, after) = (earlier.lines[name], lines[name])
      return before == after ? nil : "\(name): \(before ?? "not there"), then \(after ?? "not there")"
    }
  }

  private mutating func add(_ path: String) throws {
    var found = stat()
    guard unsafe lstat(path, &found) == 0 else {
      throw Command.Failure(description: "cannot look at \(path): \(errno)")
    }
    var line = "mode \(String(found.st_mode, radix: 8)), owner \(found.st_uid), "
    if hasTimes { line += "changed \(found.st_mtim.tv_sec).\(found.st_mtim.tv_nsec)" }
    switch found.st_mode & S_IFMT {
    case S_IFREG: line += ", content \(try Self.content(path))"
    case S_IFLNK: line += ", to \(try Self.target(path))"
    case S_IFDIR: for name in try Self.names(path) { try add(path + "/" + name) }
    default: break
    }
    lines[path] = line
  }

  private static func content(_ path: String) throws -> String {
    let file = unsafe open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard file >= 0 else { throw Command.Failure(description: "cannot read \(path): \(errno)") }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }

  private static func target(_ path: String) throws -> String {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink(path, &bytes, bytes.count)
    guard count >= 0 else { throw Command.Failure(description: "cannot read the link \(path): \(errno)") }
    return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func names(_ path: String) throws -> [String] {
    guard let folder = unsafe opendir(path) else {
      throw Command.Failure(description: "cannot list \(path): \(errno)")
    }
    defer { unsafe closedir(folder) }
    // An entry of the kernel ends after its name, so it may be shorter than the type `dirent`.
    let start = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size
    var names: [String] = []
    while let entry = unsafe readdir(folder) {
      let name = unsafe String(
        cString: UnsafeRawPointer(entry).advanced(by: start).assumingMemoryBound(to: CChar.self))
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
