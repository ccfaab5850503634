import Planning
import Ports
import Testing

@Suite struct OutcomeDetailTests {
  @Test func `a sentence keeps the failures among its values`() {
    let error = HostError.hypervisor(HypervisorError(.unproven, operation: "xc_assign_device"))
    let inner = OutcomeDetail(.notRemovedByQEMU, error)
    let outer = OutcomeDetail(.undoingFailed, inner, OutcomeDetail(error))
    #expect(inner.parts == [.text("QEMU did not remove it from the guest: "), .failure(error)])
    #expect(
      outer.parts == [
        .text("QEMU did not remove it from the guest: "), .failure(error), .text("; undoing it failed: "),
        .failure(error),
      ])
    #expect(outer.sentences == [.undoingFailed, .notRemovedByQEMU, .failed])
    let text = OutcomeDetail(.refused, "is-bridge", OutcomeDetail(.deviceMissing, "0000:03:00.0"))
    #expect(text.parts == [.text("is-bridge: sysfs has no device at 0000:03:00.0")])
    #expect(OutcomeDetail(.refusedByQEMU, "").parts == [.text("QEMU refused it: ")])
  }

  @Test(arguments: OutcomeSentence.allCases)
  func `a sentence and its observation are plain`(_ sentence: OutcomeSentence) {
    let entry = sentence.entry
    #expect(!entry.words.isEmpty && !entry.observation.isEmpty)
    #expect(!entry.words.hasSuffix(".") && !entry.observation.hasSuffix("."))
    // A sentence of values alone says what was read, and nothing else.
    if entry.words.allSatisfy({ "{}: ".contains($0) }) {
      #expect([.failed, .refused, .busFlawed, .hostRepairFailed].contains(sentence))
    }
  }

  @Test func `no two sentences have the same words, unless they are values alone`() {
    let words = OutcomeSentence.allCases.map(\.entry.words).filter { $0.contains { $0.isLetter } }
    #expect(Set(words).count == words.count)
  }
}
