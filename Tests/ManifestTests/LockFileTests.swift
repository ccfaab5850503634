import Model
import TestSupport
import Testing

@testable import Manifest

/// Locks, as they are read.
struct LockFileTests {
  private static let text = """
    apiVersion: berth/v1alpha1
    kind: HostLock
    metadata: {name: "host17"}
    spec:
      devices:
        "lan0":
          selector: "serial a0-36-9f-ff-ff-12-34-56"
          found:
            - {address: "0000:04:00.1"}
            - {address: "0000:04:00.0", id: "8086:1533", serial: "a0-36-9f-ff-ff-12-34-56"}
        "0000:05:00.0":
          selector: "address 0000:05:00.0"
          found: []

    """

  private func read(_ text: String) -> (lock: DeviceLock?, errors: [String]) {
    let report = Diagnostics()
    let lock = readLock(SourceText(name: "a.lock.yaml", text: text), report: report)
    return (lock, report.sorted.map { $0.description.split(separator: "\n").first.map(String.init) ?? "" })
  }

  @Test func `a lock with everything`() throws {
    let (found, errors) = read(Self.text)
    #expect(errors.isEmpty)
    let lock = try #require(found)
    #expect(lock.host == "host17" && lock.devices.map(\.label) == ["0000:05:00.0", "lan0"])
    let functions = lock.devices[1].functions
    #expect(functions.map(\.address.description) == ["0000:04:00.0", "0000:04:00.1"])
    #expect(functions[0].id == DeviceID("8086:1533") && functions[0].serial == "a0-36-9f-ff-ff-12-34-56")
    #expect(functions[1].id == nil)
  }

  @Test(arguments: [
    ("kind: HostLock", "kind: HostAssignments", "a.lock.yaml:2:7: error: 'kind' must be HostLock"),
    ("metadata: {name: \"host17\"}\n", "", "a.lock.yaml:1:1: error: the lock needs the key 'metadata'"),
    (
      "address: \"0000:04:00.1\"", "addres: \"0000:04:00.1\"",
      "a.lock.yaml:9:12: error: an entry of 'found' has no key 'addres'"
    ),
    ("\"lan0\":", "\"!\":", "a.lock.yaml:6:5: error: the name of a device must be a device's name or address"),
    (
      "      selector: \"address 0000:05:00.0\"\n", "",
      "a.lock.yaml:12:7: error: device '0000:05:00.0' needs the key 'selector'"
    ),
  ])
  func `an error has its location`(_ old: String, _ new: String, _ expected: String) {
    let (lock, errors) = read(Self.text.replacing(old, with: new))
    #expect(lock == nil && errors.first?.hasPrefix(expected) == true, "\(errors)")
  }

  @Test func `texts that are no lock`() {
    #expect(read("").errors == ["a.lock.yaml: error: the lock is empty"])
    #expect(read(Self.text + "---\n" + Self.text).errors == ["a.lock.yaml: error: the lock has more than one document"])
    #expect(read("root:x:0\n").errors.first?.contains("this is not a lock") == true)
  }

  @Test func `the place of a lock is beside its manifest`() throws {
    let folder = try TemporaryFolder()
    try folder.write("host17.yaml", "")
    #expect(lockPath(besides: ["-", folder.path], hostName: "h") == "\(folder.path)/h.lock.yaml")
    #expect(lockPath(besides: ["\(folder.path)/"], hostName: "h") == "\(folder.path)/h.lock.yaml")
    #expect(lockPath(besides: ["\(folder.path)/host17.yaml"], hostName: "h") == "\(folder.path)/h.lock.yaml")
    #expect(lockPath(besides: ["host17.yaml"], hostName: "h") == "h.lock.yaml")
    #expect(lockPath(besides: ["-"], hostName: "h") == nil)
    for name in ["../a", "", ".a"] { #expect(lockPath(besides: ["a.yaml"], hostName: name) == nil) }
  }

  @Test func `a lock is found beside a manifest, and a folder of manifests does not count it`() throws {
    let folder = try TemporaryFolder()
    let manifest = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {domains: {}}\n"
    try folder.write("host17.yaml", manifest)
    #expect(try loadLock(named: nil, besides: [folder.path], hostName: "host17")?.path == nil)
    try folder.write("host17.lock.yaml", Self.text)
    #expect(try loadLock(named: nil, besides: [folder.path], hostName: "host17")?.lock.host == "host17")
    let loaded = try loadManifests(paths: [folder.path], hostName: "host17")
    #expect(loaded.files == ["\(folder.path)/host17.yaml"] && loaded.warnings.isEmpty)
    try folder.write("host17.lock.yaml", "kind: HostLock\n")
    #expect(throws: ManifestFailure.self) {
      try loadLock(named: nil, besides: ["\(folder.path)/host17.yaml"], hostName: "host17")
    }
    #expect(throws: ManifestFailure.self) { try loadLock(named: "\(folder.path)/none", besides: [], hostName: "a") }
  }
}
