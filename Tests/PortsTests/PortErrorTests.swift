import Glibc
import Ports
import Testing

@Suite struct PortErrorTests {
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
