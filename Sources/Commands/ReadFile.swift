import Glibc
import Model
import Planning
package import Rendering

/// Reads a whole file that a person named. If the file cannot be read, throws the status for a missing one.
package func readFile(_ path: String, limit: Int = 16 << 20) throws(Failure) -> [UInt8] {
  let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw unreadable(path, errno) }
  defer { close(descriptor) }
  var result: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 64 << 10)
  while true {
    let count = unsafe read(descriptor, &chunk, chunk.count)
    if count < 0 {
      if errno == EINTR { continue }
      throw unreadable(path, errno)
    }
    guard count > 0 else { return result }
    result += chunk[..<count]
    guard result.count <= limit else { throw Failure(.invalidManifest, "\(path) is larger than \(limit) bytes") }
  }
}

private func unreadable(_ path: String, _ number: Int32) -> Failure {
  Failure(.noManifest, "cannot read \(path): \(ErrorNumber.text(of: number))")
}
