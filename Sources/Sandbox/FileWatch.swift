import CLinux
import Glibc

/// Reports which files were written to or opened, through inotify(7). Not safe for several threads.
package final class FileWatch {
  private let queue: Descriptor
  private var directories: [Int32: String] = [:]
  private var files: [Int32: String] = [:]

  /// The descriptor to poll for reading; then call `takeEvents`.
  package var descriptor: Int32 { queue.number }

  package init() throws(SandboxError) {
    let number = inotify_init1(Int32(IN_NONBLOCK | IN_CLOEXEC))
    guard number >= 0 else { throw systemError("starting inotify") }
    queue = Descriptor(number)
  }

  /// Watches a directory for files that are written to.
  ///
  /// The write itself counts, as in a kernel, because a file is not closed yet if a program that its writer starts at that
  /// moment still has the descriptor.
  package func add(_ directory: String) throws(SandboxError) {
    let watch = unsafe inotify_add_watch(
      descriptor, directory, UInt32(IN_MODIFY | IN_CLOSE_WRITE | IN_ONLYDIR | IN_DONT_FOLLOW))
    guard watch >= 0 else { throw systemError("watching \(directory)") }
    directories[watch] = directory
  }

  /// Watches one file for programs that write to it.
  package func addFile(_ file: String) throws(SandboxError) {
    let watch = unsafe inotify_add_watch(descriptor, file, UInt32(IN_MODIFY | IN_CLOSE_WRITE | IN_DONT_FOLLOW))
    guard watch >= 0 else { throw systemError("watching \(file)") }
    files[watch] = file
  }

  /// Watches one file for programs that open it.
  package func addOpening(of file: String) throws(SandboxError) {
    let watch = unsafe inotify_add_watch(descriptor, file, UInt32(IN_OPEN | IN_DONT_FOLLOW))
    guard watch >= 0 else { throw systemError("watching \(file)") }
    files[watch] = file
  }

  /// Returns the paths that were written to or opened since the last call, in order and without waiting. Equal paths in
  /// a row may be merged into one. If the kernel had to drop events, all watched files follow.
  package func takeEvents() -> [String] {
    var paths: [String] = []
    var isIncomplete = false
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = unsafe read(descriptor, &buffer, buffer.count)
      guard count > 0 else { return isIncomplete ? paths + watchedFiles() : paths }
      // struct inotify_event: watch, mask, cookie and the name's length in 4 bytes each, then the name with its NULs.
      var position = 0
      while position + 16 <= count {
        let watch = Int32(bitPattern: Self.word(buffer, position))
        let length = Int(Self.word(buffer, position + 12))
        let name = buffer[position + 16..<position + 16 + length].prefix { $0 != 0 }
        if Self.word(buffer, position + 4) & UInt32(IN_Q_OVERFLOW) != 0 { isIncomplete = true }
        if let file = files[watch] { paths.append(file) }
        if let directory = directories[watch] { paths.append(directory + "/" + String(decoding: name, as: UTF8.self)) }
        position += 16 + length
      }
    }
  }

  private func watchedFiles() -> [String] {
    var paths = files.values.sorted()
    for directory in directories.values.sorted() {
      do {
        for name in try Files.list(directory) ?? [] { paths.append(directory + "/" + name) }
      } catch {
        HostEffects.note("\(error)")
      }
    }
    return paths
  }

  private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
  }
}
