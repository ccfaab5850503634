import Glibc
import Model
import Sandbox
import TestSupport
import Testing

/// Links among a running sandbox's files lead neither the simulator nor a stock program out of the sandbox.
struct PlantedLinkTests {
  /// A file or folder of the sandbox, and the requests by which the simulator would change it.
  struct Place: CustomTestStringConvertible, Sendable {
    var path: String
    var requests: [String]
    var testDescription: String { path }
  }

  static let places = [
    Place(path: "root/dev/kmsg", requests: ["destroy pv1", "create pv1"]),
    Place(path: "root/dev", requests: ["destroy pv1", "create pv1"]),
    Place(path: "root/var/lib/xen", requests: ["destroy pv1", "create pv1", "lock pv1"]),
    Place(path: "root/sys/bus/xen-backend/devices", requests: ["destroy pv1", "create pv1"]),
    Place(path: "root/sys/bus/pci/drivers/pciback/permissive", requests: ["destroy pv1", "create pv1"]),
    Place(path: "root/sys/bus/pci/drivers/pciback", requests: ["destroy pv1", "create pv1"]),
    Place(path: "root/run", requests: ["destroy pv1", "create pv1"]),
    Place(path: "xenstored/evtchn", requests: ["destroy pv1"]),
    Place(path: "xenstored/ring-2", requests: ["destroy pv1", "create pv1"]),
    Place(path: "dom-2", requests: ["destroy pv1", "create pv1"]),
  ]

  /// Puts a link to a victim in the place of a file or folder, runs `body`, and returns what has changed at the victim.
  private func changes(
    _ sandbox: LiveSandbox, _ path: String, _ body: () async throws -> Void
  ) async throws -> [String] {
    let folder = try TemporaryFolder()
    let place = sandbox.paths.directory + "/" + path
    try folder.write("folder/keep", "as it was")
    try folder.write("file", "as it was")
    var found = stat()
    let isFolder = unsafe lstat(place, &found) == 0 && found.st_mode & S_IFMT == S_IFDIR
    // What the simulator has there stays inside the sandbox, under another name.
    _ = unsafe rename(place, sandbox.paths.root + "/moved")
    try #require(unsafe symlink(folder.path + (isFolder ? "/folder" : "/file"), place) == 0)
    let before = try TreeSnapshot(of: folder.path)
    try await body()
    return try TreeSnapshot(of: folder.path).differences(from: before)
  }

  @Test(arguments: places)
  func `the simulator changes nothing behind a link`(_ place: Place) async throws {
    try await LiveSandbox.run(Scenarios.laboratory(domain: "devices: [0000:00:05.0]")) { sandbox in
      let changes = try await changes(sandbox, place.path) {
        for request in place.requests {
          // A request may fail; it must not reach the victim.
          do { try sandbox.request(request) } catch is SandboxError { continue }
        }
      }
      #expect(changes == [])
      #expect(try sandbox.status().devices.count == 6, "the simulator still answers")
    }
  }

  @Test(arguments: ["root/var/lib/xen", "root/var/log/xen", "root/sys/bus/pci/drivers/pciback/permissive"])
  func `stock xl changes nothing behind a link`(_ path: String) async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      let changes = try await changes(sandbox, path) {
        _ = try await sandbox.xl("pci-attach", "pv1", "00:05.0,permissive=1").run()
      }
      #expect(changes == [])
    }
  }

  @Test func `stock xl does not work on a sandbox that others may change`() async throws {
    try await LiveSandbox.run(Scenarios.laboratory()) { sandbox in
      #expect(try await sandbox.xl("list").run().status == 0)
      _ = unsafe chmod(sandbox.paths.directory, 0o777)
      let refused = try await sandbox.xl("list").run()
      _ = unsafe chmod(sandbox.paths.directory, 0o700)
      #expect(refused.status != 0, "\(refused)")
    }
  }
}
