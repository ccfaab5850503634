import CXenControl
import Glibc
import Ports

/// Owns one `xc_interface` and the logger it writes to. Only its destruction closes both.
///
/// `@unchecked Sendable`: the library serialises what needs it (xenctrl.h, `XC_OPENFLAG_NON_REENTRANT`), and the
/// pointers never change.
@safe final class ControlInterface: @unchecked Sendable {
  let raw: OpaquePointer
  private let logger: UnsafeMutablePointer<xentoollog_logger>

  init() throws(HostError) {
    // The logger drops every message: without a logger, the library writes to standard error. Nobody calls `destroy`.
    let logger = UnsafeMutablePointer<xentoollog_logger>.allocate(capacity: 1)
    unsafe logger.initialize(to: xentoollog_logger(vmessage: { _, _, _, _, _, _ in }, progress: nil, destroy: nil))
    guard let raw = unsafe xc_interface_open(logger, logger, 0) else {
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
}
