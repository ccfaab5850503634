import Model
import Planning
import Ports
import TestSupport
import Testing

/// A failure has the same words in every command.
@Suite struct FailureWordsTests {
  /// Every code of every port, with the number that its adapter leaves.
  static let errors: [HostError] =
    StoreCode.allCases.map { .store(StoreError($0, operation: "commit", place: "/libxl/pci", errno: 13)) }
    + HypervisorCode.allCases.map { .hypervisor(HypervisorError($0, operation: "xc_assign_device", errno: 22)) }
    + DeviceTreeCode.allCases.map { .tree(DeviceTreeError($0, operation: "write", place: "sysfs/reset", errno: 30)) }
    + UserdataCode.allCases.map {
      .userdata(
        UserdataError(
          $0, operation: "lock", place: "userdata", errno: 28, holder: LockHolder(process: 7, command: "xl"),
          detail: "is no JSON"))
    }
    + RecordCode.allCases.map { .record(RecordError($0, operation: "write", place: "domains/a.json", errno: 28)) }
    + DeviceModelCode.allCases.map {
      .deviceModel(DeviceModelError($0, operation: "device_add", place: "qmp-libxl-7", errno: 111, detail: "no"))
    }

  @Test(arguments: errors)
  func `an apply reports a failure in the words of a plan`(_ error: HostError) throws {
    try withManifest { manifest in
      let plan = FakeWorld()
      _ = plan.run("plan", manifest, given: .init(observeFailure: error))
      let words = try #require(plan.messages.split(separator: "\n").first).dropFirst("berth: error: ".count)
      #expect(!words.isEmpty && !words.contains("errno"))

      var outcome = ApplyOutcome.of(failure: OutcomeDetail(.returningFailed, "0000:03:00.0", error))
      let device = try #require(PCIAddress("0000:03:00.0"))
      outcome.domains[0].steps = [
        StepOutcome(device: device, action: .attach, result: .failed, detail: OutcomeDetail(error))
      ]
      outcome.hostFailures = [OutcomeDetail(.recordsFailed, error)]
      let given = FakeWorld.Given(plan: .one(.attach()), outcome: outcome)
      let expected = ["attach failed: \(words)", "returning 0000:03:00.0: \(words)", "records: \(words)"]
      let people = FakeWorld()
      _ = people.run("apply", "-y", manifest, given: given)
      for text in expected { #expect(people.output.contains(text), "\(people.output)") }
      let programs = FakeWorld()
      _ = programs.run("apply", "-y", "-o", "json", manifest, given: given)
      let quoted = words.replacing("/", with: "\\/")
      for text in ["\"detail\" : \"", "returning 0000:03:00.0: ", "records: "] {
        #expect(
          programs.output.contains(text + words) || programs.output.contains(text + quoted), "\(programs.output)")
      }
    }
  }
}
