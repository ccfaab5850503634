import Model
import TestSupport
import Testing

@testable import Manifest

/// Manifests that are read once for many hosts.
@Suite struct FleetManifestTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func document(_ host: String?, _ spec: String) -> String {
    "---\napiVersion: berth/v1alpha1\nkind: HostAssignments\n" + (host.map { "metadata: {name: \($0)}\n" } ?? "")
      + "spec: \(spec)\n"
  }

  private func write(_ text: String, _ name: String) throws -> String {
    try folder.write(name, text)
    return "\(folder.path)/\(name)"
  }

  private static let device = "{domains: {a: {devices: [{address: '0000:03:00.0', id: '8086:1533'}]}}}"

  /// Returns the desired state, or why there is none.
  private func desired(_ load: () throws(ManifestFailure) -> LoadedManifests) -> Result<DesiredState, ManifestFailure> {
    do throws(ManifestFailure) { return .success(try load().desired) } catch { return .failure(error) }
  }

  private func isSame(_ left: Result<DesiredState, ManifestFailure>, _ right: Result<DesiredState, ManifestFailure>)
    -> Bool
  {
    switch (left, right) {
    case (.success(let one), .success(let two)): return one == two
    case (.failure(.notFound(let one)), .failure(.notFound(let two))): return one == two
    case (.failure(.invalid(let one)), .failure(.invalid(let two))): return one.map(\.text) == two.map(\.text)
    default: return false
    }
  }

  @Test(
    arguments: [
      [("a", device), ("b", device), (nil, "{policy: {prune: never}}")], [("a", device), ("A.example", device)],
      [("a", "{domains: {}}"), ("b", device)], [(nil, device), ("b", device)], [("b", "{}"), ("a", device)],
      [(nil, "{domains: {}}"), ("b", device)], [("a", "{policy: {maxRemovals: 1}}"), (nil, device)],
    ] as [[(String?, String)]])
  func `each host has what it has when it is read alone`(_ documents: [(String?, String)]) throws {
    let path = try write(documents.map { document($0.0, $0.1) }.joined(), "all.yaml")
    let fleet = try FleetManifests(paths: [path], hostCount: 5)
    for host in ["a", "b", "c", "a.example", "B"] {
      let alone = desired { () throws(ManifestFailure) in try loadManifests(paths: [path], hostName: host) }
      let together = desired { () throws(ManifestFailure) in
        try fleet.load(hostName: host, directory: nil, besides: [])
      }
      #expect(isSame(alone, together), "\(host): \(alone) \(together)")
    }
  }

  @Test(arguments: [("a", "{domains: {}}"), (nil, "{domains: {}}"), ("a", device), (nil, device), ("a", "{}")])
  func `a directory of its own counts like a path that is given after the others`(
    _ host: String?, _ spec: String
  ) throws {
    let path = try write(document("b", Self.device) + document(nil, "{policy: {prune: never}}"), "all.yaml")
    try folder.makeFolder("own")
    _ = try write(document(host, spec), "own/x.yaml")
    let fleet = try FleetManifests(paths: [path], hostCount: 5)
    let alone = desired { () throws(ManifestFailure) in
      try loadManifests(paths: [path, "\(folder.path)/own"], hostName: "a")
    }
    let together = desired { () throws(ManifestFailure) in
      try fleet.load(hostName: "a", directory: "\(folder.path)/own", besides: [])
    }
    #expect(isSame(alone, together), "\(alone) \(together)")
  }

  @Test func `many hosts cost what they have`() throws {
    // If a host's cost grew with the fleet, 5000 hosts that compare their names with 5000 others would take minutes.
    let count = 5000
    let path = try write((0..<count).map { document("host\($0)", "{domains: {}}") }.joined(), "all.yaml")
    let fleet = try FleetManifests(paths: [path], hostCount: 5)
    #expect(fleet.hosts.count == count)
    for number in 0..<count {
      let absent = desired { () throws(ManifestFailure) in
        try fleet.load(hostName: "absent\(number)", directory: nil, besides: [])
      }
      guard case .failure(.notFound(let messages)) = absent else { throw TestFault() }
      #expect(messages.first?.hasSuffix(" and 4992 more") == true)
      let there = try fleet.load(hostName: "host\(number)", directory: nil, besides: [])
      #expect(there.desired.completeness == .stated)
    }
  }

  @Test func `another spelling of a host's name is found among any number of documents`() throws {
    let shared = (0..<1001).map { _ in document(nil, "{policy: {prune: never}}") }.joined()
    let path = try write(document("host17", Self.device) + shared + document(nil, Self.device), "all.yaml")
    let fleet = try FleetManifests(paths: [path], hostCount: 2)
    for host in ["host17.lan", "HOST17", "host17", "other"] {
      let alone = desired { () throws(ManifestFailure) in try loadManifests(paths: [path], hostName: host) }
      let together = desired { () throws(ManifestFailure) in
        try fleet.load(hostName: host, directory: nil, besides: [])
      }
      #expect(isSame(alone, together), "\(host): \(alone) \(together)")
    }
  }

  @Test func `a file that was read is not read again, and names may be used in another file`() throws {
    try folder.makeFolder("own")
    let shared = try write(document(nil, "{devices: {lan: {address: '0000:03:00.0', id: '8086:1533'}}}"), "all.yaml")
    let path = try write(document("a", "{domains: {d: {devices: [lan]}}}"), "own/x.yaml")
    let fleet = try FleetManifests(paths: [shared, path], hostCount: 1)
    let loaded = try fleet.load(hostName: "a", directory: "\(folder.path)/own", besides: [])
    #expect(loaded.desired.domains.count == 1 && loaded.warnings.isEmpty, "\(loaded.warnings.map(\.text))")
    let alone = try FleetManifests(paths: [shared], hostCount: 1)
    let own = try alone.load(hostName: "a", directory: "\(folder.path)/own", besides: [])
    #expect(own.desired == loaded.desired && own.warnings.isEmpty, "\(own.warnings.map(\.text))")
  }

  @Test func `documents for every host are too many for too many hosts`() throws {
    let definitions = (0..<3000).map { "d\($0): {mac: '02:00:00:00:00:01'}" }.joined(separator: ", ")
    let path = try write(document(nil, "{devices: {\(definitions)}, domains: {}}"), "all.yaml")
    _ = try FleetManifests(paths: [path], hostCount: 6000)
    #expect(throws: ManifestFailure.self) { try FleetManifests(paths: [path], hostCount: 7000) }
  }

  @Test func `entries of a directory that somebody else reads are not remarked`() throws {
    try folder.makeFolder("own")
    let path = try write(document("a", Self.device), "own/x.yaml")
    _ = try write("{}", "own/snapshot.json")
    let fleet = try FleetManifests(paths: [], hostCount: 1)
    func warnings(_ known: Set<String>) throws -> [String] {
      try fleet.load(hostName: "a", directory: "\(folder.path)/own", besides: known).warnings.map(\.message)
    }
    #expect(try warnings(["snapshot.json"]).isEmpty)
    #expect(try warnings([]).contains { $0.contains("'snapshot.json'") })
    #expect(
      try loadManifests(paths: [path], hostName: "a").desired
        == fleet.load(hostName: "a", directory: "\(folder.path)/own", besides: []).desired)
  }

  private struct TestFault: Error {}
}
