import Glibc
import XenProtocol

/// The programs of Xen that Debian installs, in one folder per release.
package enum XenPrograms {
  /// Returns the path of an installed program; nil if no installed release has the program.
  ///
  /// The programs of the running release come first, then those of the newest release.
  package static func path(of name: String) throws(SandboxError) -> String? {
    try places(of: name).first { unsafe access($0, X_OK) == 0 }
  }

  /// Returns the paths that a program may have, in the order in which they are tried. `root` has the folders of a system.
  package static func places(of name: String, root: String = "") throws(SandboxError) -> [String] {
    let running = try runningRelease(root)
    return try installedReleases(root).sorted { one, other in
      (one == running) == (other == running) ? one > other : one == running
    }.map { "\(root)/usr/lib/xen-\($0)/bin/\(name)" }
  }

  private static func installedReleases(_ root: String) throws(SandboxError) -> [XenRelease] {
    // Without the folder nothing is installed.
    try (Files.list(root + "/usr/lib") ?? []).compactMap { $0.hasPrefix("xen-") ? XenRelease($0.dropFirst(4)) : nil }
  }

  /// Returns the release of the hypervisor on which this system runs; nil if the kernel knows of no Xen (`hyp_sysfs_init`,
  /// Linux drivers/xen/sys-hypervisor.c, 6.1).
  private static func runningRelease(_ root: String) throws(SandboxError) -> XenRelease? {
    let folder = root + "/sys/hypervisor"
    guard try text(folder + "/type") == "xen", let major = try text(folder + "/version/major"),
      let minor = try text(folder + "/version/minor")
    else { return nil }
    return XenRelease("\(major).\(minor)")
  }

  /// Returns a short file's text without its line end; nil if there is no file.
  private static func text(_ path: String) throws(SandboxError) -> String? {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    if number < 0, errno == ENOENT { return nil }
    guard number >= 0 else { throw systemError("reading \(path)") }
    return String(decoding: try Files.read(Descriptor(number), path).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  }
}
