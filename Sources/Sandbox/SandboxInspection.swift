import Glibc

/// Looks for things in a sandbox that no sandbox makes.
package struct SandboxInspection {
  private let directory: SandboxDirectory
  private var paths: SandboxPaths { directory.paths }

  package init(of directory: SandboxDirectory) { self.directory = directory }

  /// Throws `inUse` if the host's files, or a socket's place, contain something that no sandbox makes. By such a thing, a
  /// program that works on the sandbox could change something outside of the sandbox.
  ///
  /// Only this user can have made it. Afterwards, the paths of the sandbox are used as if they were a host's.
  package func requireUntouched() throws(SandboxError) {
    for path in [paths.root, paths.log] { try requireType(path, S_IFDIR) }
    try requireSockets()
    try requireUntouched(paths.root)
  }

  /// Throws `inUse` if something else stands in the place of a socket, such as a link to another sandbox's.
  func requireSockets() throws(SandboxError) {
    try requireType(paths.store, S_IFDIR)
    for path in [paths.hypervisorSocket, paths.storeSocket] { try requireType(path, S_IFSOCK) }
  }

  private func requireType(_ path: String, _ type: mode_t) throws(SandboxError) {
    guard let found = try directory.look(path) else { return }
    guard found.st_mode & S_IFMT == type, found.st_uid == geteuid() else { throw touched(path) }
  }

  private func requireUntouched(_ path: String) throws(SandboxError) {
    let below = String(path.dropFirst(paths.root.count))
    // Berth itself looks at each file of its own before it uses the file. Devices are many, and each is looked at before
    // its reset.
    let areBerths = ["/run/berth/locks", "/run/berth/intents", "/var/lib/berth/domains"].contains(below)
    let looksInside = !areBerths && below != "/sys/bus/pci/devices"
    let folder: Descriptor
    do throws(SandboxError) { folder = try directory.open(path, O_RDONLY | O_DIRECTORY, type: S_IFDIR) } catch {
      if error.errno == ENOENT { return }
      throw error
    }
    for entry in try Files.entries(of: Descriptor(fcntl(folder.number, F_DUPFD_CLOEXEC, 0)), path) {
      let name = Files.text(entry)
      var found = stat()
      guard unsafe fstatat(folder.number, entry, &found, AT_SYMLINK_NOFOLLOW) == 0 else {
        // Programs at work on the sandbox remove their files.
        if errno == ENOENT { continue }
        throw systemError("looking at \(path)/\(name)")
      }
      let type = found.st_mode & S_IFMT
      if type == S_IFLNK {
        let target = Files.target(of: name, in: folder.number)
        guard areBerths || Self.isOwnLink(below + "/" + name, to: target) else { throw touched(path + "/" + name) }
      } else {
        // Opening a FIFO could wait for ever.
        let isKnown = type == S_IFDIR || (type == S_IFREG && found.st_nlink <= 1) || type == S_IFSOCK || areBerths
        guard found.st_uid == geteuid() || areBerths, isKnown else {
          throw touched(path + "/" + name)
        }
      }
      if type == S_IFDIR, looksInside { try requireUntouched(path + "/" + name) }
    }
    _ = consume folder
  }

  /// Returns whether the simulator makes this link: those of a bound driver, and `/var/run`.
  private static func isOwnLink(_ path: String, to target: String?) -> Bool {
    if path == "/var/run" { return target == "../run" }
    let names = path.split(separator: "/").map(String.init)
    guard names.count == 6, names[..<3] == ["sys", "bus", "pci"], names[3] == "drivers" else { return false }
    return target == "../../devices/" + names[5]
  }

  private func touched(_ path: String) -> SandboxError {
    SandboxError(
      .inUse, "\(path) is not what the sandbox made: remove it, or start the sandbox again", errno: EEXIST)
  }
}
