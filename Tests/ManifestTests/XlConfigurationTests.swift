import Model
import TestSupport
import Testing
import XenProtocol

@testable import Manifest

/// Configurations of xl, as `berth import --xl` reads them.
struct XlConfigurationTests {
  private func read(_ text: String) -> (domain: ConfiguredDomain?, errors: [String]) {
    let report = Diagnostics()
    let domain = readXlConfiguration(SourceText(name: "web.cfg", text: text), report: report)
    return (domain, report.sorted.map(\.description))
  }

  /// Reads the entries of a domain called `web`.
  private func devices(_ entries: String, _ rest: String = "") throws -> [ConfiguredDevice] {
    let (domain, errors) = read("name = 'web'\n\(rest)\npci = [ \(entries) ]\n")
    #expect(errors.isEmpty, "\(errors)")
    return try #require(domain).devices
  }

  private func address(_ text: String) throws -> PCIAddress { try #require(PCIAddress(text)) }

  // MARK: Syntax

  @Test func `settings, lists over several lines, comments and separators`() throws {
    let (domain, errors) = read(
      """
      # A comment.
      name = "web"; type = 'hvm'
      uuid="6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11"
      memory=0x200
      pci = [ '03:00.0' , # the first
        # nothing

        "0001:04:10.7@1b" ,
      ]
      pci += ['05:00.0']
      extra = 'a'
      extra += "b"
      """)
    #expect(errors.isEmpty)
    let found = try #require(domain)
    #expect(
      found.name == "web" && found.kind == .hvm && found.uuid?.description == "6f6d3c2e-8b1a-4c52-9a53-0d6c1f0f2a11")
    #expect(found.devices.map(\.address.description) == ["0000:03:00.0", "0001:04:10.7", "0000:05:00.0"])
    #expect(found.devices.map(\.line) == [5, 8, 10])
    #expect(found.devices.map(\.options.virtualSlot) == [nil, 27, nil])
    #expect(found.remarks.isEmpty)
  }

  @Test func `the last of several settings counts`() throws {
    let (domain, _) = read("name = 'a'\nname = 'b'\npci = ['03:00.0']\npci = []\n")
    #expect(domain?.name == "b" && domain?.devices.isEmpty == true)
  }

  @Test(arguments: [
    ("name = web\n", "web.cfg: error: this is not an xl configuration: it has no setting such as name = \"web\""),
    (
      "root:x:0:0:root:/root:/bin/bash\n",
      "web.cfg: error: this is not an xl configuration: it has no setting such as name = \"web\""
    ),
    ("", "web.cfg: error: this is not an xl configuration: it has no setting such as name = \"web\""),
    ("memory = 3\n", "web.cfg: error: the domain has no 'name', so xl does not start it"),
    ("name = 'a'\nkey = secret\n", "web.cfg:2:7: error: a text needs quotes"),
    ("name = 'a'\nkey = 'b\n", "web.cfg:2:7: error: the text has no end: the quote is not closed on its line"),
    ("name = 'a'\nkey = 'b\\x41'\n", "web.cfg:2:9: error: xl knows no such sign after a backslash"),
    ("name = 'a'\nkey 'b'\n", "web.cfg:2:5: error: '=' is expected after the name of a setting"),
    ("name = 'a'\nkey = 'b' 'c'\n", "web.cfg:2:11: error: the end of the line is expected after a value"),
    ("name = 'a'\nkey = ['b' 'c']\n", "web.cfg:2:12: error: ',' or ']' is expected in a list"),
    (
      "name = 'a'\nkey = [ 'b',\n",
      "web.cfg:3:1: error: the text ends too early: a value is expected: a text in quotes, a number, or a list in brackets"
    ),
    ("name = 'a'\r\n", "web.cfg:1:11: error: a carriage return: xl reads only Unix line ends"),
    ("name = 'a'\nkey = (1)\n", "web.cfg:2:7: error: xl reads no such sign here"),
    ("name = 'a'\nkey = 'b'\nkey += ['c']\n", "web.cfg:3:1: error: 'key' was a text, and += adds the other one"),
    ("name = 'a'\nkey = [[[[[[[[[1]]]]]]]]]\n", "web.cfg:2:15: error: lists in lists are nested too deeply"),
    ("name = 'a'\ntype = 'xen'\n", "web.cfg:2:1: error: xl knows no type 'xen'"),
    (
      "name = 'a'\ntype = 'pv'\nbuilder = 'hvm'\n",
      "web.cfg:3:1: error: 'builder' contradicts 'type'\n      = hint: delete 'builder'"
    ),
    ("name = 'a'\nuuid = 'x'\n", "web.cfg:2:1: error: 'uuid' is 'x', which is no UUID"),
    (
      "name = 'a'\npci = '03:00.0'\n",
      "web.cfg:2:1: error: 'pci' is not a list, so xl ignores it\n      = hint: write pci = [ '0000:03:00.0' ]"
    ),
    (
      "name = 'a'\npci = [ ['03:00.0'] ]\n",
      "web.cfg:2:9: error: an entry of 'pci' is a list, and xl reads no entry behind it"
    ),
  ])
  func `an error has its location, and no part of the line`(_ text: String, _ expected: String) {
    let (domain, errors) = read(text)
    #expect(domain == nil && errors == [expected], "\(errors)")
  }

