import Glibc
import Ports

/// Reads and writes files of sysfs for ports whose failures are those of the device tree.
///
/// A write calls the kernel's code for a driver or a device, and so does a read of some files. So each of them is bounded.
struct SysfsFiles {
  /// How long a driver may take to release a device or to take it, and how long the kernel tries to reset one
  /// (`PCIE_RESET_READY_POLL_MS`, Linux drivers/pci/pci.c, 6.1: a minute, after the reset itself).
  private static let writePatience = Duration.seconds(90)

  private let patience: (read: Duration, write: Duration)

  /// `patience` is how long the kernel may take for a read or a write; nil for the usual times.
  init(patience: Duration? = nil) {
    self.patience = (patience ?? BoundedRead.patience, patience ?? Self.writePatience)
  }

  /// Returns whether something is at the path.
  func isThere(_ path: String) throws(HostError) -> Bool {
    do throws(SystemFailure) { return try exists(path) } catch { throw .tree(DeviceTreeError(error, path)) }
  }

  /// Returns an attribute's text; nil if there is no file.
  func content(_ path: String) throws(HostError) -> String? {
    do throws(SystemFailure) { return try readAttribute(path, patience: patience.read) } catch {
      if error.errno == ENOENT { return nil }
      throw .tree(DeviceTreeError(error, path))
    }
  }

  /// Returns the last part of a link's target; nil if there is no link.
  func linkTarget(_ path: String) throws(HostError) -> String? {
    do throws(SystemFailure) { return try readLink(path)?.split(separator: "/").last.map(String.init) } catch {
      throw .tree(DeviceTreeError(error, path))
    }
  }

  /// Returns what is known by a function's configuration space.
  func configuration(_ path: String) throws(SystemFailure) -> ConfigurationSpace {
    ConfigurationSpace(try BoundedRead.answer(to: .init(path, .configuration), patience: patience.read))
  }

  /// Writes a text to an existing attribute, with one call.
  func write(_ text: String, to path: String) throws(HostError) {
    do throws(SystemFailure) {
      try beginWriting(to: path)
      try finishWriting(text, to: path)
    } catch { throw .tree(DeviceTreeError(error, path)) }
  }

  /// Throws if the attribute cannot be opened for writing. To open it calls no driver.
  func beginWriting(to path: String) throws(SystemFailure) { _ = try Descriptor(opening: path, O_WRONLY | O_NONBLOCK) }

  /// Writes a text to an attribute that can be opened. Throws `SystemFailure.unanswered` if the kernel may still be at it.
  func finishWriting(_ text: String, to path: String) throws(SystemFailure) {
    switch try BoundedWrite.write(text, to: path, until: .now + patience.write) {
    case .answered(nil): break
    case .answered(let errno?): throw SystemFailure("write", errno)
    case .silent: throw SystemFailure("write", unanswered: ())
    }
  }
}
