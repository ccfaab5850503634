import Glibc
import Model
import Ports
import Reconciling
import TestSupport
import Testing

/// What an inventory gets from Xen, and what a failure of Xen leaves out.
@Suite struct XenFactTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let range: ClosedRange<UInt64> = 0x7B800...0x7B9FF

  private func model() -> ModelHost {
    let model = ModelHost()
    for device in [one, two] { model.addDevice(device) }
    var facts = ModelXenFacts()
    facts.companions = [one: [two], two: [one]]
    facts.reservedMemory = [two: [range]]
    model.set(facts)
    return model
  }

  private func functions(_ host: Host, _ facts: Set<FunctionFact> = Set(FunctionFact.allCases)) throws -> [PCIFunction]
  {
    try host.inventory(of: facts, recalling: []).functions
  }

  @Test func `each device has Xen's answers about it`() throws {
    let found = try functions(model().host)
    #expect(found.map(\.companions) == [[FunctionName(two)], [FunctionName(one)]])
    #expect(found.map(\.reservedMemory) == [[], [range]])
    #expect(found.allSatisfy { $0.unread.isEmpty })
  }

  @Test func `Xen is asked only for its own facts`() throws {
    let line = FaultLine()
    let host = line.host(model().host)
    #expect(try functions(host, FunctionFact.usual).allSatisfy { $0.companions == nil && $0.reservedMemory == nil })
    #expect(!line.requests.contains(.companions) && !line.requests.contains(.reservedMemory))
    #expect(try functions(host, [.companions]).allSatisfy { $0.companions != nil && $0.reservedMemory == nil })
    #expect(line.requests.count { $0 == .companions } == 2 && !line.requests.contains(.reservedMemory))
  }

  /// The questions are about the companions of the first device, then its memory, and then the same for the second one.
  private static let questions: [(index: Int, fact: FunctionFact)] = [(0, .companions), (1, .reservedMemory)]

  @Test(arguments: questions)
  func `one refused question makes one fact of one device unknown`(_ question: (index: Int, fact: FunctionFact)) throws
  {
    let line = FaultLine()
    for code in [HypervisorCode.notPermitted, .invalid, .other] {
      let refusal = HypervisorError(code, operation: "xc_call", errno: EPERM)
      line.arm(.fails(.hypervisor(refusal)), at: question.index)
      let found = try functions(line.host(model().host))
      #expect(found[0].unread == [question.fact: ReadFailure(place: "xc_call", .refused(EPERM))])
      #expect((found[0].companions == nil) == (question.fact == .companions))
      #expect((found[0].reservedMemory == nil) == (question.fact == .reservedMemory))
      #expect(found[1].companions == [FunctionName(one)] && found[1].reservedMemory == [range])
      #expect(found[1].unread.isEmpty)
    }
  }

  @Test func `without Xen, and without an IOMMU, nothing is known and nothing is a failure`() throws {
    for code in [HypervisorCode.unreachable, .noIOMMU] {
      let line = FaultLine()
      line.arm(.fails(.hypervisor(HypervisorError(code, operation: "xc_call", errno: ENOENT))), at: 0)
      let found = try functions(line.host(model().host))
      #expect(found.allSatisfy { $0.companions == nil && $0.reservedMemory == nil && $0.unread.isEmpty }, "\(code)")
      #expect(line.requests == [.companions], "Xen was asked again")
    }
  }

  @Test func `a Xen that does not answer is asked once, and each fact is named`() throws {
    let line = FaultLine()
    let silence = HypervisorError(.timedOut, operation: "xc_reserved_device_memory_map", errno: ETIMEDOUT)
    line.arm(.fails(.hypervisor(silence)), at: 1)
    let found = try functions(line.host(model().host))
    let failure = ReadFailure(place: silence.operation, .refused(ETIMEDOUT))
    #expect(line.requests == [.companions, .reservedMemory])
    #expect(found[0].companions == [FunctionName(two)] && found[0].unread == [.reservedMemory: failure])
    #expect(found[1].unread == [.companions: failure, .reservedMemory: failure])
  }
}
