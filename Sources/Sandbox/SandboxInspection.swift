import Glibc
import Model

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
    // Berth itself looks at each file of its own before it uses the file. Devices are many, and the way to each is looked
    // at before its reset.
    let areBerths = ["/run/berth/locks", "/run/berth/intents", "/var/lib/berth/domains"].contains(below)
    let looksInside = !areBerths && below != "/sys/bus/pci/devices" && !below.hasPrefix("/sys/devices/")
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

  /// Returns whether the simulator makes this link: those to devices and their interfaces, and `/var/run`.
  private static func isOwnLink(_ path: String, to target: String?) -> Bool {
    if path == "/var/run" { return target == "../run" }
    guard let target else { return false }
    let names = path.split(separator: "/").map(String.init)
    switch names.dropLast() {
    case ["sys", "bus", "pci", "devices"]: return isDevice(target, below: "../../../devices/", named: names[4])
    case ["sys", "class", "net"], ["sys", "class", "block"]:
      let end = "/\(names[2])/" + names[3]
      return target.hasSuffix(end) && isDevice(String(target.dropLast(end.count)), below: "../../devices/")
    default:
      guard names.count == 6, names[..<4] == ["sys", "bus", "pci", "drivers"] else { return false }
      return isDevice(target, below: "../../../../devices/", named: names[5])
    }
  }

  /// Returns whether a link's target is a device's folder in the tree of all devices.
  private static func isDevice(_ target: String, below way: String, named name: String? = nil) -> Bool {
    guard target.hasPrefix(way) else { return false }
    let parts = target.dropFirst(way.count).split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count > 1, parts[0].hasPrefix("pci"), parts.dropFirst().allSatisfy({ PCIAddress($0) != nil }) else {
      return false
    }
    return name == nil || parts.last.map(String.init) == name
  }

  private func touched(_ path: String) -> SandboxError {
    SandboxError(
      .inUse, "\(path) is not what the sandbox made: remove it, or start the sandbox again", errno: EEXIST)
  }
}
