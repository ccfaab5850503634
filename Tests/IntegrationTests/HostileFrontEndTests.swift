import Glibc
import Model
import TestSupport
import Testing

/// A guest that writes arbitrary text below its own front end, on a real xenstored.
struct `Hostile front ends` {
  private static let front = "/local/domain/5/device/pci/0"

  /// Nodes that lead to another domain's, to dom0's and to themselves, an invalid state, and many more nodes.
  private static let mischief = """
    while :; do
      for state in 9 4 99 4; do
        xenstore-write \(front)/state $state \(front)/backend /local/domain/0/backend/pci/6/0 \(front)/backend-id 6 \
          \(front)/frontend \(front) \(front)/num_devs 99 \(front)/dev-0 \(Sample.address(3)) \
          \(front)/flood-$state/$state \(String(repeating: "x", count: 1500)) || exit
      done
    done
    """

  @Test(arguments: [TestHost.Store.c, .ox])
  func `a front end that never stops delays nobody for ever, and affects no other guest`(
    _ store: TestHost.Store
  ) async throws {
    let domains = ["{name: net, domid: 5}", "{name: good, domid: 6}"]
    try await TestHost.with(TestScenario.host(domains), store) { host in
      let first = try host.manifest(["net": [Sample.address(0)], "good": [Sample.address(1)]], name: "first.yaml")
      #expect(try await host.berth("apply", first, "--yes").status == 0)
      try await host.wait(for: "\(Self.front)/state", toBe: "4")
      let others = ["/local/domain/6", "/local/domain/0/backend/pci/6", "/libxl/6"]
      var before: [[String: String]] = []
      for path in others { before.append(try await host.nodes(below: path)) }

      let more = try host.manifest(
        ["net": [0, 2].map(Sample.address), "good": [Sample.address(1)]], name: "more.yaml")
      try await host.change("answers", "net", "never")
      let guest = try host.stock("/bin/sh", ["-c", Self.mischief]).start()
      defer { guest.end(SIGKILL) }
      try await host.wait(for: "\(Self.front)/backend-id", toBe: "6")
      let apply = try await host.berth("apply", more, "--yes", "--wait-timeout", "300ms")

      #expect(
        apply.status == 7 || apply.status == 1 || apply.status == 5, "\(apply.status) \(apply.output)\(apply.errors)")
      guest.end(SIGKILL)
      var after: [[String: String]] = []
      for path in others { after.append(try await host.nodes(below: path)) }
      #expect(after == before)
      #expect(try await host.disagreements(of: "good", expecting: [Sample.address(1)]) == [])

      // The guest's own driver continues from its previous state.
      try await host.write("\(Self.front)/state", "4")
      try await host.change("answers", "net", "normal")
      let again = try await host.berth("apply", more, "--yes")
      #expect(again.status == 0, "\(again.output)\(again.errors)")
      #expect(try await host.disagreements(of: "net", expecting: Set([0, 2].map(Sample.address))) == [])
    }
  }

  @Test func `a guest that ends its own bus is reported as needing a restart`() async throws {
    try await TestHost.with(TestScenario.host()) { host in
      let first = try host.manifest(["net": [Sample.address(0)]], name: "first.yaml")
      #expect(try await host.berth("apply", first, "--yes").status == 0)
      try await host.wait(for: "\(Self.front)/state", toBe: "4")
      try await host.write("\(Self.front)/state", "6")
      try await host.wait(for: "/local/domain/0/backend/pci/5/0/state", toBe: "6")
      let more = try host.manifest(["net": [0, 1].map(Sample.address)], name: "more.yaml")
      let apply = try await host.berth("apply", more, "--yes", "--wait-timeout", "300ms")
      #expect(apply.status == 3, "\(apply.status) \(apply.output)\(apply.errors)")
      #expect(apply.output.contains("bus-closing"), "\(apply.output)")
      #expect(apply.output.contains("restart"), "\(apply.output)")
    }
  }
}
