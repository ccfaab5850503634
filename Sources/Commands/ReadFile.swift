import Manifest
import Planning
package import Rendering

/// Reads a whole file that a person named, as `berth plan` reads a manifest. If the file cannot be read, throws the
/// status for a missing one.
package func readFile(_ path: String, limit: Int = 16 << 20) throws(Failure) -> [UInt8] {
  let content: PathContent
  do throws(FileFault) { content = try readNamedFile(path, limit: limit) } catch {
    throw Failure(.noManifest, error.message)
  }
  switch content {
  case .file(let bytes): return bytes
  case .tooLarge: throw Failure(.invalidManifest, "\(path) is larger than \(limit) bytes")
  }
}
