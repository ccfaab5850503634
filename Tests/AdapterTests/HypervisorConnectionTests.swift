import Glibc
import Model
import Ports
import TestSupport
import Testing
import XenAdapter
import XenProtocol

@Suite struct HypervisorConnectionTests {
  @Test func `ranges that no interface accepts are refused before the call`() throws {
    let hypervisor = HypervisorConnection()
    let domain = DomainID(3)
    #expect(
      throws: HostError.hypervisor(HypervisorError(.invalid, operation: "xc_domain_ioport_permission", errno: EINVAL))
    ) {
      try hypervisor.setPorts(0xFFFF...0x10000, of: domain, allowed: true)
    }
    #expect(
      throws: HostError.hypervisor(HypervisorError(.invalid, operation: "xc_domain_iomem_permission", errno: EINVAL))
    ) {
      try hypervisor.setFrames(0...UInt64.max, of: domain, allowed: true)
    }
    #expect(throws: HostError.hypervisor(HypervisorError(.invalid, operation: "xc_physdev_map_pirq", errno: EINVAL))) {
      try hypervisor.mapInterrupt(0x8000_0000, in: domain)
    }
  }

  /// Runs this program a second time, in which the preload library knows no sandbox and so finds no hypervisor.
  @Test func `every call without Xen reports that, and nothing is printed`() async throws {
    guard unsafe getenv("LD_PRELOAD") != nil else {
      let result = try await Command(
        programPath(), ["--testing-library", "swift-testing", "--filter", "every call without Xen reports that"],
        environment: ["LD_PRELOAD": try builtFile("libBerthPreload.so")]
      ).run()
      #expect(result.status == 0, "\(result.output)\(result.errors)")
      #expect(!result.errors.contains("privileged command interface"))
      return
    }
    let hypervisor = HypervisorConnection()
    let failure = HostError.hypervisor(
      HypervisorError(.unreachable, operation: "xc_interface_open", errno: ENOENT))
    for _ in 0..<2 {
      #expect(throws: failure) { try hypervisor.domains() }
      #expect(throws: failure) { try hypervisor.hostFacts() }
      #expect(throws: failure) { try hypervisor.probe(PCIAddress(sbdf: 0x300), for: nil) }
      #expect(throws: failure) { try hypervisor.companions(of: PCIAddress(sbdf: 0x300)) }
      #expect(throws: failure) { try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x300)) }
    }
  }

  /// Runs this program a second time. `FakeHypervisor` answers the hypercalls below libxenctrl.
  @Test func `each call makes its hypercall, and each refusal becomes its failure`() async throws {
    if unsafe getenv("BERTH_SANDBOX") != nil { return try callAll() }
    let library = try #require(try loadedLibrary())
    let fake = try FakeHypervisor(version: "\(library).5")
    let requests = try ThreadWork { try fake.serve() }
    let result = try await Command(
      programPath(), ["--testing-library", "swift-testing", "--filter", "each call makes its hypercall"],
      environment: ["BERTH_SANDBOX": fake.folder.path, "LD_PRELOAD": try builtFile("libBerthPreload.so")]
    ).run()
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    // Without a logger, libxenctrl reports failures on standard error.
    #expect(!result.errors.contains("xc:"))
    #expect(
      try await requests.value() == [
        "facts", "facts", "facts", "domains 1 1024", "domains 7 1", "domains 3 1",
        "test 7 768", "test 7 769", "test 7 770", "test 32756 768",
        "assign 7 768 0", "assign 7 769 1", "deassign 7 768", "deassign 7 769",
        "ports 7 49152 64 1", "ports 7 0 65536 0", "frames 7 1048575 2 1", "frames 7 15032385536 1 0",
        "map 7 19", "unmap 7 19", "unmap 7 20", "interrupt 7 19 1",
        "group 0 66304", "group 0 769", "group 0 770", "group 0 771",
        "reserved 66304", "reserved 769", "reserved 770", "reserved 771", "reserved 771", "reserved 772",
        "reserved 773",
      ])
  }

  /// Runs this program a second time. The hypervisor's device accepts calls and answers none.
  @Test func `a call without an answer ends, and so do the others`() async throws {
    if unsafe getenv("BERTH_SANDBOX") != nil { return callInVain() }
    let folder = try TemporaryFolder()
    let listener = try listeningSocket("\(folder.path)/hypervisor.sock")
    defer { close(listener) }
    let result = try await Command(
      programPath(), ["--testing-library", "swift-testing", "--filter", "a call without an answer ends"],
      environment: ["BERTH_SANDBOX": folder.path, "LD_PRELOAD": try builtFile("libBerthPreload.so")]
    ).run()
    #expect(result.status == 0, "\(result.output)\(result.errors)")
  }

  /// A Xen that refuses calls, and what is made of that.
  enum Refusal: String, CaseIterable {
    /// Another release refuses sysctls.
    case sysctl
    /// Another release refuses domctls only, as Xen 4.20 does with a library of 4.17.
    case domctl
    /// The library's own release refuses a sysctl for another reason.
    case ownRelease
    /// Another release that refuses nothing.
    case nothing
  }

  /// Runs this program a second time for each refusal.
  @Test(arguments: Refusal.allCases)
  func `Xen of another release is named, and is no lack of rights`(_ refusal: Refusal) async throws {
    let library = try #require(try loadedLibrary())
    if let wanted = unsafe getenv("BERTH_REFUSAL").map({ unsafe String(cString: $0) }) {
      guard wanted == refusal.rawValue else { return }
      return try meet(refusal, library)
    }
    let facts = refusal == .sysctl || refusal == .ownRelease ? 2 : Int.max
    let fake = try FakeHypervisor(
      version: refusal == .ownRelease ? "\(library).0" : "4.5.0", answeredFacts: facts,
      refusesTests: refusal == .domctl)
    let requests = try ThreadWork { try fake.serve() }
    let result = try await Command(
      programPath(), ["--testing-library", "swift-testing", "--filter", "Xen of another release is named"],
      environment: [
        "BERTH_SANDBOX": fake.folder.path, "BERTH_REFUSAL": refusal.rawValue,
        "LD_PRELOAD": try builtFile("libBerthPreload.so"),
      ]
    ).run()
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    let isAsked = refusal == .domctl || refusal == .nothing
    #expect(try await requests.value() == ["facts", "facts", "facts"] + (isAsked ? ["test 32756 0"] : []))
  }

  private func meet(_ refusal: Refusal, _ library: XenRelease) throws {
    let hypervisor = HypervisorConnection()
    func failure(_ code: HypervisorCode, _ operation: String, _ detail: String?) -> HostError {
      .hypervisor(HypervisorError(code, operation: operation, errno: EACCES, detail: detail))
    }
    let difference = "Xen 4.5 runs, and berth was built for Xen \(library)"
    switch refusal {
    case .sysctl:
      #expect(throws: failure(.otherRelease, "xc_physinfo", difference)) { try hypervisor.hostFacts() }
    case .domctl:
      #expect(throws: failure(.otherRelease, "xc_test_assign_device", difference)) { try hypervisor.hostFacts() }
    case .ownRelease:
      #expect(throws: failure(.notPermitted, "xc_physinfo", nil)) { try hypervisor.hostFacts() }
    case .nothing:
      #expect(try hypervisor.hostFacts() == HypervisorFacts(version: "4.5.0", hasIOMMU: true, library: library))
    }
  }

  /// Returns the release of the libxenctrl that this program has loaded.
  private func loadedLibrary() throws -> XenRelease? {
    let file = unsafe try #require(fopen("/proc/self/maps", "re"))
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while unsafe fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      guard let name = text.firstRange(of: "/libxenctrl.so.") else { continue }
      return XenRelease(text[name.upperBound...].split { $0 == "." || $0 == "\n" }.prefix(2).joined(separator: "."))
    }
    return nil
  }

  private func callInVain() {
    let hypervisor = HypervisorConnection(limit: AnswerLimit(.milliseconds(30)))
    func silence(_ operation: String) -> HostError {
      .hypervisor(HypervisorError(.timedOut, operation: operation, errno: ETIMEDOUT))
    }
    #expect(throws: silence("xc_version")) { try hypervisor.hostFacts() }
    #expect(throws: silence("xc_domain_getinfolist")) { try hypervisor.domains() }
    #expect(throws: silence("xc_assign_device")) {
      try hypervisor.assign(PCIAddress(sbdf: 0x300), to: DomainID(7), relaxed: false)
    }
    #expect(throws: silence("xc_test_assign_device")) {
      try hypervisor.probe((0..<200).map { PCIAddress(sbdf: 0x300 + $0) })
    }
    #expect(throws: silence("xc_get_device_group")) { try hypervisor.companions(of: PCIAddress(sbdf: 0x300)) }
  }

  private func callAll() throws {
    let hypervisor = HypervisorConnection()
    let uuid = try #require(DomainUUID("c8c08d9c-e6a9-11f1-9257-71012c31cfaf"))
    let (first, second, third) = (PCIAddress(sbdf: 0x300), PCIAddress(sbdf: 0x301), PCIAddress(sbdf: 0x302))
    let guest = DomainID(7)

    let library = try #require(try loadedLibrary())
    #expect(
      try hypervisor.hostFacts() == HypervisorFacts(version: "\(library).5", hasIOMMU: true, library: library))
    #expect(
      try hypervisor.domains() == [
        HypervisorDomain(id: DomainID(2), uuid: uuid, isPaused: true, cpuTime: 0),
        HypervisorDomain(
          id: guest, uuid: uuid, isHardwareVirtualised: true, isShutDown: true, shutdownCode: 0,
          isDying: true, cpuTime: 12_345_678_901),
      ])
    #expect(try hypervisor.domain(guest)?.id == guest)
    #expect(try hypervisor.domain(DomainID(3)) == nil)

    #expect(try hypervisor.probe(first, for: guest) == .free)
    #expect(try hypervisor.probe(second, for: guest) == .takenOrUnknown)
    #expect(try hypervisor.probe(third, for: guest) == .noIOMMU)
    #expect(try hypervisor.probe(first, for: nil) == .free)

    try hypervisor.assign(first, to: guest, relaxed: false)
    #expect(throws: HostError.hypervisor(HypervisorError(.busy, operation: "xc_assign_device", errno: EBUSY))) {
      try hypervisor.assign(second, to: guest, relaxed: true)
    }
    try hypervisor.deassign(first, from: guest)
    #expect(throws: HostError.hypervisor(HypervisorError(.notOwner, operation: "xc_deassign_device", errno: ENODEV))) {
      try hypervisor.deassign(second, from: guest)
    }
    try hypervisor.setPorts(0xC000...0xC03F, of: guest, allowed: true)
    #expect(
      throws: HostError.hypervisor(
        HypervisorError(.notPermitted, operation: "xc_domain_ioport_permission", errno: EPERM))
    ) {
      try hypervisor.setPorts(0...0xFFFF, of: guest, allowed: false)
    }
    try hypervisor.setFrames(0xFFFFF...0x100000, of: guest, allowed: true)
    #expect(
      throws: HostError.hypervisor(HypervisorError(.noDomain, operation: "xc_domain_iomem_permission", errno: ESRCH))
    ) {
      try hypervisor.setFrames(0x3_8000_0000...0x3_8000_0000, of: guest, allowed: false)
    }
    try hypervisor.mapInterrupt(19, in: guest)
    try hypervisor.unmapInterrupt(19, in: guest)
    #expect(throws: HostError.hypervisor(HypervisorError(.invalid, operation: "xc_physdev_unmap_pirq", errno: EINVAL)))
    {
      try hypervisor.unmapInterrupt(20, in: guest)
    }
    try hypervisor.setInterrupt(19, of: guest, allowed: true)
    try askAboutCompanions(hypervisor)
  }

  private func askAboutCompanions(_ hypervisor: HypervisorConnection) throws {
    func failure(_ operation: String, _ errno: Int32) -> HostError {
      .hypervisor(HypervisorError(errno: errno, operation: operation))
    }
    let (group, map) = ("xc_get_device_group", "xc_reserved_device_memory_map")
    // A question names a device as segment << 16 | bus << 8 | devfn, an answer as bus << 16 | devfn << 8.
    let other = PCIAddress(sbdf: 0x1_0300)
    #expect(try hypervisor.companions(of: other) == [PCIAddress(sbdf: 0x1_0018), PCIAddress(sbdf: 0x1_0508)])
    #expect(try hypervisor.companions(of: PCIAddress(sbdf: 0x301)) == [])
    #expect(throws: failure(group, EOPNOTSUPP)) { try hypervisor.companions(of: PCIAddress(sbdf: 0x302)) }
    #expect(throws: failure(group, E2BIG)) { try hypervisor.companions(of: PCIAddress(sbdf: 0x303)) }

    #expect(try hypervisor.reservedMemory(of: other) == [0x100...0x1FF, 0x7B800...0x7B9FF])
    #expect(try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x301)) == [])
    #expect(throws: failure(map, EPERM)) { try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x302)) }
    // More than expected: libxenctrl is asked again, with enough room.
    #expect(try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x303)).count == 6)
    // More than believed, and a range that has no end.
    #expect(throws: failure(map, E2BIG)) { try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x304)) }
    #expect(throws: failure(map, EPROTO)) { try hypervisor.reservedMemory(of: PCIAddress(sbdf: 0x305)) }
  }
}

