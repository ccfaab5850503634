import Model
import Planning
import Rendering
import TestSupport
import Testing

/// The file of a saved plan, and what is shown of one that does not fit.
@Suite struct SavedPlanFileTests {
  private func saved() throws -> SavedPlan {
    SavedPlan(
      consent: PlanConsent(to: try Samples.everything(), bootID: "0c6c9ac6-8e0e-4d0b-9b3f-2f6f6c3b5a10"),
      options: SavedPlan.Options(
        prune: .owned, allowsRemovals: true, requiresRunning: false, loadsModules: false,
        overrides: [Sample.address(4): InterlockOverride(reason: "the disk is a guest's", user: "eve")]),
      manifests: [.init(name: "host17.yaml", text: "apiVersion: berth/v1alpha1\n")], version: "0.1.0", madeAt: 1000)
  }

  @Test func `a plan is read as it was written`() throws {
    let plan = try saved()
    let bytes = try plan.encoded()
    #expect(try SavedPlan(decoding: bytes) == plan && SavedPlan.isOne(bytes))
    try expectGolden(String(decoding: bytes, as: UTF8.self), "everything/saved-plan.json")
    #expect(try plan.encoded() == bytes)
  }

  @Test func `the file of the first version is still read`() throws {
    let text = try repositoryFile("Tests/RenderingTests/Fixtures/v1/SavedPlan.json")
    let plan = try SavedPlan(decoding: Array(text.utf8))
    #expect(!plan.consent.changes.isEmpty && plan.options.overrides.count == 1 && plan.manifests.count == 1)
  }

  @Test func `the fingerprint is the digest of the text`() {
    // FIPS 180-4: the digest of what `printf` prints of the same text.
    let consent = PlanConsent(host: "h", bootID: nil, set: "default", changes: [])
    #expect(consent.text == "berth-plan 1\nhost=h boot= set=default\n")
    #expect(
      consent.fingerprint == "sha256:76ade85c311006aa68eefc1b8c9fcbe058870bc118a7b4aa6038deb9fc559ba6")
    #expect(PlanConsent.isFingerprint(consent.fingerprint))
    for wrong in [
      "", "sha256:", consent.fingerprint + "0", "md5:" + consent.fingerprint.dropFirst(7),
      "sha256:" + String(repeating: "G", count: 64),
    ] {
      #expect(!PlanConsent.isFingerprint(wrong))
    }
  }

  @Test func `a file that was cut, edited or made by somebody else is refused with its reason`() throws {
    let text = String(decoding: try saved().encoded(), as: UTF8.self)
    func words(_ text: String) -> String? {
      do throws(SavedPlanFault) {
        _ = try SavedPlan(decoding: Array(text.utf8))
        return nil
      } catch { return error.words }
    }
    let edits: [(String, String, String)] = [
      (#""formatVersion" : 1"#, #""formatVersion" : 2"#, "its format has version 2, and this berth reads version 1"),
      (#""kind" : "SavedPlan""#, #""kind" : "Plan""#, "it is no saved plan"),
      (
        #""host" : "host17""#, #""host" : "host18""#,
        "its changes are not those of its fingerprint: somebody has edited it"
      ),
      (
        "because=declared", "because=options-differ",
        "its changes are not those of its fingerprint: somebody has edited it"
      ),
      ("attach uuid=", "launch uuid=", "one of its changes cannot be read"),
      (#""prune" : "owned""#, #""prune" : "some""#, "its option prune is unknown"),
      (#""madeAt" : 1000"#, #""madeAt" : "1000""#, "it is incomplete, or not written by berth"),
    ]
    for (old, new, reason) in edits {
      #expect(text.contains(old), "\(old)")
      #expect(words(text.replacing(old, with: new, maxReplacements: 1)) == reason)
    }
    for length in [0, 1, text.utf8.count / 2, text.utf8.count - 3] {
      #expect(words(String(text.prefix(length))) == "it is incomplete, or not written by berth")
    }
    #expect(words(String(repeating: "[", count: 100_000)) != nil)
    for other in ["", "kind: SavedPlan\n", "{\"kind\": \"HostAssignments\"}", "{", "[]"] {
      #expect(!SavedPlan.isOne(Array(other.utf8)))
    }
  }

  @Test func `a plan that does not fit says why`() throws {
    let agreed = try saved().consent
    var fresh = agreed
    fresh.host = "host18"
    fresh.bootID = nil
    let first = try #require(fresh.changes.first { $0.verb == "attach" })
    fresh.changes.removeAll { $0 == first }
    let moved = try #require(ConsentedChange(text: first.text.replacing("domid=2", with: "domid=9")))
    fresh.changes = Set(fresh.changes + [moved]).subtracting(fresh.changes.filter { $0.verb == "detach" }).sorted()
    let view = StalePlanView(
      host: fresh.host, agreed: agreed.fingerprint, found: fresh.fingerprint,
      differences: agreed.differences(in: fresh))
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "stale/plan.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "stale/plan.json")
    let bare = StalePlanView(host: "host17", agreed: "sha256:a", found: "sha256:b", differences: [])
    try expectGolden(try rendered(bare, as: .table, style: TextStyle()), "stale/fingerprint.txt")
  }
}
