import Testing

@testable import Rendering

@Suite struct MarkedPartTests {
  private func replaced(_ page: String) -> Result<String, MarkedPart.Fault> {
    do throws(MarkedPart.Fault) {
      return .success(
        String(decoding: try MarkedPart("x").replaced(in: Array(page.utf8), by: Array("new\n".utf8)), as: UTF8.self))
    } catch { return .failure(error) }
  }

  @Test func `only the lines between the markers are replaced`() {
    #expect(
      replaced("a\n <!-- x --> \r\nold\nold\n<!-- end: x -->") == .success("a\n <!-- x --> \r\nnew\n<!-- end: x -->"))
    #expect(replaced("<!-- x -->\n<!-- end: x -->\nb\n") == .success("<!-- x -->\nnew\n<!-- end: x -->\nb\n"))
  }

  @Test(arguments: [
    ("", "there is no line <!-- x -->"), ("<!-- x -->\n", "there is no line <!-- end: x -->"),
    ("<!-- end: x -->\n<!-- x -->\n", "the line <!-- end: x --> is before the line <!-- x -->"),
    ("<!-- x -->\n<!-- x -->\n<!-- end: x -->\n", "the line <!-- x --> is there twice"),
    ("<!-- x -->\n<!-- end: x -->\n<!-- end: x -->\n", "the line <!-- end: x --> is there twice"),
    ("text <!-- x -->\n<!-- end: x -->\n", "there is no line <!-- x -->"),
  ])
  func `a page without exactly one part is refused`(_ page: String, _ reason: String) {
    #expect(replaced(page) == .failure(MarkedPart.Fault(reason: reason)))
  }
}
