import Glibc
import Model
import Sandbox

/// Measures `berth plan --fleet` on 1000 and on 10 000 snapshots of a host with 20 guests of two devices each.
///
/// Each host has a subdirectory with its snapshot and its manifest. On one host of ten, a device is no longer declared.
func measureFleet(_ programs: Programs) throws -> Section {
  let (few, many) = (1000, 10_000)
  let fleet = try FleetOnDisk(programs)
  try fleet.add(few)
  let command = [programs.berth, "plan", "--fleet", fleet.directory]
  let rounds = try (0..<3).map { _ in try Run(command) }
  let single = try (0..<20).map { _ in
    try Run([programs.berth, "plan", "--host", fleet.snapshot(of: 1), fleet.manifest(of: 1)]).milliseconds
  }
  try fleet.add(many - few)
  let large = try Run(command)
  let seconds = rounds.map(\.milliseconds).median / 1000
  let (small, big) = (Double(rounds.map(\.peakKiB).max() ?? 0) / 1024, Double(large.peakKiB) / 1024)
  // Other work on the machine costs time, and little processor time.
  let work = rounds.map(\.processorMilliseconds).median / 1000
  let growth = large.processorMilliseconds / 1000 / (work * Double(many) / Double(few))
  let alone = single.median * Double(few) / 1000
  return Section(
    title: "berth plan --fleet, hosts with 20 guests and 40 devices, \(sysconf(CInt(_SC_NPROCESSORS_ONLN))) processors",
    rows: [
      ["", "s", "processor s", "MB at most"],
      ["\(few) hosts, median of 3", seconds.text(decimals: 2), work.text(decimals: 2), small.text(decimals: 1)],
      [
        "\(many) hosts, once", (large.milliseconds / 1000).text(decimals: 2),
        (large.processorMilliseconds / 1000).text(decimals: 2), big.text(decimals: 1),
      ],
      ["\(few) times `berth plan --host`, by the median of 20", alone.text(decimals: 2), "", ""],
    ],
    figures: [
      Figure("fleet_1000_seconds", seconds), Figure("fleet_1000_mb", small), Figure("fleet_10000_mb", big),
      Figure("fleet_growth", growth), Figure("fleet_ratio_single", seconds / alone),
    ],
    notes: [
      "ten times the hosts take \((growth * 10).text(decimals: 1)) times the processor time; snapshots of \(fleet.kilobytes) KB each"
    ])
}

/// A directory of snapshots that differ in the host's name. It is removed with this object.
private final class FleetOnDisk {
  private static let name = "bench"
  let directory: String
  private let snapshot: String
  private let manifest: String
  private var count = 0

  var kilobytes: Int { snapshot.utf8.count / 1000 }

  init(_ programs: Programs) throws {
    let devices = (0..<40).map { PCIAddress(sbdf: 0x100 + 8 * $0) }
    let domains = (0..<20).map { DesiredDomain("guest\($0)", Array(devices[2 * $0..<2 * $0 + 2])) }
    let sandbox = try BenchSandbox(
      domains.map { BenchDomain(name: $0.name, devices: $0.devices.map(\.address)) }, devices: devices,
      programs: programs)
    let place = ["--sandbox", sandbox.paths.directory]
    let file = sandbox.manifest + ".json"
    manifest = manifestText(domains)
    try write(manifest, to: sandbox.manifest)
    _ = try Run([programs.berth, "apply", "--yes", sandbox.manifest] + place)
    _ = try Run([programs.berth, "snapshot", "--out", file] + place)
    snapshot = try read(file)
    var template = Array("/var/tmp/berth-fleet-XXXXXX".utf8CString)
    guard unsafe mkdtemp(&template) != nil else { throw BenchError("cannot make a folder: errno \(errno)") }
    directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for number in 0..<count {
      for file in [snapshot(of: number), manifest(of: number)] { unsafe unlink(file) }
      unsafe rmdir(folder(of: number))
    }
    if unsafe rmdir(directory) != 0 { tell("berth-bench: left behind: \(directory)", to: STDERR_FILENO) }
  }

  /// Adds hosts.
  func add(_ more: Int) throws {
    let device = "        - {address: '0000:01:00.0', id: '8086:1533'}\n"
    for number in count..<count + more {
      guard unsafe mkdir(folder(of: number), 0o700) == 0 else {
        throw BenchError("cannot make a folder: errno \(errno)")
      }
      count = number + 1
      try write(
        snapshot.replacing("\"host\" : \"\(Self.name)\"", with: "\"host\" : \"host\(number)\""),
        to: snapshot(of: number))
      try write(number % 10 == 0 ? manifest.replacing(device, with: "") : manifest, to: manifest(of: number))
    }
  }

  private func folder(of number: Int) -> String { "\(directory)/host\(number)" }
  func snapshot(of number: Int) -> String { folder(of: number) + "/snapshot.json" }
  func manifest(of number: Int) -> String { folder(of: number) + "/host.yaml" }
}

/// Returns the text of a file.
private func read(_ path: String) throws(BenchError) -> String {
  guard let file = unsafe fopen(path, "r") else { throw BenchError("cannot read \(path): errno \(errno)") }
  defer { unsafe fclose(file) }
  var text: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, file)
    if count == 0 { break }
    text += chunk[..<count]
  }
  return String(decoding: text, as: UTF8.self)
}
