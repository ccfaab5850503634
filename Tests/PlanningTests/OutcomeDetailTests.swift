import Planning
import Ports
import Testing

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
