import FoundationEssentials
import Glibc
import Model
import Ports
import Reconciling
import Snapshots
import TestSupport
import Testing

/// The file of a snapshot: what it holds, and what is no such file.
@Suite struct SnapshotFileTests {
  private let world: CommandWorld
  init() throws { world = try CommandWorld() }

  private var host: Host {
    let model = ModelHost()
    for number in 0..<4 { model.addDevice(Sample.address(number)) }
    model.addDomain(5, "net")
    model.addHVMDomain(6, "windows")
    return model.host
  }

  private func bytes() throws -> [UInt8] {
    _ = try world.snapshot(of: host)
    return try world.folder.read("host.json")
  }

  @Test func `equal looks are equal files, in ASCII, and a file that was read is written again as it was`() throws {
    let first = try bytes()
    #expect(try bytes() == first)
    #expect(first.allSatisfy { $0 == 10 || (0x20..<0x7F).contains($0) })
    #expect(try Snapshot(first).encoded() == first)
    #expect(world.run(["snapshot"], on: host).output == String(decoding: first, as: UTF8.self))
  }

  @Test func `only the owner may read the file`() throws {
    let file = try world.snapshot(of: host)
    var found = stat()
    #expect(unsafe lstat(file, &found) == 0 && found.st_mode & 0o777 == 0o600 && found.st_mode & S_IFMT == S_IFREG)
  }

  @Test func `a link in the file's place is refused, and nothing is written`() throws {
    try world.folder.write("other.json", "precious")
    try world.folder.link("host.json", to: "other.json")
    let answer = world.run(["snapshot", "--out", "\(world.folder.path)/host.json"], on: host)
    #expect(answer.status != 0 && answer.messages.contains("host.json"), "\(answer)")
    #expect(try world.folder.read("other.json") == Array("precious".utf8))
    let names = try world.folder.names(in: "")
    #expect(names.allSatisfy { !$0.hasPrefix(".") }, "\(names)")
  }

  private func refusal(of bytes: [UInt8], _ name: String = "bad.json") throws -> CommandAnswer {
    try world.folder.write(name, bytes)
    return world.run(["status", "--host", "\(world.folder.path)/\(name)"])
  }

