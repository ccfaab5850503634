import CXenControl
import Core
import Glibc
import Synchronization

/// Owns one `xc_interface` and the logger it writes to; its destruction closes both and nothing else does.
///
/// `@unchecked Sendable`: the library serialises what needs it (xenctrl.h, `XC_OPENFLAG_NON_REENTRANT`), and the
/// pointers never change.
@safe final class ControlInterface: @unchecked Sendable {
  let raw: OpaquePointer
  private let logger: UnsafeMutablePointer<KeepingLogger>

  init() throws(HostError) {
    let logger = UnsafeMutablePointer<KeepingLogger>.allocate(capacity: 1)
    unsafe logger.initialize(to: KeepingLogger())
    let raw = unsafe logger.withMemoryRebound(to: xentoollog_logger.self, capacity: 1) {
      unsafe xc_interface_open($0, $0, 0)
    }
    guard let raw = unsafe raw else {
      let failure = errno
      unsafe logger.deinitialize(count: 1)
      unsafe logger.deallocate()
      let code: HypervisorCode = HypervisorCode(errno: failure) == .notPermitted ? .notPermitted : .unreachable
      throw .hypervisor(HypervisorError(code, operation: "xc_interface_open", errno: failure))
    }
    unsafe self.raw = raw
    unsafe self.logger = logger
  }

  deinit {
    _ = unsafe xc_interface_close(raw)
    unsafe logger.deinitialize(count: 1)
    unsafe logger.deallocate()
  }

  var lastMessage: String? { unsafe logger.pointee.kept.text.withLock { $0 } }
}

/// A logger that prints nothing and keeps the last message: without one the library writes to standard error.
///
/// C sees only the first member (`xentoollog_logger`, xentoollog.h).
@unsafe private struct KeepingLogger {
  final class Kept: Sendable {
    let text = Mutex<String?>(nil)
  }

  private let table: xentoollog_logger
  let kept = Kept()

  init() {
    unsafe table = xentoollog_logger(
      vmessage: { logger, _, number, _, format, arguments in
        // The caller may read errno after logging.
        let saved = errno
        defer { errno = saved }
        guard let logger = unsafe logger, let format = unsafe format, let arguments = unsafe arguments else { return }
        var buffer = [CChar](repeating: 0, count: 512)
        guard unsafe vsnprintf(&buffer, buffer.count, format, arguments) >= 0 else { return }
        var text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if number > 0 { text += ": " + ErrorNumber.text(of: number) }
        unsafe UnsafeMutableRawPointer(logger).assumingMemoryBound(to: KeepingLogger.self).pointee.kept.text
          .withLock { $0 = text }
      }, progress: nil, destroy: nil)
  }
}
