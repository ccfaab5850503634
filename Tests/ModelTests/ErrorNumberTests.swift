import Glibc
import Model
import Testing

@Suite struct ErrorNumberTests {
  @Test func `each number is the C library's, and has its own name and words`() {
    let numbers: [String: Int32] = [
      "EPERM": EPERM, "ENOENT": ENOENT, "ESRCH": ESRCH, "EINTR": EINTR, "EIO": EIO, "ENXIO": ENXIO,
      "E2BIG":
        E2BIG, "EBADF": EBADF, "EAGAIN": EAGAIN, "ENOMEM": ENOMEM, "EACCES": EACCES, "EBUSY": EBUSY,
      "EEXIST":
        EEXIST, "EXDEV": EXDEV, "ENODEV": ENODEV, "ENOTDIR": ENOTDIR, "EISDIR": EISDIR, "EINVAL": EINVAL,
      "ENFILE": ENFILE, "EMFILE": EMFILE, "ENOTTY": ENOTTY, "ETXTBSY": ETXTBSY, "EFBIG": EFBIG,
      "ENOSPC":
        ENOSPC, "EROFS": EROFS, "EPIPE": EPIPE, "ERANGE": ERANGE, "ENAMETOOLONG": ENAMETOOLONG, "ENOLCK": ENOLCK,
      "ENOSYS": ENOSYS, "ENOTEMPTY": ENOTEMPTY, "ELOOP": ELOOP, "EPROTO": EPROTO, "EOVERFLOW": EOVERFLOW,
      "EOPNOTSUPP": EOPNOTSUPP, "EADDRINUSE": EADDRINUSE, "ECONNRESET": ECONNRESET, "ENOTCONN": ENOTCONN,
      "ETIMEDOUT": ETIMEDOUT, "ECONNREFUSED": ECONNREFUSED, "ESTALE": ESTALE, "EDQUOT": EDQUOT,
    ]
    #expect(numbers == Dictionary(uniqueKeysWithValues: ErrorNumber.allCases.map { ($0.name, $0.rawValue) }))
    #expect(numbers.allSatisfy { ErrorNumber(name: $0.key)?.rawValue == $0.value })
    #expect(Set(numbers.values.map(ErrorNumber.text)).count == numbers.count)
    #expect(ErrorNumber.text(of: EACCES) == "permission denied (EACCES)")
    #expect(ErrorNumber.text(of: 4711) == "error 4711")
    #expect(ErrorNumber(name: "EWHAT") == nil)
  }
}
