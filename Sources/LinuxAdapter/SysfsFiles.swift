import Glibc
import Ports

/// Reads and writes files of sysfs for ports whose failures are those of the device tree.
struct SysfsFiles {
  /// Returns whether something is at the path.
  func isThere(_ path: String) throws(HostError) -> Bool {
    do throws(SystemFailure) { return try exists(path) } catch { throw .tree(DeviceTreeError(error, path)) }
  }

  /// Returns an attribute's text; nil if there is no file.
  func content(_ path: String) throws(HostError) -> String? {
    do throws(SystemFailure) { return try readAttribute(path) } catch {
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

  /// Writes a text to an existing attribute, with one call.
  func write(_ text: String, to path: String) throws(HostError) {
    do throws(SystemFailure) {
      try Descriptor(opening: path, O_WRONLY | O_NONBLOCK).writeAll(Array(text.utf8))
    } catch { throw .tree(DeviceTreeError(error, path)) }
  }
}
