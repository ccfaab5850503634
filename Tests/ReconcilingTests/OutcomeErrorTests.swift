import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing

/// An outcome contains the failure that a port threw, unchanged.
@Suite struct OutcomeErrorTests {
  private let one = Sample.address(1)

  /// Attaches one device with `fault` at the first such request. Returns the detail of its step.
  private func detail(_ request: PortRequest, _ fault: Fault) throws -> OutcomeDetail? {
    let index = try #require(try attach { $0.disarm() }.line.requests.firstIndex(of: request))
    let (line, outcome) = try attach { $0.arm(fault, at: index) }
    #expect(line.requests[index] == request)
    return outcome.domains.flatMap(\.steps).first { $0.device == one }?.detail
  }

  private func attach(_ prepare: (FaultLine) -> Void) throws -> (line: FaultLine, outcome: ApplyOutcome) {
    let model = ModelHost()
    model.addDomain(5, "net")
    model.addDevice(one, interrupt: 17)
    let plan = try Run(model: model).plan(Sample.desired(["net": [one]]))
    let line = FaultLine()
    prepare(line)
    let outcome = ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan)
    return (line, outcome)
  }

  @Test func `an assignment that Xen confirms but did not make is unproven`() throws {
    let unproven = HostError.hypervisor(HypervisorError(.unproven, operation: "xc_assign_device"))
    #expect(try detail(.assign, .isLost) == OutcomeDetail(unproven))
  }

  @Test func `the step of a claim that fails carries the port's failure`() throws {
    let error = HostError.hypervisor(HypervisorError(.other, operation: "xc_assign_device", errno: 5))
    #expect(try detail(.assign, .fails(error)) == OutcomeDetail(error))
    let reset = HostError.tree(DeviceTreeError(.other, operation: "reset", place: "reset", errno: 5))
    #expect(try detail(.reset, .fails(reset)) == OutcomeDetail(reset))
  }

  @Test(arguments: [
    ([1, 2, 3], [OutcomeSentence.silentAttach, .guestSilent], [OutcomeSentence.silentAttach, .guestSilentAtStop]),
    ([1], [.silentDetach], [.silentDetachAtStop]),
  ])
  func `a wait that the user ended is not called late`(
    _ wanted: [Int], _ late: [OutcomeSentence], _ stopped: [OutcomeSentence]
  ) throws {
    func sentences(_ prepare: (FaultLine) -> Void) throws -> (requests: [PortRequest], said: [[OutcomeSentence]]) {
      let (model, _, run) = try makeAttachedHost()
      let plan = try run.plan(Sample.desired(["net": wanted.map { Sample.address($0) }]))
      model.change(5) { $0.answers = false }
      let line = FaultLine()
      prepare(line)
      let outcome = ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan)
      return (line.requests, outcome.domains.flatMap(\.steps).compactMap(\.detail).map(\.sentences))
    }
    let (requests, said) = try sentences { $0.disarm() }
    #expect(said == [late])
    let wait = try #require(requests.firstIndex(of: .wait))
    #expect(try sentences { $0.arm(.stops, at: wait) }.said == [stopped])
  }
}
