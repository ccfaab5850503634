import Glibc
import Model
import Ports
import Synchronization

/// pciback's log of its exports: since boot, or since this object was created.
///
/// `/dev/kmsg` returns one record per read, such as `6,339,5140900,-;pciback 0000:00:05.0: registering for 1`. It
/// returns EPIPE once if records were overwritten before they were read (kernel/printk/printk.c: devkmsg_read). A plain
/// file in its place may return many lines per read, with or without that head.
final class KernelLog: ExportLog {
  // Size 0/5: one reader of the kernel log, and what it has read.
  private struct State: ~Copyable {
    let file: Descriptor
    /// The next record must be the first of all. Otherwise, the start of the log has been overwritten.
    var mustReachBoot: Bool
    var unfinished: [UInt8] = []
    var slots: [PCIAddress: UInt8] = [:]
    var exports: [ExportRecord] = []
    var isComplete = true
  }

  /// Longer than any record: `PRINTK_MESSAGE_MAX` is 2 KiB, and a read into a smaller buffer fails.
  private static let longestRecord = 16 << 10

  private let path: String
  private let state: Mutex<State>

  /// Opens the log at its start or its end; returns nil if the log is unreadable.
  init?(path: String, sinceBoot: Bool) {
    let file: Descriptor
    do throws(SystemFailure) { file = try Descriptor(opening: path, O_RDONLY | O_NONBLOCK) } catch { return nil }
    guard lseek(file.number, 0, sinceBoot ? SEEK_SET : SEEK_END) >= 0 else { return nil }
    self.path = path
    state = Mutex(State(file: file, mustReachBoot: sinceBoot))
  }

  func exports() throws(HostError) -> [ExportRecord]? {
    try state.withLock { (state) throws(HostError) in
      var buffer = [UInt8](repeating: 0, count: Self.longestRecord)
      while state.isComplete {
        let count = unsafe read(state.file.number, &buffer, buffer.count)
        if count == 0 { break }
        if count < 0 {
          let failure = errno
          if failure == EAGAIN { break }
          if failure == EINTR { continue }
          guard failure == EPIPE else { throw .tree(DeviceTreeError(SystemFailure("read", failure), path)) }
          state.isComplete = false
          break
        }
        state.unfinished += buffer[..<count]
        while let end = state.unfinished.firstIndex(of: UInt8(ascii: "\n")) {
          let line = String(decoding: state.unfinished[..<end], as: UTF8.self)
          state.unfinished.removeFirst(end + 1)
          if state.mustReachBoot {
            state.mustReachBoot = false
            guard Self.sequence(of: line) == 0 else {
              state.isComplete = false
              break
            }
          }
          Self.note(line, in: &state)
        }
        // The kernel writes no line without an end.
        if state.unfinished.count > Self.longestRecord { state.unfinished = [] }
      }
      return state.isComplete ? state.exports : nil
    }
  }

  /// A record's number, the second field of its head.
  private static func sequence(of line: String) -> Int? {
    let fields = line.split(separator: ",", maxSplits: 2)
    return fields.count == 3 ? decimal(fields[1]) : nil
  }

  /// Evaluates one line: the virtual slot that a device gets (`__xen_pcibk_add_pci_dev`, vpci.c), or its export
  /// (`xen_pcibk_export_device`, xenbus.c, Linux 6.1).
  private static func note(_ line: String, in state: inout State) {
    let words = line.split(separator: " ")
    // The driver's name begins the line, or follows a head or a time in brackets.
    guard let driver = words.firstIndex(where: { $0 == "pciback" || $0.hasSuffix(";pciback") }),
      driver + 2 < words.endIndex, words[driver + 1].last == ":",
      let device = PCIAddress(words[driver + 1].dropLast())
    else { return }
    let message = Array(words[(driver + 2)...])
    if message.starts(with: ["xen_pciback:", "vpci:", "assign", "to", "virtual", "slot"]), message.count > 6 {
      state.slots[device] = decimal(message[6]).flatMap { UInt8(exactly: $0) }
    } else if message.starts(with: ["registering", "for"]), message.count == 3, let domain = decimal(message[2]) {
      // With pciback's `passthrough` option there is no virtual slot: the guest sees the device at the device's own
      // slot.
      let slot = state.slots.removeValue(forKey: device) ?? device.device
      state.exports.append(ExportRecord(device: device, domain: DomainID(UInt32(domain)), slot: slot))
    }
  }
}
