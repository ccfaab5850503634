import Model
import Testing

@Suite struct InventoryNameTests {
  @Test(arguments: ["0000:03:00.0", "ffff:ff:1f.7", "10000:e1:00.0"])
  func `a function's name is read as the kernel writes it`(text: String) throws {
    let name = try #require(FunctionName(text))
    #expect(name.description == text)
    #expect(name.address?.description == (text.utf8.count == 12 ? text : nil))
  }

  @Test(arguments: ["", "03:00.0", "000:03:00.0", "0000:3:00.0", "0000:03:20.0", "0000:03:00.8", "0000:03:00", "bind"])
  func `other names are none`(text: String) { #expect(FunctionName(text) == nil) }

  @Test func `names are in order of their numbers`() throws {
    let texts = ["0000:00:02.0", "0000:00:10.0", "0000:01:00.1", "0001:00:00.0", "10000:00:00.0"]
    #expect(try texts.reversed().map { try #require(FunctionName($0)) }.sorted().map(\.description) == texts)
  }

  @Test(arguments: ["00_14.0", "00_1c.4-00_00.0", "00_1c.0-00_00.0-01_02.3", "10000_e0_06.0-00_00.0", "0001_00_01.0"])
  func `a path is read as it is written`(text: String) throws {
    #expect(try #require(PCIPath(text)).description == text)
  }

  @Test(arguments: ["", "-", "00_14", "14.0", "00_14.0-", "00_1c.4-0000_00_00.0", "00_20.0", "g0_00.0", "00_00.0_00"])
  func `other texts are no path`(text: String) { #expect(PCIPath(text) == nil) }

  @Test func `a path has no more steps than a segment has buses`() {
    let text = Array(repeating: "00_00.0", count: 256).joined(separator: "-")
    #expect(PCIPath(text) != nil)
    #expect(PCIPath(text + "-00_00.0") == nil)
  }

  @Test(arguments: ["52:54:00:12:34:56", "a0:36:9f:ff:ff:00"])
  func `a card's address is read as the kernel writes it`(text: String) throws {
    let address = try #require(MACAddress(text))
    #expect(address.description == text)
    #expect(address.isIdentity)
    #expect(MACAddress(text.uppercased()) == address)
  }

  @Test(arguments: [
    "", "52:54:00:12:34", "52:54:00:12:34:56:78", "52-54-00-12-34-56", "5:54:00:12:34:56", "525400123456",
  ])
  func `other texts are no card's address`(text: String) { #expect(MACAddress(text) == nil) }

  @Test(arguments: ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])
  func `a group's address and an empty one identify no card`(text: String) throws {
    #expect(try !#require(MACAddress(text)).isIdentity)
  }
}
