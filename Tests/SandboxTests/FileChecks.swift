import Glibc

func fileExists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

/// Returns a file's bytes.
func fileBytes(_ path: String) throws -> [UInt8] {
  guard let file = unsafe fopen(path, "re") else { throw TestFailure("cannot open \(path): \(errno)") }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65536)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    guard count > 0 else { return bytes }
    bytes += chunk[..<count]
  }
}

func fileText(_ path: String) throws -> String { String(decoding: try fileBytes(path), as: UTF8.self) }

/// Writes as a shell's `echo text > path` does.
func writeFile(_ path: String, _ text: String) throws {
  guard let file = unsafe fopen(path, "we") else { throw TestFailure("cannot open \(path): \(errno)") }
  unsafe fputs(text, file)
  unsafe fclose(file)
}

/// The reason why a test could not continue.
struct TestFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

func fileNames(_ folder: String) throws -> [String] {
  guard let directory = unsafe opendir(folder) else { throw TestFailure("cannot list \(folder): \(errno)") }
  defer { unsafe closedir(directory) }
  var names: [String] = []
  while let entry = unsafe readdir(directory) {
    // An entry of the kernel ends after its name, so it may be shorter than the type `dirent`.
    let start = MemoryLayout<dirent>.offset(of: \.d_name) ?? MemoryLayout<dirent>.size
    names.append(
      unsafe String(cString: UnsafeRawPointer(entry).advanced(by: start).assumingMemoryBound(to: CChar.self)))
  }
  return names.sorted()
}

/// A client that sends a given text and then nothing.
struct HalfClient {
  private let number: Int32

  init(_ path: String, _ text: String) throws {
    number = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    let status = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard status == 0 else { throw TestFailure("cannot connect to \(path): \(errno)") }
    let bytes = Array(text.utf8)
    _ = unsafe send(number, bytes, bytes.count, 0)
  }

  func close() { _ = Glibc.close(number) }
}
