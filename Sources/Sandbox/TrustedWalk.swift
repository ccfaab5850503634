import Glibc

/// A way to a directory that no other user can change while it is used.
///
/// Each directory on the way must belong to root or to this user. Root also refuses those in which others may replace
/// names: writable by others and without the sticky bit. A link is followed if root or this user made it. The way is
/// taken from descriptor to descriptor, so nothing on it can be exchanged meanwhile.
struct TrustedWalk: ~Copyable {
  /// The directory reached so far.
  private(set) var directory: Descriptor
  /// Its path without links; empty for `/`.
  private(set) var path = ""
  /// Whether the walk made the last directory.
  private(set) var isNew = false
  private var route: Route

  /// What is still to be walked.
  private struct Route {
    let wanted: String
    var names: [String]
    var links = 0
    let trust: Trust
  }

  /// What to do next to the wanted directory, in messages.
  static let otherDirectory =
    "choose another directory, for example below your home directory, or one that `mktemp -d` has made"

  /// Walks to the directory at an absolute path. With `makesMissing` it makes what is missing, for this user only.
  ///
  /// Throws `notFound` if something is missing, and `notOwned` if another user could change the way.
  static func directory(at wanted: String, makesMissing: Bool) throws(SandboxError) -> TrustedWalk {
    let top = try top()
    let trust = Trust(try status(of: top, "/"))
    let names = wanted.split(separator: "/").reversed().map(String.init)
    var walk = TrustedWalk(directory: top, route: Route(wanted: wanted, names: names, trust: trust))
    while let name = walk.route.names.popLast() { try walk.step(to: name, makesMissing: makesMissing) }
    return walk
  }

  private init(directory: consuming Descriptor, route: Route) {
    self.directory = directory
    self.route = route
  }

  private mutating func step(to name: String, makesMissing: Bool) throws(SandboxError) {
    if name == "." { return }
    if name == ".." {
      directory = try open("..")
      path = path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
      return
    }
    let place = path.isEmpty ? "/" : path
    let parent = try Self.status(of: directory, place)
    if let fault = route.trust.fault(parent) {
      throw SandboxError(
        .notOwned, "\(route.wanted) cannot be a sandbox: \(place), above it, \(fault): \(Self.otherDirectory)")
    }
    var found = stat()
    if unsafe fstatat(directory.number, name, &found, AT_SYMLINK_NOFOLLOW) != 0 {
      guard errno == ENOENT else { throw systemError("looking at \(path)/\(name)") }
      guard makesMissing else {
        throw SandboxError(.notFound, "there is no directory \(route.wanted)", errno: ENOENT)
      }
      let isMade = unsafe mkdirat(directory.number, name, 0o700) == 0
      guard isMade || errno == EEXIST else { throw systemError("making the directory \(path)/\(name)") }
      if isMade {
        try enter(name)
        isNew = true
      } else {
        route.names.append(name)
      }
      return
    }
    guard found.st_mode & S_IFMT == S_IFLNK else {
      return try enter(name)
    }
    guard route.trust.owners.contains(found.st_uid) else {
      throw SandboxError(
        .notOwned, "\(path)/\(name) is a link that uid \(found.st_uid) has made: \(Self.otherDirectory)")
    }
    try follow(name)
  }

  private mutating func follow(_ name: String) throws(SandboxError) {
    route.links += 1
    // The kernel's own limit (`MAXSYMLINKS`, Linux include/linux/namei.h).
    guard route.links <= 40 else { throw systemError("looking at \(path)/\(name)", ELOOP) }
    guard let target = Files.target(of: name, in: directory.number) else {
      throw systemError("reading the link \(path)/\(name)")
    }
    route.names += target.split(separator: "/").reversed().map(String.init)
    guard target.hasPrefix("/") else { return }
    directory = try Self.top()
    path = ""
  }

  private mutating func enter(_ name: String) throws(SandboxError) {
    directory = try open(name)
    path += "/" + name
    isNew = false
  }

  private borrowing func open(_ name: String) throws(SandboxError) -> Descriptor {
    let number = unsafe openat(directory.number, name, handleOnly | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard number >= 0 else { throw systemError("opening the directory \(path)/\(name)") }
    return Descriptor(number)
  }

  private static func top() throws(SandboxError) -> Descriptor {
    let number = unsafe Glibc.open("/", handleOnly | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw systemError("opening /") }
    return Descriptor(number)
  }

  private static func status(of directory: borrowing Descriptor, _ path: String) throws(SandboxError) -> stat {
    var found = stat()
    guard unsafe fstat(directory.number, &found) == 0 else { throw systemError("looking at \(path)") }
    return found
  }
}

/// Whom a walk trusts.
private struct Trust {
  /// Root, this user, and the owner of `/`. In a user namespace, `/` belongs to a root that has no number there.
  let owners: Set<uid_t>
  private let groups: Set<gid_t>

  init(_ top: stat) {
    owners = [0, geteuid(), top.st_uid]
    groups = [0, getegid(), top.st_gid]
  }

  /// Returns what is wrong with a directory on the way; nil if nothing is.
  func fault(_ directory: stat) -> String? {
    guard owners.contains(directory.st_uid) else { return "belongs to uid \(directory.st_uid)" }
    guard geteuid() == 0, directory.st_mode & S_ISVTX == 0 else { return nil }
    if directory.st_mode & S_IWOTH != 0 { return "can be changed by everybody" }
    if directory.st_mode & S_IWGRP != 0, !groups.contains(directory.st_gid) {
      return "can be changed by the group \(directory.st_gid)"
    }
    return nil
  }
}
