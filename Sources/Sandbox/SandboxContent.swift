import Glibc

/// What a sandbox makes in its directory, and how that is told from everything else.
struct SandboxContent {
  let directory: SandboxDirectory
  private var paths: SandboxPaths { directory.paths }

  /// Throws unless the directory is this user's, and nobody else may enter it.
  func requirePrivate() throws(SandboxError) {
    let found = try directory.status()
    guard found.st_uid == geteuid() else {
      throw SandboxError(
        .notOwned,
        "\(paths.directory) belongs to uid \(found.st_uid): work on it as that user, or "
          + TrustedWalk.otherDirectory)
    }
    guard found.st_mode & 0o077 == 0 else {
      throw SandboxError(
        .inUse,
        "\(paths.directory) is open to other users (mode \(String(found.st_mode & 0o7777, radix: 8))): "
          + "\(TrustedWalk.otherDirectory); or, if everything in it is yours, close it with "
          + "`chmod 700 \(paths.directory)`")
    }
  }

  /// Returns the sandbox's description; nil if there is none. Throws `inUse` if `sandbox.json` is something else.
  func description() throws(SandboxError) -> SandboxDescription? {
    let description: SandboxDescription
    do throws(SandboxError) {
      guard let bytes = try directory.readBytes(paths.description) else { return nil }
      description = try decoded(SandboxDescription.self, from: bytes)
    } catch {
      throw notSandbox("its sandbox.json describes none (\(error.message))")
    }
    guard description.kind == SandboxDescription.kind, description.version == SandboxDescription.version else {
      throw notSandbox("its sandbox.json was not written by this release of Berth")
    }
    guard description.inode == UInt64(try directory.status().st_ino) else {
      throw notSandbox("its sandbox.json is a copy of another sandbox's")
    }
    return description
  }

  private func notSandbox(_ cause: String) -> SandboxError {
    SandboxError(
      .inUse, "\(paths.directory) is not a sandbox: \(cause). Nothing was removed: \(TrustedWalk.otherDirectory)")
  }

  /// Writes the description, as a whole.
  func save(_ description: SandboxDescription) throws(SandboxError) {
    var description = description
    description.inode = UInt64(try directory.status().st_ino)
    try directory.write(paths.description + ".new", try encoded(description) + [UInt8(ascii: "\n")])
    try directory.rename(paths.description + ".new", to: "sandbox.json")
  }

  /// Returns the names in the directory that no sandbox makes.
  func foreignNames() throws(SandboxError) -> [String] { try names().filter { !Self.isOwn($0) } }

  /// Returns all names in the directory, sorted.
  func names() throws(SandboxError) -> [String] {
    let listed = Descriptor(unsafe openat(directory.number, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
    guard listed.number >= 0 else { throw systemError("listing \(paths.directory)") }
    return try Files.entries(of: listed, paths.directory).map(Files.text).sorted()
  }

  /// The directories of a sandbox. Programs that run on it make files of any name in them.
  private static let ownDirectories = ["root", "xenstored", "log"]
  private static let ownFiles = ["hypervisor.sock", "scenario.yaml", "simulator.lock", "sandbox.json.new"]

  private static func isOwn(_ name: String) -> Bool {
    (ownDirectories + ownFiles).contains(name) || name == "sandbox.json"
      || name.hasPrefix("dom-") && UInt32(name.dropFirst(4)) != nil
  }

  /// Removes what a sandbox has made, its description last, so that a removal that was interrupted can be repeated.
  func clear() throws(SandboxError) {
    for name in try names() where Self.isOwn(name) && name != "sandbox.json" {
      let path = paths.directory + "/" + name
      if Self.ownDirectories.contains(name) { try directory.removeTree(path) } else { try directory.remove(path) }
    }
    try directory.remove(paths.description)
  }

  /// Removes the directory itself if it is empty and its parent permits it.
  func removeItself() throws(SandboxError) {
    if unsafe rmdir(paths.directory) == 0 { return }
    guard [ENOENT, ENOTEMPTY, EEXIST, EBUSY, EACCES, EPERM, EROFS].contains(errno) else {
      throw systemError("removing \(paths.directory)")
    }
  }
}
