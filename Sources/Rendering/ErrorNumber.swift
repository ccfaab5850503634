/// The words for an errno value, since a bare number helps nobody; empty for 0.
///
/// The numbers are Linux's (include/uapi/asm-generic/errno-base.h, errno.h). The C library's own words are not used:
/// they change with its version, and the text of a failure is compared in tests.
func cause(_ number: Int32) -> String {
  number == 0 ? "" : ": " + (errorWords[number] ?? "error \(number)")
}

private let errorWords: [Int32: String] = [
  1: "operation not permitted (EPERM)",
  2: "no such file or directory (ENOENT)",
  3: "no such domain or process (ESRCH)",
  4: "interrupted (EINTR)",
  5: "input/output error (EIO)",
  6: "no such device or address (ENXIO)",
  9: "bad file descriptor (EBADF)",
  11: "try again (EAGAIN)",
  12: "out of memory (ENOMEM)",
  13: "permission denied (EACCES)",
  16: "busy (EBUSY)",
  17: "file exists (EEXIST)",
  19: "no such device (ENODEV)",
  20: "not a directory (ENOTDIR)",
  21: "is a directory (EISDIR)",
  22: "invalid argument (EINVAL)",
  24: "too many open files (EMFILE)",
  25: "not supported by the device (ENOTTY)",
  28: "no space left (ENOSPC)",
  30: "read-only file system (EROFS)",
  32: "broken pipe (EPIPE)",
  38: "not implemented (ENOSYS)",
  95: "not supported (EOPNOTSUPP)",
  104: "connection reset (ECONNRESET)",
  110: "timed out (ETIMEDOUT)",
  111: "connection refused (ECONNREFUSED)",
]
