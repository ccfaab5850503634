import Core
import Glibc
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

  @Test func `each port has its codes for numbers`() {
    for number in [EACCES, EPERM] {
      #expect(StoreCode(errno: number) == .notPermitted)
      #expect(HypervisorCode(errno: number) == .notPermitted)
      #expect(DeviceTreeCode(errno: number) == .notPermitted)
      #expect(UserdataCode(errno: number) == .notPermitted)
      #expect(RecordCode(errno: number) == .notPermitted)
      #expect(DeviceModelCode(errno: number) == .notPermitted)
    }
    #expect([EINVAL, E2BIG, ENOSPC].allSatisfy { StoreCode(errno: $0) == .refused })
    #expect([EBADF, EPIPE, ECONNRESET].allSatisfy { StoreCode(errno: $0) == .lost })
    #expect(
      [EBUSY, ENODEV, EOPNOTSUPP, ENOSYS, ESRCH, EINVAL].map(HypervisorCode.init) == [
        .busy, .notOwner, .noIOMMU, .noIOMMU, .noDomain, .invalid,
      ])
    #expect([ENOENT, ENOTDIR, EFBIG].map(DeviceTreeCode.init) == [.missing, .missing, .malformed])
    #expect([ENOENT, ENOTDIR, EROFS].map(UserdataCode.init) == [.missing, .missing, .notPermitted])
    #expect(RecordCode(errno: ENOSPC) == .other)
    #expect(DeviceModelCode(errno: ECONNREFUSED) == .unreachable)
  }

  @Test func `a failure of a call has its port's code`() {
    let error = DeviceTreeError(errno: ENOENT, operation: "open", place: "reset")
    #expect(error == DeviceTreeError(.missing, operation: "open", place: "reset", errno: ENOENT))
    #expect(HostError.tree(error).treeCode == .missing)
    #expect(HostError.tree(error).hypervisorCode == nil)
  }
}

@Suite struct OutcomeDetailTests {
  @Test func `words keep the failures that are interpolated into them`() {
    let error = HostError.hypervisor(HypervisorError(.unproven, operation: "xc_assign_device"))
    let inner: OutcomeDetail = "QEMU refused: \(error)"
    let outer: OutcomeDetail = "\(inner); undoing it failed: " + "\(OutcomeDetail(error)), \(3) times"
    #expect(inner.parts == [.text("QEMU refused: "), .failure(error)])
    #expect(
      outer.parts == [
        .text("QEMU refused: "), .failure(error), .text("; undoing it failed: "), .failure(error), .text(", 3 times"),
      ])
    #expect(("" as OutcomeDetail).parts.isEmpty)
  }
}
