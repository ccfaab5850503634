import Model
import Planning
import Rendering

/// Tests files of saved plans: each is read or refused with a reason. A file that was read is written as it was, and an
/// edited change never passes for the one that was agreed to.
func readSavedPlan(_ bytes: [UInt8]) {
  let isOne = SavedPlan.isOne(bytes)
  _ = SavedPlan.isPartOfOne(bytes)
  do throws(SavedPlanFault) {
    let plan = try SavedPlan(decoding: bytes)
    must(isOne, "a plan that was read is taken for a manifest")
    writeAndRead(plan)
  } catch { must(!error.words.isEmpty, "an error without words") }
  compareConsents(String(decoding: bytes, as: UTF8.self))
}

/// Takes the lines of a text for changes, without a fingerprint that the bytes would have to have.
private func compareConsents(_ text: String) {
  let lines = text.split(separator: "\n", omittingEmptySubsequences: false).prefix(64).map(String.init)
  let changes = lines.compactMap(ConsentedChange.init(text:))
  must(changes.allSatisfy { lines.contains($0.text) }, "a change that was read has another text")
  // What belongs to no living domain is not compared: any guest that ends can make its repair necessary.
  guard let first = changes.first(where: { !$0.verb.hasPrefix("remove-") }) else { return }
  let consent = PlanConsent(host: "host", bootID: nil, set: "set", changes: Set(changes).sorted())
  must(consent.differences(in: consent).isEmpty, "a plan differs from itself")
  writeAndRead(
    SavedPlan(
      consent: consent,
      options: SavedPlan.Options(
        prune: nil, allowsRemovals: false, requiresRunning: false, loadsModules: true, overrides: [:]),
      manifests: [SavedPlan.Manifest(name: lines[0], text: text)], version: "0", madeAt: 0))
  var other = consent
  other.changes.removeAll { $0 == first }
  must(!consent.differences(in: other).isEmpty, "a change that is missing is not noticed")
  must(!other.differences(in: consent).isEmpty, "a change that nobody agreed to is not noticed")
  must(consent.fingerprint != other.fingerprint, "different changes have one fingerprint")
}

private func writeAndRead(_ plan: SavedPlan) {
  do {
    let again = try SavedPlan(decoding: try plan.encoded())
    must(again == plan, "a plan that changes when it is written")
  } catch let fault as SavedPlanFault {
    wrong("what was read cannot be written and read again: \(fault.words)")
  } catch { wrong("a plan cannot be written: \(error)") }
}