/// A hypervisor that answers one program's calls as written here, and records them.
///
/// It uses the line protocol of the preload library: a call and its numbers, answered by `ok` or `error <errno>`.
private final class FakeHypervisor: Sendable {
  let folder: TemporaryFolder
  private let listener: Int32
  private let version: String
  /// The number of questions for its version and features that it answers. It refuses further ones, as Xen refuses a
  /// library of another release.
  private let answeredFacts: Int
  /// Whether it refuses to say whose a device is.
  private let refusesTests: Bool

  init(version: String, answeredFacts: Int = .max, refusesTests: Bool = false) throws {
    self.version = version
    self.answeredFacts = answeredFacts
    self.refusesTests = refusesTests
    folder = try TemporaryFolder()
    listener = try listeningSocket("\(folder.path)/hypervisor.sock")
  }

  deinit { close(listener) }

  private func answer(_ request: String, after earlier: [String]) -> String {
    switch request {
    case "facts": earlier.count { $0 == "facts" } < answeredFacts ? "ok \(version) 1" : "error \(EACCES)"
    case "domains 1 1024":
      "ok 2,c8c08d9c-e6a9-11f1-9257-71012c31cfaf,8,0,65536 7,c8c08d9c-e6a9-11f1-9257-71012c31cfaf,7,12345678901,65536"
    case "domains 7 1", "domains 3 1": "ok 7,c8c08d9c-e6a9-11f1-9257-71012c31cfaf,2,1,65536"
    case _ where refusesTests && request.hasPrefix("test "): "error \(EACCES)"
    case "test 7 769": "error \(EINVAL)"
    case "test 7 770": "error \(EOPNOTSUPP)"
    case "assign 7 769 1": "error \(EBUSY)"
    case "deassign 7 769": "error \(ENODEV)"
    case "ports 7 0 65536 0": "error \(EPERM)"
    case "frames 7 15032385536 1 0": "error \(ESRCH)"
    case "unmap 7 20": "error \(EINVAL)"
    case "group 0 66304": "ok \(0x5_0800) \(0x1800)"
    case "group 0 770": "error \(EOPNOTSUPP)"
    case "group 0 771": "ok " + [String](repeating: "1", count: 1024).joined(separator: " ")
    case "reserved 66304": "ok \(0x7B800),512 \(0x100),256"
    case "reserved 770": "error \(EPERM)"
    case "reserved 771": "ok " + (1...6).map { "\($0),1" }.joined(separator: " ")
    case "reserved 772": "ok " + (1...257).map { "\($0),1" }.joined(separator: " ")
    case "reserved 773": "ok 1,0"
    default: "ok"
    }
  }

  /// Answers the first client, until the client ends. Returns its requests.
  func serve() throws -> [String] {
    var ends = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
    guard unsafe poll(&ends, 1, 60_000) == 1 else { return [] }
    let peer = accept(listener, nil, nil)
    defer {
      // A program that another test starts at this moment keeps the descriptor, so the socket itself is shut down.
      shutdown(peer, Int32(SHUT_RDWR))
      close(peer)
    }
    var requests: [String] = []
    var unfinished: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe read(peer, &buffer, buffer.count)
      guard count > 0 else { return requests }
      unfinished += buffer[..<count]
      while let end = unfinished.firstIndex(of: UInt8(ascii: "\n")) {
        let request = String(decoding: unfinished[..<end], as: UTF8.self)
        unfinished.removeFirst(end + 1)
        let reply = Array((answer(request, after: requests) + "\n").utf8)
        requests.append(request)
        guard unsafe send(peer, reply, reply.count, Int32(MSG_NOSIGNAL)) == reply.count else { return requests }
      }
    }
  }
}
