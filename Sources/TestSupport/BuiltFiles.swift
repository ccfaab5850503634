import Glibc
import Sandbox

/// Returns the path of the running test program.
package func programPath() throws -> String {
  var buffer = [CChar](repeating: 0, count: 4096)
  let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count)
  guard count > 0 else { throw Command.Failure(description: "readlink /proc/self/exe: \(errno)") }
  return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Returns the path of a library or program of this package, beside the running test program.
package func builtFile(_ name: String) throws -> String {
  let path = try programPath().split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
  guard unsafe access(path, R_OK) == 0 else { throw Command.Failure(description: "\(path) is not built") }
  return path
}

/// Returns the path of one of Debian's programs of Xen. For `xl` that is not the wrapper in the path, which needs a real
/// Xen.
package func xenProgram(_ name: String) throws -> String {
  guard let path = try XenPrograms.path(of: name) else {
    throw Command.Failure(description: "no release of Xen here has \(name): make deps")
  }
  return path
}
