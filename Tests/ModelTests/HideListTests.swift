import Model
import Testing

/// pciback's parameter `hide`, as the kernel reads it.
@Suite struct HideListTests {
  @Test(arguments: [
    ("", []), ("  \n", []), ("(0000:03:00.0)", ["0000:03:00.0"]), ("(03:1f.7)", ["0000:03:1f.7"]),
    ("(0000:03:00.0)(0001:04:10.1)", ["0000:03:00.0", "0001:04:10.1"]),
    (" (3:0.1) (4:0.2) ", ["0000:03:00.1", "0000:04:00.2"]),
    ("(0000:03:00.*)", ["0000:03:00.*"]), ("(0000:03:*.*)", ["0000:03:*.*"]), ("(03:*.*)", ["0000:03:*.*"]),
    ("(03:00.*)", ["0000:03:00.*"]), ("(FFFF:FF:1F.7)", ["ffff:ff:1f.7"]),
  ])
  func `a list that the kernel reads`(_ text: String, _ entries: [String]) throws {
    #expect(try HideList(text).entries.map(\.description) == entries)
  }

  @Test(arguments: [
    ("(0000:03:00.0),(0000:04:00.0)", ",(0000:04:00.0)"), ("0000:03:00.0", "0000:03:00.0"),
    ("(0000:03:00.0", "(0000:03:00.0"),
    ("(0000:03:00)", "(0000:03:00)"), ("(0000:03:00.8)", "(0000:03:00.8)"), ("(0000:03:20.0)", "(0000:03:20.0)"),
    ("(0000:100:00.0)", "(0000:100:00.0)"), ("(10000:03:00.0)", "(10000:03:00.0)"), ("(0000:03:*.0)", "(0000:03:*.0)"),
    ("(*:00.0)", "(*:00.0)"), ("()", "()"), ("(0000:03:00.0)x", "x"), ("(\u{e9}:00.0)", "(\u{e9}:00.0)"),
  ])
  func `one error, and the kernel reads nothing`(_ text: String, _ rest: String) {
    #expect(throws: HideList.Fault(rest: rest)) { try HideList(text) }
  }

  @Test func `an entry covers a function, a slot or a bus`() throws {
    let address = try #require(PCIAddress("0000:03:01.2"))
    for (text, covers) in [
      ("(03:01.2)", true), ("(03:01.3)", false), ("(03:01.*)", true), ("(03:02.*)", false), ("(03:*.*)", true),
      ("(04:*.*)", false), ("(0001:03:01.2)", false), ("(04:00.0)(03:01.2)", true), ("", false),
    ] { #expect(try HideList(text).covers(address) == covers, "\(text)") }
  }
}
