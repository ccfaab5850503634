import Glibc
import Model
import Ports

/// What dom0's kernel logs about one device, from the moment at which this object is made.
final class KernelLines: DeviceLog {
  /// Longer than any record: see `KernelLog`.
  private static let longestRecord = 16 << 10
  private static let mostLines = 10

  private let device: String
  private let file: Descriptor

  /// Returns nil if the log is not readable.
  init?(path: String, about device: PCIAddress) {
    self.device = "\(device)"
    do throws(SystemFailure) { file = try Descriptor(opening: path, O_RDONLY | O_NONBLOCK) } catch { return nil }
    guard lseek(file.number, 0, SEEK_END) >= 0 else { return nil }
  }

  func lines() -> [String] {
    let text = Self.rest(of: file.number)
    let named = text.split(separator: "\n").filter { $0.contains(device) && !$0.hasPrefix(" ") }
    return named.prefix(Self.mostLines).map { line in
      // `3,339,5140900,-;e1000 0000:00:05.0: words` (Documentation/ABI/testing/dev-kmsg, Linux 6.1).
      String(line[(line.firstIndex(of: ";").map { line.index(after: $0) } ?? line.startIndex)...])
    }
  }

  /// Reads to the end of the log. Records that were lost in the meantime are skipped: each line stands for itself.
  private static func rest(of number: Int32) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: longestRecord)
    while bytes.count < 1 << 20 {
      let count = unsafe read(number, &buffer, buffer.count)
      if count > 0 {
        bytes += buffer[..<count]
      } else if count == 0 || errno != EINTR && errno != EPIPE {
        break
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
