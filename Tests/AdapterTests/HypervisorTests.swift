import Core
import Glibc
import Testing
import XenAdapter

@Suite struct HypervisorTests {
  @Test(.enabled(if: unsafe access("/dev/xen/privcmd", F_OK) != 0, "a hypervisor is here"))
  func `without Xen every call says so`() throws {
    let hypervisor = HypervisorConnection()
    let failure = HypervisorError(.unreachable, operation: "xc_interface_open", errno: ENOENT)
    for _ in 0..<2 {
      #expect(throws: failure) { try hypervisor.domains() }
      #expect(throws: failure) { try hypervisor.hostFacts() }
      #expect(throws: failure) { try hypervisor.probe(PCIAddress(sbdf: 0x300), for: nil) }
    }
  }

  @Test func `ranges no interface takes are refused before it is asked`() throws {
    let hypervisor = HypervisorConnection()
    let domain = DomainID(3)
    #expect(throws: HypervisorError(.invalid, operation: "xc_domain_ioport_permission", errno: EINVAL)) {
      try hypervisor.setPorts(0xFFFF...0x10000, of: domain, allowed: true)
    }
    #expect(throws: HypervisorError(.invalid, operation: "xc_domain_iomem_permission", errno: EINVAL)) {
      try hypervisor.setFrames(0...UInt64.max, of: domain, allowed: true)
    }
    #expect(throws: HypervisorError(.invalid, operation: "xc_physdev_map_pirq", errno: EINVAL)) {
      try hypervisor.mapInterrupt(0x8000_0000, in: domain)
    }
  }
}