  @Test func `a file that is no snapshot is refused with its path and the reason`() throws {
    let cases: [(String, String)] = [
      ("", "is empty"), ("{", "cut off"), ("[]", "is no snapshot"), ("{}", "has no kind"),
      (#"{"kind": "Plan", "formatVersion": 1}"#, "kind is 'Plan'"),
      (#"{"kind": "Snapshot", "formatVersion": 2}"#, "a later release wrote it"),
      (#"{"kind": "Snapshot", "formatVersion": 0}"#, "1 is the first"),
      (#"{"kind": "Snapshot", "formatVersion": 1}"#, "has no host"),
      (String(repeating: "[", count: 100_000), "nested values"),
      (#"{"kind": ""# + String(repeating: "x", count: 2 << 20) + #""}"#, "has a text of more than"),
      ("[" + String(repeating: "0,", count: 5 << 20) + "0]", "values"),
    ]
    for (text, words) in cases {
      let answer = try refusal(of: Array(text.utf8))
      #expect(answer.status == 65, "\(text.prefix(40)): \(answer)")
      #expect(answer.messages.contains("bad.json") && answer.messages.contains(words), "\(text.prefix(40)): \(answer)")
      #expect(answer.output.isEmpty)
    }
    try world.folder.makeFolder("folder")
    #expect(world.run(["status", "--host", "\(world.folder.path)/folder"]).status == 66)
    #expect(world.run(["status", "--host", "\(world.folder.path)/missing"]).status == 66)
  }

  @Test func `a file that was cut off anywhere is refused`() throws {
    let whole = try bytes()
    for count in stride(from: 0, to: whole.count - 2, by: max(1, whole.count / 97)) {
      #expect(throws: SnapshotFault.self, "\(count) bytes") { try Snapshot(Array(whole[..<count])) }
    }
  }

  @Test func `values that no host has are refused, with their place`() throws {
    let text = String(decoding: try bytes(), as: UTF8.self)
    let forgeries: [(String, String, String)] = [
      ("\"id\" : 5", "\"id\" : -5", "damaged"),
      ("0000:01:00.0", "0000:01:00.9", "answers"),
      ("\"takenAt\" : 1000000", "\"takenAt\" : 1e99", "damaged"),
      ("\"hasIOMMU\" : true", "\"hasIOMMU\" : \"yes\"", "hasIOMMU"),
    ]
    for (original, forged, place) in forgeries {
      guard text.contains(original) else { continue }
      let answer = try refusal(of: Array(text.replacing(original, with: forged).utf8))
      #expect(answer.status == 65 && answer.messages.contains(place), "\(forged): \(answer)")
    }
  }

  @Test func `frames without an address are refused, and not calculated with`() throws {
    var snapshot = try Snapshot(try bytes())
    snapshot.answers.hypervisor.reservedMemory[Sample.address(0)] = .answer([0...UInt64.max])
    #expect(throws: SnapshotFault.self) { try Snapshot(snapshot.encoded()) }
  }

  @Test func `block devices and bridges that lead to themselves end no command`() throws {
    var snapshot = try Snapshot(try bytes())
    var disk = BlockDevice(name: "sda")
    (disk.parts, disk.number) = (["sdb", "sda"], "8:0")
    var other = BlockDevice(name: "sdb")
    other.parts = ["sda"]
    var usage = HostUsage()
    usage.blocks = [disk, other]
    usage.mounts = [Mount(number: "8:0", type: "ext4", source: "sda", point: "/")]
    usage.network.interfaces = [
      HostInterface(name: "br0", kind: .virtual, lower: ["br1"]),
      HostInterface(name: "br1", kind: .virtual, lower: ["br0"]),
    ]
    usage.network.defaultRoutes = [DefaultRoute(family: .ipv4, table: "main", interfaces: ["br0"])]
    snapshot.answers.usage.host = usage
    try world.folder.write("odd.json", snapshot.encoded())
    #expect(world.run(["devices", "-o", "wide", "--host", "\(world.folder.path)/odd.json"]).status == 0)
  }

  @Test func `a file with random edits is refused, or ends no command`() throws {
    var random = SeededGenerator(seed: 16)
    let kept = Array(String(decoding: try Data(contentsOf: URL(fileURLWithPath: Self.kept)), as: UTF8.self).utf8)
    let numbers = [
      "0", "-1", "255", "4294967295", "9223372036854775807", "18446744073709551615", "null", "[]", "\"x\"",
    ]
    let digits = kept.indices.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(kept[$0]) }
    var (refused, read) = (0, 0)
    for _ in 0..<150 {
      var bytes = kept
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        guard let start = digits.randomElement(using: &random), start < bytes.count else { continue }
        let end = bytes[start...].firstIndex { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? bytes.endIndex
        bytes.replaceSubrange(start..<end, with: Array((numbers.randomElement(using: &random) ?? "0").utf8))
      }
      try world.folder.write("edited.json", bytes)
      let file = "\(world.folder.path)/edited.json"
      for words in [["status", "--drift"], ["doctor"], ["devices", "-o", "wide"], ["devices", "-o", "json"]] {
        let answer = world.run(words + ["--host", file])
        if answer.status == 65 { refused += 1 } else { read += 1 }
        #expect(answer.status != 65 || answer.messages.contains(file), "\(answer)")
      }
    }
    #expect(refused > 20 && read > 20, "\(refused) refused, \(read) read")
  }

  private static let kept =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures/v1/snapshot.json"

  @Test func `two hosts at once, and a snapshot that is to be changed, are errors of usage that say why`() throws {
    let file = try world.snapshot(of: host)
    let both = world.run(["status", "--host", file, "--sandbox", "/tmp/box"])
    #expect(both.status == 64 && both.messages.contains("two hosts"), "\(both)")
    let apply = world.run(["apply", "--host", file, "m.yaml", "--yes"])
    #expect(apply.status == 64 && apply.messages.contains("a snapshot is no host that can be changed"), "\(apply)")
    let release = world.run(["release", "--host", file, "0000:03:00.0", "--yes"])
    #expect(release.status == 64 && release.messages.contains("a snapshot is no host"), "\(release)")
  }

  @Test func `manifests select the snapshot's host`() throws {
    let file = try world.snapshot(of: host)
    try world.folder.write(
      "hosts.yaml",
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      metadata: {name: model}
      spec: {domains: {net: {devices: [{address: "\(Sample.address(1))"}]}}}

      """)
    let plan = world.run(["plan", "\(world.folder.path)/hosts.yaml", "--host", file])
    #expect(plan.status == 0 && plan.output.contains("\(Sample.address(1))"), "\(plan)")
  }

  @Test func `each form of a value is read as it was written, and others are refused`() throws {
    let kept = try KeptSnapshot.make()
    #expect(try Snapshot(kept.encoded()) == kept)
    for text in ["failed", "failed x", "failed 1 2", "silent 1", "other", ""] {
      #expect(ReadFailure.Cause(text: text) == nil)
    }
    for text in ["guest", "guest x", "guest -1", "bridge", ""] { #expect(HostInterface.Kind(text: text) == nil) }
    for text in ["uuid", "uuid 5", "number x", "domain 5", "device 5", "all", ""] {
      #expect(DamagedFile.Concern(text: text) == nil)
    }
  }

  @Test func `files of version 1 are read for ever`() throws {
    let path = Self.kept
    if !FileManager.default.fileExists(atPath: path) {
      // The file is kept, and only its absence makes a new one.
      try Data(KeptSnapshot.make().encoded()).write(to: URL(fileURLWithPath: path))
      Issue.record("wrote \(path)")
    }
    let kept = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
    let snapshot = try Snapshot(kept)
    #expect(try snapshot.encoded() == kept)
    let status = world.run(["status", "--host", path])
    #expect(status.status == 0 && status.output.contains("net"), "\(status)")
  }
}
