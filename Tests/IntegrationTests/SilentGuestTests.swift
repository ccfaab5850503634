import Model
import TestSupport
import Testing

/// A guest that does not answer leaves an unknown outcome, and the next run continues from there.
struct `Guests that do not answer` {
  @Test(arguments: [TestHost.Store.c, .ox])
  func `an attach is unknown until the guest answers`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5, answers: never}"]), store) { host in
      let manifest = try host.manifest(["net": [Sample.address(0), Sample.address(1)]])
      let apply = try await host.berth("apply", manifest, "--yes", "--wait-timeout", "300ms")
      #expect(apply.status == 7, "\(apply.output)\(apply.errors)")
      #expect(apply.output.contains("unknown"))
      try await host.change("answers", "net", "normal")
      let again = try await host.berth("apply", manifest, "--yes")
      #expect(again.status == 0, "\(again.output)\(again.errors)")
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0), Sample.address(1)]) == [])
    }
  }

  @Test(arguments: [
    "{name: net, domid: 5, answers: no-driver}",
    "{name: net, domid: 5, kind: hvm, stubDomain: {domid: 15, answers: no-driver}}",
  ])
  func `devices that a guest never connected to are taken back, and another guest gets them`(
    _ domain: String
  ) async throws {
    try await TestHost.with(TestScenario.host([domain, "{name: spare, domid: 6}"])) { host in
      let (first, second) = (Sample.address(0), Sample.address(1))
      let both = try host.manifest(["net": [first, second]], name: "both.yaml")
      let apply = try await host.berth("apply", both, "--yes", "--wait-timeout", "300ms")
      #expect(apply.status == 7, "\(apply)")
      let who = domain.contains("stubDomain") ? "stub domain " : "the guest has"
      #expect(apply.output.contains(who) && apply.output.contains("not connected to its PCI bus"), "\(apply)")
      let status = try await host.berth("status")
      #expect(!status.output.contains("the next apply repairs it"), "\(status.output)")
      let moved = try host.manifest(["net": [second], "spare": [first]], name: "moved.yaml")
      let apart = try await host.berth("apply", moved, "--yes", "--wait-timeout", "2s")
      #expect(apart.status == 7, "\(apart)")
      #expect(try await host.disagreements(of: "spare", expecting: [first]) == [])
      // What stays declared waits for the guest.
      let listed = try await host.nodes(below: "/local/domain/0/backend/pci").values
      #expect(listed.contains(second.description), "\(listed)")
      let last = try host.manifest(["net": [], "spare": [first, second]], name: "last.yaml")
      let done = try await host.berth("apply", last, "--yes", "--wait-timeout", "2s")
      #expect(done.status == 0, "\(done)")
      #expect(try await host.disagreements(of: "spare", expecting: [first, second]) == [])
      #expect(try await host.disagreements(of: "net", expecting: []) == [])
    }
  }

  @Test(arguments: [TestHost.Store.c, .ox])
  func `a detach is never reported as done before the guest released the device`(_ store: TestHost.Store) async throws {
    try await TestHost.with(TestScenario.host(), store) { host in
      let both = try host.manifest(["net": [Sample.address(0), Sample.address(1)]], name: "both.yaml")
      let one = try host.manifest(["net": [Sample.address(0)]], name: "one.yaml")
      #expect(try await host.berth("apply", both, "--yes").status == 0)
      try await host.change("answers", "net", "never")
      let apply = try await host.berth("apply", one, "--yes", "--wait-timeout", "300ms")
      #expect(apply.status == 7, "\(apply.output)\(apply.errors)")
      #expect(try await host.status().domain("net").assigned.contains(Sample.address(1)), "the guest may be using it")
      try await host.change("answers", "net", "normal")
      let again = try await host.berth("apply", one, "--yes")
      #expect(again.status == 0, "\(again.output)\(again.errors)")
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a slow guest is waited for`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5, answers: slow, delay: 300ms}"])) { host in
      let apply = try await host.berth("apply", try host.manifest(["net": [Sample.address(0)]]), "--yes")
      #expect(apply.status == 0, "\(apply.output)\(apply.errors)")
      #expect(apply.duration > .milliseconds(300))
      #expect(try await host.disagreements(of: "net", expecting: [Sample.address(0)]) == [])
    }
  }

  @Test func `a guest that writes nonsense is not believed, and harms no other guest`() async throws {
    try await TestHost.with(TestScenario.host(["{name: net, domid: 5}", "{name: good, domid: 6}"])) { host in
      let first = try host.manifest(["net": [Sample.address(0)], "good": [Sample.address(1)]], name: "first.yaml")
      #expect(try await host.berth("apply", first, "--yes").status == 0)
      try await host.change("answers", "net", "wrong")
      let both = ["net": [0, 2].map(Sample.address), "good": [1, 3].map(Sample.address)]
      let apply = try await host.berth("apply", try host.manifest(both), "--yes", "--wait-timeout", "300ms")
      #expect(apply.status == 7, "\(apply.status) \(apply.output)\(apply.errors)")
      #expect(try await host.disagreements(of: "good", expecting: Set([1, 3].map(Sample.address))) == [])
    }
  }
}
