/// An error number of Linux, with its name and its words (include/uapi/asm-generic/errno-base.h and errno.h, Linux
/// 6.1).
///
/// The C library's words are not used: they differ between its versions, and tests compare the texts of failures.
package enum ErrorNumber: Int32, CaseIterable, Sendable {
  case notAllowed = 1
  case noEntry = 2
  case noProcess = 3
  case interrupted = 4
  case inputOutput = 5
  case noAddress = 6
  case tooLong = 7
  case badDescriptor = 9
  case tryAgain = 11
  case noMemory = 12
  case accessDenied = 13
  case busy = 16
  case exists = 17
  case otherFileSystem = 18
  case noDevice = 19
  case notDirectory = 20
  case isDirectory = 21
  case invalid = 22
  case tableFull = 23
  case tooManyFiles = 24
  case notTerminal = 25
  case textBusy = 26
  case fileTooLarge = 27
  case noSpace = 28
  case readOnly = 30
  case brokenPipe = 32
  case outOfRange = 34
  case nameTooLong = 36
  case noLocks = 37
  case noSystemCall = 38
  case notEmpty = 39
  case tooManyLinks = 40
  case noProtocol = 71
  case overflow = 75
  case notSupported = 95
  case addressInUse = 98
  case connectionReset = 104
  case notConnected = 107
  case timedOut = 110
  case refused = 111
  case stale = 116
  case overQuota = 122

  /// The C name: `EACCES`.
  package var name: String { entry.name }

  /// Returns the number with this C name, or nil if Berth does not know the name.
  package init?(name: String) {
    guard let number = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = number
  }

  /// Returns the words and the name of a number: `permission denied (EACCES)`, or `error 4711`.
  package static func text(of number: Int32) -> String {
    guard let known = ErrorNumber(rawValue: number) else { return "error \(number)" }
    return "\(known.entry.words) (\(known.entry.name))"
  }

  private var entry: (name: String, words: String) {
    switch self {
    case .notAllowed: ("EPERM", "operation not permitted")
    case .noEntry: ("ENOENT", "no such file or directory")
    case .noProcess: ("ESRCH", "no such domain or process")
    case .interrupted: ("EINTR", "interrupted")
    case .inputOutput: ("EIO", "input/output error")
    case .noAddress: ("ENXIO", "no such device or address")
    case .tooLong: ("E2BIG", "too long")
    case .badDescriptor: ("EBADF", "bad file descriptor")
    case .tryAgain: ("EAGAIN", "try again")
    case .noMemory: ("ENOMEM", "out of memory")
    case .accessDenied: ("EACCES", "permission denied")
    case .busy: ("EBUSY", "busy")
    case .exists: ("EEXIST", "file exists")
    case .otherFileSystem: ("EXDEV", "on another file system")
    case .noDevice: ("ENODEV", "no such device")
    case .notDirectory: ("ENOTDIR", "not a directory")
    case .isDirectory: ("EISDIR", "is a directory")
    case .invalid: ("EINVAL", "invalid argument")
    case .tableFull: ("ENFILE", "too many open files on this machine")
    case .tooManyFiles: ("EMFILE", "too many open files")
    case .notTerminal: ("ENOTTY", "not supported by the device")
    case .textBusy: ("ETXTBSY", "program is being written")
    case .fileTooLarge: ("EFBIG", "file too large")
    case .noSpace: ("ENOSPC", "no space left")
    case .readOnly: ("EROFS", "read-only file system")
    case .brokenPipe: ("EPIPE", "broken pipe")
    case .outOfRange: ("ERANGE", "result too large")
    case .nameTooLong: ("ENAMETOOLONG", "name too long")
    case .noLocks: ("ENOLCK", "no locks available")
    case .noSystemCall: ("ENOSYS", "not implemented")
    case .notEmpty: ("ENOTEMPTY", "directory not empty")
    case .tooManyLinks: ("ELOOP", "too many symbolic links")
    case .noProtocol: ("EPROTO", "protocol error")
    case .overflow: ("EOVERFLOW", "value too large")
    case .notSupported: ("EOPNOTSUPP", "not supported")
    case .addressInUse: ("EADDRINUSE", "address in use")
    case .connectionReset: ("ECONNRESET", "connection reset")
    case .notConnected: ("ENOTCONN", "not connected")
    case .timedOut: ("ETIMEDOUT", "timed out")
    case .refused: ("ECONNREFUSED", "connection refused")
    case .stale: ("ESTALE", "stale file handle")
    case .overQuota: ("EDQUOT", "disk quota exceeded")
    }
  }
}
