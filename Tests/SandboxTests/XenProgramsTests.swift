import Sandbox
import TestSupport
import Testing

/// Programs of Xen are found without a list of releases.
struct XenProgramsTests {
  @Test(arguments: [
    (nil, ["4.20", "4.17", "4.9"]), ("xen 4 17", ["4.17", "4.20", "4.9"]), ("xen 4 21", ["4.20", "4.17", "4.9"]),
    ("other 4 17", ["4.20", "4.17", "4.9"]), ("xen 4", ["4.20", "4.17", "4.9"]),
  ])
  func `the running release comes first, then the newest`(_ running: String?, _ expected: [String]) throws {
    let folder = try TemporaryFolder()
    for name in ["xen-4.9", "xen-4.17", "xen-4.20", "xen-common", "xen-4.20.1", "xen-", "gcc", "4.21"] {
      try folder.makeFolder("usr/lib/\(name)")
    }
    if let words = running?.split(separator: " ") {
      try folder.makeFolder("sys/hypervisor/version")
      let files = ["type", "version/major", "version/minor"]
      for (name, text) in zip(files, words) { try folder.write("sys/hypervisor/\(name)", "\(text)\n") }
    }
    let places = expected.map { "\(folder.path)/usr/lib/xen-\($0)/bin/xl" }
    #expect(try XenPrograms.places(of: "xl", root: folder.path) == places)
  }

  @Test func `nothing is found where nothing is installed`() throws {
    #expect(try XenPrograms.places(of: "xl", root: TemporaryFolder().path) == [])
    #expect(try XenPrograms.path(of: "no-such-program") == nil)
  }
}
