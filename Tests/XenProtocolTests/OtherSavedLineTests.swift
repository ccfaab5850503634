import Model
import TestSupport
import Testing
import XenProtocol

/// Elements of `pcidevs` that are not one device by its address: they are kept as they are, and count for what they
/// cover.
@Suite struct OtherSavedLineTests {
  private let card = PCIAddress(segment: 0, bus: 3, device: 4, function: 0)
  private static let plain = #"{"dev": 5, "bus": 3, "vfunc_mask": 1, "rdm_policy": "strict"}"#

  private static func file(_ lines: String...) throws -> SavedConfiguration {
    let text =
      "{\n    \"c_info\": {},\n    \"pcidevs\": [\n        \(lines.joined(separator: ",\n        "))\n    ]\n}\n"
    return try SavedConfiguration(Array(text.utf8) + [0])
  }

  struct Odd: CustomTestStringConvertible, Sendable {
    var line: String
    var oddity: OtherSavedLine.Oddity
    var address: String?
    var testDescription: String { line }
  }

  static let odd = [
    Odd(line: #"{"name": "nic0"}"#, oddity: .name("nic0")),
    Odd(line: #"{"dev": 4, "bus": 3, "name": "nic0"}"#, oddity: .name("nic0"), address: "0000:03:04.0"),
    Odd(line: #"{"dev": 4, "bus": 3, "vfunc_mask": 4294967295}"#, oddity: .wholeSlot, address: "0000:03:04.0"),
    Odd(line: #"{"func": 1, "dev": 4, "bus": 3, "vfunc_mask": 3}"#, oddity: .mask, address: "0000:03:04.1"),
    Odd(
      line: #"{"dev": 4, "bus": 3, "backend_domid": 7}"#, oddity: .unknownKey("backend_domid"),
      address: "0000:03:04.0"),
    Odd(
      line: #"{"iommu_group": "a", "zone": {"x": [1]}}"#, oddity: .unknownKey("iommu_group"), address: "0000:00:00.0"),
  ]

  @Test(arguments: odd)
  func `a line that is not one address is no device, and keeps its text`(_ odd: Odd) throws {
    let saved = try Self.file(odd.line, Self.plain)
    #expect(saved.devices.map(\.address.description) == ["0000:03:05.0"])
    let line = try #require(saved.otherLines.first)
    #expect(line.oddity == odd.oddity && line.address?.description == odd.address && line.text == odd.line)
    // Neither removing everything nor adding something changes it.
    let emptied = try saved.removing([try #require(PCIAddress("0000:03:05.0"))])
    #expect(emptied.otherLines == saved.otherLines && emptied.devices.isEmpty)
    let other = try #require(PCIAddress("0000:07:00.0"))
    let added = try saved.adding([SavedDevice(address: other, options: DeviceOptions())])
    #expect(added.otherLines == saved.otherLines && added.devices.count == 2)
    #expect(String(decoding: added.bytes, as: UTF8.self).contains(odd.line))
  }

  @Test(arguments: odd.filter { $0.address?.hasPrefix("0000:03:04") == true })
  func `a device is not added beside a line that covers it`(_ odd: Odd) throws {
    let saved = try Self.file(odd.line)
    let address = try #require(PCIAddress(odd.address ?? ""))
    let added = try saved.adding([SavedDevice(address: address, options: DeviceOptions(permissive: true))])
    #expect(added == saved)
  }

  @Test func `a whole slot covers its functions, and no other device`() throws {
    let line = try #require(try Self.file(Self.odd[2].line).otherLines.first)
    #expect(line.covers(try #require(PCIAddress("0000:03:04.7"))))
    #expect(!line.covers(try #require(PCIAddress("0000:03:05.0"))))
    #expect(!line.covers(try #require(PCIAddress("0001:03:04.0"))))
  }

  @Test func `a line with a name alone covers no device, though it means one`() throws {
    let address = try #require(PCIAddress("0000:03:04.0"))
    var line = try #require(try Self.file(#"{"name": "nic0"}"#).otherLines.first)
    line.named = address
    #expect(line.meaning == address && !line.covers(address))
    #expect(
      try Self.file(#"{"name": "nic0"}"#).adding([SavedDevice(address: address, options: DeviceOptions())]).devices
        .count == 1)
  }

  @Test func `keys without a value and libxl's own keys are nothing unknown`() throws {
    let saved = try Self.file(
      #"{"dev": 4, "bus": 3, "seize": true, "name": null, "vfunc_mask": 1, "hint": null}"#,
      #"{"dev": 5, "bus": 3, "name": ""}"#)
    #expect(saved.devices.count == 2 && saved.otherLines.isEmpty)
  }

  @Test func `a name that is no text is a damaged line`() {
    #expect(throws: SavedConfigurationError("has pcidevs[0].name that is not a text")) {
      try Self.file(#"{"name": 7}"#)
    }
  }

  @Test func `the lines of a file are shown on one line each`() throws {
    let saved = try Self.file("{\n            \"bus\": 3,\n            \"name\": \"a  b\"\n        }")
    #expect(saved.otherLines.map(\.text) == [#"{ "bus": 3, "name": "a  b" }"#])
  }
}
