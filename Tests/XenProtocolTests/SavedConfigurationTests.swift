import FoundationEssentials
import Model
import Testing
import XenProtocol

@Suite struct SavedConfigurationTests {
  // MARK: Files written by libxl 4.17.5

  @Test(arguments: [
    ("pv-no-device", []),
    ("pv-one-device", ["0000:00:05.0"]),
    ("pv-two-devices", ["0000:00:05.0", "0000:00:07.0"]),
    ("pv-three-devices", ["0000:00:05.0", "0000:00:07.0", "0000:01:00.0"]),
    ("hvm-cold-device", ["0000:00:08.0", "0000:00:05.0"]),
    ("dom0", []),
  ])
  func `a file from libxl is read`(name: String, addresses: [String]) throws {
    let saved = try SavedConfiguration(fixture(name))
    #expect(saved.devices.map(\.address.description) == addresses)
    #expect(saved.bytes == (try fixture(name)))
  }

  @Test(arguments: [
    ("pv-no-device", "0000:00:05.0", "pv-one-device"),
    ("pv-one-device", "0000:00:07.0", "pv-two-devices"),
    ("pv-two-devices", "0000:01:00.0", "pv-three-devices"),
  ])
  func `adding writes the same bytes as libxl, and removing restores the old ones`(
    before: String, address: String, after: String
  ) throws {
    let device = SavedDevice(address: try #require(PCIAddress(address)), options: DeviceOptions())
    let added = try SavedConfiguration(fixture(before)).adding([device])
    #expect(added.bytes == (try fixture(after)))
    #expect(try added.removing([device.address]).bytes == fixture(before))
  }

  @Test func `several devices are added and removed at once`() throws {
    let empty = try SavedConfiguration(fixture("pv-no-device"))
    let full = try SavedConfiguration(fixture("pv-three-devices"))
    #expect(try empty.adding(full.devices).bytes == full.bytes)
    #expect(try full.removing(Set(full.devices.map(\.address))).bytes == empty.bytes)
  }

  @Test func `options are read and written as libxl does`() throws {
    let saved = try SavedConfiguration(fixture("hvm-virtual-slot"))
    let cold = try #require(saved.devices.first)
    #expect(cold.options == DeviceOptions())
    #expect(saved.devices.dropFirst().first?.options.virtualSlot == 4)

    let empty = try SavedConfiguration(fixture("pv-no-device"))
    let address = try #require(PCIAddress("0010:03:10.2"))
    let options = DeviceOptions(
      permissive: true, msiTranslate: true, powerManagement: true, rdmPolicy: .relaxed, virtualSlot: 5)
    let added = try empty.adding([SavedDevice(address: address, options: options)])
    #expect(added.devices.map(\.options) == [options])
    let element = """
          "pcidevs": [
              {
                  "func": 2,
                  "dev": 16,
                  "bus": 3,
                  "domain": 16,
                  "vdevfn": 40,
                  "vfunc_mask": 1,
                  "msitranslate": true,
                  "power_mgmt": true,
                  "permissive": true,
                  "rdm_policy": "relaxed"
              }
          ],

      """
    #expect(String(decoding: added.bytes, as: UTF8.self).contains(element))
  }

  // MARK: Positions

  @Test(arguments: [
    (#"{"c_info": {}, "b_info": {}, "disks": [], "nics": [], "rdms": []}"#, #""nics": [],\#n    "pcidevs""#),
    (#"{"c_info": {}, "on_reboot": "restart"}"#, #""c_info": {},\#n    "pcidevs""#),
    (#"{"on_reboot": "restart"}"#, #"{"pcidevs""#),
    ("{}", "{\n    \"pcidevs\""),
    ("{\n\n}\n", "{\n    \"pcidevs\""),
    (#"{"pcidevs": [ ], "rdms": []}"#, #"{"pcidevs": [\#n        {"#),
  ])
  func `a missing list is created at libxl's position`(text: String, expected: String) throws {
    let added = try configuration(text).adding([device("00:05.0")])
    #expect(String(decoding: added.bytes, as: UTF8.self).contains(expected))
    #expect(added.devices == [device("00:05.0")])
  }

  @Test(arguments: [
    (#"{"a": 1, "pcidevs": [{"dev": 5}], "b": 2}"#, #"{"a": 1, "b": 2}"#),
    (#"{"pcidevs": [{"dev": 5}], "b": 2}"#, #"{"b": 2}"#),
    (#"{"pcidevs": [{"dev": 5}]}"#, "{}"),
    (#"{"pcidevs": [{"dev": 5}, {"dev": 6, "x": [ 1]}]}"#, #"{"pcidevs": [{"dev": 6, "x": [ 1]}]}"#),
    (#"{"pcidevs": [{"dev": 6}, {"dev": 5}, {"dev": 7}, {"dev": 5}]}"#, #"{"pcidevs": [{"dev": 6}, {"dev": 7}]}"#),
    (#"{"pcidevs": [{"dev": 5}, {"dev": 5} , {"dev": 7}]}"#, #"{"pcidevs": [{"dev": 7}]}"#),
    (#"{"pcidevs": [{"dev": 6}]}"#, #"{"pcidevs": [{"dev": 6}]}"#),
  ])
  func `removing leaves every other byte as it was`(before: String, after: String) throws {
    let removed = try configuration(before).removing([device("00:05.0").address])
    #expect(String(decoding: removed.bytes.dropLast(), as: UTF8.self) == after)
  }

  @Test func `the last element of an address is replaced, and others keep unknown keys`() throws {
    let before = #"{"pcidevs": [{"dev": 5, "seize": true}, {"dev": 5}, {"dev": 6, "name": "x", "new_key": {"a": []}}]}"#
    var wanted = device("00:05.0")
    wanted.options.permissive = true
    let after = String(decoding: try configuration(before).adding([wanted]).bytes, as: UTF8.self)
    #expect(after.contains(#"{"dev": 5, "seize": true}, {\#n"#))
    #expect(after.contains(#", {"dev": 6, "name": "x", "new_key": {"a": []}}]}"#))
    #expect(try configuration(String(after.dropLast())).devices.map(\.options.permissive) == [false, true])
  }

  @Test func `adding an existing device changes no byte`() throws {
    let saved = try SavedConfiguration(fixture("hvm-virtual-slot"))
    #expect(try saved.adding(saved.devices) == saved)
    #expect(try saved.removing([]) == saved)
  }

  @Test func `the later of two additions of one address counts`() throws {
    var second = device("00:05.0")
    second.options.powerManagement = true
    #expect(try configuration("{}").adding([device("00:05.0"), second]).devices == [second])
  }

  // MARK: Damage

  @Test(arguments: [
    ("", "is empty"),
    ("{}", "does not end in a NUL byte"),
    ("{\0}\0", "has a NUL byte before its end"),
    ("[]\0", "is not a JSON object"),
    ("{\"a\": 1,}\0", "is not valid JSON: it lacks `\"` at byte 8"),
    ("{\"a\": 01}\0", "is not valid JSON: it lacks `}` at byte 7"),
    ("{} {}\0", "is not valid JSON: it continues after its end at byte 3"),
    ("{\"a\": \"\\x\"}\0", "is not valid JSON: it has an unknown escape in a string at byte 9"),
    ("{\"a\": // \n 1}\0", "is not valid JSON: it lacks a value at byte 6"),
    ("{\"pcidevs\": {}}\0", "has `pcidevs` that is not a list"),
    ("{\"pcidevs\": [], \"pcidevs\": []}\0", "has two lists of PCI devices"),
    ("{\"pcidevs\": [7]}\0", "has pcidevs[0] that is not an object"),
    ("{\"pcidevs\": [{}, {\"dev\": 32}]}\0", "has pcidevs[1].dev that is not a number from 0 to 31"),
    ("{\"pcidevs\": [{\"dev\": \"5\"}]}\0", "has pcidevs[0].dev that is not a number from 0 to 31"),
    ("{\"pcidevs\": [{\"bus\": 1e1}]}\0", "has pcidevs[0].bus that is not a number from 0 to 255"),
    ("{\"pcidevs\": [{\"permissive\": 1}]}\0", "has pcidevs[0].permissive that is neither true nor false"),
    ("{\"pcidevs\": [{\"rdm_policy\": \"none\"}]}\0", "has pcidevs[0].rdm_policy that is neither strict nor relaxed"),
  ])
  func `a damaged file is reported with the reason`(text: String, reason: String) {
    #expect(throws: SavedConfigurationError(reason)) { try SavedConfiguration(Array(text.utf8)) }
  }

  @Test func `bytes that are not UTF-8 are refused`() {
    #expect(throws: SavedConfigurationError("is not valid UTF-8")) {
      try SavedConfiguration(Array("{\"a\": \"".utf8) + [0xFF] + Array("\"}\0".utf8))
    }
  }

  @Test func `nesting is limited, and values within the limit are read`() throws {
    func nested(_ depth: Int) -> String {
      "{\"a\": " + String(repeating: "[", count: depth) + String(repeating: "]", count: depth) + "}"
    }
    #expect(try configuration(nested(60)).devices.isEmpty)
    #expect(throws: SavedConfigurationError.self) { try configuration(nested(100_000)) }
  }

  @Test func `absent, null and upper-case values are read as libxl reads them`() throws {
    let saved = try configuration(
      #"{"pcidevs": [{}, {"dev": null, "permissive": null}, {"rdm_policy": "RELAXED"}, {"d\u0065v": 3, "dev": 4}]}"#)
    #expect(saved.devices.map(\.address.device) == [0, 0, 0, 3])
    #expect(saved.devices.map(\.options.rdmPolicy) == [.strict, .strict, .relaxed, .strict])
  }

  // MARK: Random bytes

  @Test(arguments: 0..<60)
  func `random damage is refused, or the file stays valid through every change`(seed: UInt64) throws {
    var random = SplitMix(state: seed)
    let names = ["pv-three-devices", "hvm-virtual-slot", "pv-no-device"]
    let original = try fixture(names[Int(seed) % names.count])
    let soup = Array("{}[],:\"\\0123456789-eE.trufalsn \n\0\u{FF}pcidevs".utf8)
    for _ in 0..<50 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let position = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<3, using: &random) {
        case 0: bytes.remove(at: position)
        case 1: bytes.insert(soup.randomElement(using: &random) ?? 0, at: position)
        default: bytes[position] = soup.randomElement(using: &random) ?? 0
        }
      }
      let saved: SavedConfiguration
      do throws(SavedConfigurationError) { saved = try SavedConfiguration(bytes) } catch {
        #expect(!error.reason.isEmpty)
        continue
      }
      let other = device("00:1f.7")
      let added = try saved.adding([other])
      #expect(
        added.devices.filter { $0.address != other.address } == saved.devices.filter { $0.address != other.address })
      #expect(added.devices.contains(other))
      #expect(try saved.removing(Set(saved.devices.map(\.address))).devices.isEmpty)
      if !saved.devices.contains(where: { $0.address == other.address }), !saved.devices.isEmpty {
        #expect(try added.removing([other.address]).bytes == saved.bytes)
      }
    }
  }

  // MARK: -

  private func fixture(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path
    return Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/Fixtures/libxl-json/\(name).json")))
  }

  private func configuration(_ text: String) throws -> SavedConfiguration {
    try SavedConfiguration(Array(text.utf8) + [0])
  }

  private func device(_ address: String) -> SavedDevice {
    SavedDevice(
      address: PCIAddress(address) ?? PCIAddress(sbdf: 0), options: DeviceOptions())
  }
}

/// A small generator whose sequence depends only on its seed.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
