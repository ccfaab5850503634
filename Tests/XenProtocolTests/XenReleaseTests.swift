import Testing
import XenProtocol

struct XenReleaseTests {
  @Test func `releases and versions are ordered as Xen counts them`() throws {
    #expect(XenRelease(4, 9) < XenRelease(4, 17))
    #expect(XenRelease(3, 4) < XenRelease(4, 0))
    let ordered = ["4.17.5", "4.17.6-pre", "4.17.6", "4.17.10", "4.18.0-rc1", "4.18.0", "5.0.0"]
    let versions = try ordered.map { try #require(XenVersion($0)) }
    #expect(versions.sorted() == versions && Set(versions).count == versions.count)
  }

  @Test(arguments: ["", "4", "4.", ".17", "4.17.5", "4.x", "-4.17", "4.-1", "4.17 ", "4.99999999999999999999"])
  func `what is no release is not read as one`(_ text: String) { #expect(XenRelease(text) == nil) }

  @Test(arguments: ["", "4.17", "4.17.", "4.17-unstable", "x.y.z", "4..5", "4.17.x"])
  func `what is no version is not read as one`(_ text: String) { #expect(XenVersion(text) == nil) }

  @Test(arguments: ["4.17.5", "4.17.5+deb12", "4.17.5-9-gabc", "4.17.5.1"])
  func `a distribution's ending is not part of the number`(_ text: String) {
    #expect(XenVersion(text) == XenVersion(XenRelease(4, 17), patch: 5))
  }
}