  @Test func `every error of a text is reported, each once`() {
    let (_, errors) = read("name = 'a'\nx = y\nz = (\npci = [ 'foo', '03:00.8' ]\nw\n")
    #expect(errors.map { String($0.prefix(9)) } == ["web.cfg:2", "web.cfg:3", "web.cfg:5"], "\(errors)")
    let (_, entries) = read("name = 'a'\npci = [ 'foo', '03:00.8' ]\n")
    #expect(entries.map { String($0.prefix(12)) } == ["web.cfg:2:9:", "web.cfg:2:16"], "\(entries)")
  }

  @Test func `bytes that are no text, and any beginning of a configuration, are read or refused`() {
    let whole = Array("name = \"w\\\"eb\"\npci = [ '0000:03:00.0@1f,seize=1', \"name=x\" ]\n# ü\nuuid = 'ä'\n".utf8)
    for length in 0...whole.count {
      let report = Diagnostics()
      let domain = readXlConfiguration(SourceText(name: "a", bytes: Array(whole[..<length])), report: report)
      #expect((domain == nil) == report.hasErrors)
    }
    var random = SeededGenerator(seed: 7)
    for _ in 0..<2000 {
      var bytes = whole
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      let report = Diagnostics()
      let domain = readXlConfiguration(SourceText(name: "a", bytes: bytes), report: report)
      #expect((domain == nil) == report.hasErrors)
    }
  }

  @Test func `a large configuration costs little`() {
    let entries = (0..<30_000).map { "'\(hex(UInt64($0 >> 8), 2)):00.0'," }.joined(separator: "\n")
    let (domain, errors) = read("name = 'a'\npci = [\n\(entries)\n]\n" + String(repeating: "[", count: 100_000))
    #expect(domain == nil && errors.count == 1)
    let (other, _) = read("name = 'a'\n" + String(repeating: "pci += ['03:00.0']\n", count: 2000))
    #expect(other?.devices.count == 2000)
  }

  // MARK: Devices

