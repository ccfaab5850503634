import Glibc
import LinuxAdapter
import Model
import Ports
import TestSupport
import Testing

@Suite struct ProductDataTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func read(_ bytes: [UInt8]?) throws -> ProductData? {
    if let bytes { try folder.write("sys/bus/pci/devices/0000:03:00.0/vpd", bytes) }
    let name = try #require(FunctionName("0000:03:00.0"))
    return try SysfsInventory(root: folder.path).productData(of: name)
  }

  /// Returns a large item: its tag, its length, its content.
  private func item(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
    [tag, UInt8(content.count & 0xFF), UInt8(content.count >> 8)] + content
  }

  private func field(_ keyword: String, _ value: String) -> [UInt8] {
    Array(keyword.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
  }

  @Test func `name, part number and serial number are found`() throws {
    let fields = field("PN", "X710-DA2 ") + field("EC", "1") + field("SN", "3CFDFE9E1234") + field("RV", "\u{1}")
    let data = try #require(try read(item(0x82, Array("Ethernet Adapter\0".utf8)) + item(0x90, fields) + [0x78]))
    #expect(data.name == "Ethernet Adapter" && data.partNumber == "X710-DA2" && data.serial == "3CFDFE9E1234")
  }

  @Test func `a device without the file has none`() throws { #expect(try read(nil) == nil) }

  @Test(
    arguments: [
      [], [0x78], [0x82], [0x82, 0xFF, 0xFF, 0x41], [0xFF, 0xFF, 0xFF, 0xFF], [0x90, 0x03, 0x00, 0x53, 0x4E, 0x09],
      [0x90, 0x04, 0x00, 0x53, 0x4E, 0x01, 0x07], [0x82, 0x02, 0x00, 0x20, 0x20],
    ] as [[UInt8]])
  func `what is cut short or no text is left out`(bytes: [UInt8]) throws {
    #expect(try read(bytes) == ProductData())
  }

  @Test func `more than the kernel shows is refused`() throws {
    let error = #expect(throws: HostError.self) { try read([UInt8](repeating: 0xFF, count: 40_000)) }
    guard case .tree(let failure)? = error else {
      Issue.record("no failure of the tree")
      return
    }
    #expect(failure.errno == EFBIG)
  }
}