  @Test func `an entry's options, with the defaults of the domain`() throws {
    let plain = try devices("'03:00.0'")[0]
    #expect(plain.options == DeviceOptions() && plain.remarks.isEmpty && !plain.takesAllFunctions)
    let given = try devices("'03:00.0,permissive=1,msitranslate=1,power_mgmt=1,rdm_policy=RELAXED,vslot=0x5'")[0]
    #expect(
      given.options
        == DeviceOptions(
          permissive: true, msiTranslate: true, powerManagement: true, rdmPolicy: .relaxed, virtualSlot: 5))
    let defaults = "pci_permissive = 1\npci_msitranslate = 0x1\npci_power_mgmt = 01"
    let changed = try devices("'03:00.0', '04:00.0,permissive=0'", defaults)
    #expect(changed[0].options == DeviceOptions(permissive: true, msiTranslate: true, powerManagement: true))
    #expect(changed[1].options == DeviceOptions(msiTranslate: true, powerManagement: true))
  }

  @Test func `what a manifest does not have is a remark`() throws {
    #expect(try devices("'03:00.*'")[0].takesAllFunctions)
    #expect(try devices("'03:00.*'")[0].remarks == [.wholeSlot])
    #expect(try devices("'03:00.0,seize=1'")[0].remarks == [.seize])
    #expect(try devices("'03:00.0,seize=0'", "pci_seize=1")[0].remarks == [])
    #expect(try devices("'03:00.0'", "pci_seize=1")[0].remarks == [.seize])
    #expect(try devices("'03:00.0,colour=red'")[0].remarks == [.unknownKey("colour")])
    #expect(try devices("'03:00.0,permissive=yes'")[0].remarks == [.notNumber(key: "permissive", value: "yes")])
    #expect(try devices("'03:00.0,permissive=yes'")[0].options.permissive == false)
    let (domain, _) = read(
      """
      name = 'web'
      rdm = 'strategy=host,policy=relaxed'
      pci_permissive = 'yes'
      pci_new = 1
      dtdev = ['/a']
      pci = [ 'name=disk,permissive=1', '03:00.0' ]
      """)
    #expect(
      domain?.remarks == [
        .notNumber(key: "pci_permissive", value: "yes"), .domainPolicy("strategy=host,policy=relaxed"),
        .deviceName("disk", line: 6), .otherDevice("dtdev"), .unknownKey("pci_new"),
      ])
    #expect(domain?.devices.map(\.address) == [try address("03:00.0")])
  }

  @Test(arguments: [
    "", "foo", "03:00", "03:00.8", "3:20.0", "100:00.0", "10000:03:00.0", "03:00.0@20", "03:00.0@", "03:00.0x",
    "03:00.0,permissive", "03:00.0,rdm_policy=lax", "03:00.0,name=x", "permissive=1", "bdf=foo", "0:0:3:0.0",
    " 03:00.0",
  ])
  func `an entry that xl does not read is an error`(_ entry: String) {
    let (domain, errors) = read("name = 'a'\npci = [ '\(entry)' ]\n")
    #expect(domain == nil)
    #expect(errors.count == 1 && errors[0].hasPrefix("web.cfg:2:9: error: xl does not read this entry"), "\(errors)")
  }

  // MARK: xl itself

  /// Entries and settings that differ in what xl makes of them.
  private static let entries = [
    "03:10.0", "0000:03:00.1", "1:2.3", "ffff:ff:1f.7", "03:00.*", "0001:00:00.*@5", "03:00.0@10", "03:00.0@0",
    "03:00.0@1f,permissive=1", "bdf=5:0.1", "bdf=5:0.1@3", "permissive=1,bdf=5:0.1", "03:00.0,vslot=a",
    "03:00.0,vslot=0x0b",
    "03:00.0,rdm_policy=relaxed,power_mgmt=2", "03:00.0,rdm_policy=Strict", "03:00.0,rdm_policy=invalid",
    "03:00.0,msitranslate=-1",
    "03:00.0,permissive=", "03:00.0,permissive=1x", "name=disk", "03:00.0,seize=1,", "03:00.0,", "foo", "03:00.8",
    "03:00.0@20",
    "03:00.0;", "3:20.0", "10000:03:00.0", "03:00.0,name=x", "", "03:00.0,permissive", "03:00.0@5x", "000003:00.0",
  ]
  private static let settings = [
    "", "pci_permissive=1", "pci_msitranslate=1;pci_power_mgmt=0x10", "pci_permissive='yes'", "pci_permissive='010'",
    "pci_permissive=1\npci_permissive+=1", "type='hvm'\nrdm='strategy=host,policy=relaxed'", "type='h'",
    "builder='hvm'",
    "builder='generic' # x\n", "type='pv';builder='hvm'", "type=\"p\\v\"", "extra='a\\'b\\\\'", "x=[[1,'2'],\n[],]",
    "x=[1 2]",
    "x=1 2", "x=(1)", "x='a", ";;\n;", "x=0fxa", "x=0g", "X='1'", "x.y_z1='1'", "x='\\t'",
  ]

  @Test func `xl itself makes the same of a configuration`() async throws {
    // Settings first, then entries, so that each stands in one configuration at least.
    let texts =
      Self.settings.map { "\($0)\npci = [ '03:00.0' , ]\n" }
      + Self.entries.map { "pci_permissive = 1\npci = [ \"\($0)\" ]\n" }
    try await TestHost.with(TestScenario.host(devices: 1, ["{name: other, domid: 5}"])) { host in
      var accepted = 0
      for text in texts {
        let whole = "name = \"web\"\nmemory = 64\nkernel = \"/dev/null\"\n\(text)"
        try host.folder.write("web.cfg", whole)
        let answer = try await host.xl("-N", "create", "-n", "\(host.folder.path)/web.cfg").run()
        let (ours, errors) = read(whole)
        #expect((answer.status == 0) == (ours != nil), "\(text): \(answer.status) \(answer.errors) \(errors)")
        guard answer.status == 0, let ours, let start = answer.output.firstIndex(of: "{") else { continue }
        accepted += 1
        let theirs = try SavedConfiguration(Array(answer.output[start...].utf8) + [0])
        let single = ours.devices.filter { !$0.takesAllFunctions }
        #expect(single.map { SavedDevice(address: $0.address, options: $0.options) } == theirs.devices, "\(text)")
        let slots = theirs.otherLines.filter { $0.oddity == .wholeSlot }.compactMap(\.address)
        #expect(ours.devices.filter(\.takesAllFunctions).map(\.address) == slots, "\(text)")
        let names = theirs.otherLines.count { if case .name = $0.oddity { true } else { false } }
        #expect(ours.remarks.count { if case .deviceName = $0 { true } else { false } } == names, "\(text)")
        #expect(answer.output.contains("\"type\": \"\(ours.kind.rawValue)\""), "\(text)\n\(answer.output)")
      }
      #expect(accepted > 30)
    }
  }
}
