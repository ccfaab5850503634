import FoundationEssentials
import Glibc
import Model
import TestSupport
import Testing

/// Random damaged manifests, and directories that somebody else has filled, read by the built program.
///
/// A failure names its seed, and `RandomDirectory(seed:)` or `RandomManifest(seed:)` makes the same input again.
struct FilesAttacks {
  private static let rounds = SoakReport.isSoak ? 20 * SoakReport.rounds : 12
  private static let firstSeed: UInt64 = 52_000_000

  @Test func `a directory that others have filled shows none of their texts, and ends no run early`() async throws {
    var failures = 0
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.rounds) {
      let folder = try TemporaryFolder()
      let directory = try RandomDirectory(seed: seed, in: folder)
      for words in [["validate"], ["validate", "-o", "json"], ["plan", "--sandbox", "\(folder.path)/none"]] {
        let command = try Command.berth(words + [directory.path], environment: ["SECRET_OF_ROOT": Shown.secret])
        let found = try await Shown.faults(of: command, statuses: [0, 65, 66, 69])
        if !found.isEmpty { failures += 1 }
        #expect(found == [], "seed \(seed), \(words.joined(separator: " ")): \(directory.entries)")
      }
    }
    try SoakReport.add(["attacks": 3 * Self.rounds, "attack_failures": failures])
  }

  @Test func `a damaged manifest is read or refused in lines that a reader sees`() async throws {
    var failures = 0
    let folder = try TemporaryFolder()
    for seed in Self.firstSeed..<Self.firstSeed + UInt64(Self.rounds) {
      let manifest = RandomManifest(seed: seed)
      try folder.write("m.yaml", manifest.bytes)
      for words in [["validate"], ["validate", "-o", "json"]] {
        let found = try await Shown.faults(
          of: try Command.berth(words + ["\(folder.path)/m.yaml"]), statuses: [0, 65, 66])
        if !found.isEmpty { failures += 1 }
        #expect(found == [], "seed \(seed), \(manifest.shape), \(words.joined(separator: " "))")
      }
    }
    try SoakReport.add(["attacks": 2 * Self.rounds, "attack_failures": failures])
  }
}

/// What a run of the program may show.
enum Shown {
  /// A word that only files of others and the environment have.
  static let secret = "hunter2-f00d"
  /// More lines than the messages of one run ever have: each has at most a few lines, and 200 are shown.
  private static let mostLines = 2000

  /// Runs a command and returns what is wrong with its end and with its texts.
  static func faults(of command: Command, statuses: [Int32]) async throws -> [String] {
    let result = try await command.run(within: .seconds(60))
    var faults: [String] = []
    if !statuses.contains(result.status) { faults.append("status \(result.status)") }
    let isDocument = command.arguments.contains("json") && !result.output.isEmpty
    if isDocument {
      do { _ = try JSONDecoder().decode(AnyDocument.self, from: Data(result.output.utf8)) } catch {
        faults.append("no JSON: \(error)")
      }
    }
    for (name, text) in [("output", result.output), ("errors", result.errors)] {
      if text.contains(secret) { faults.append("the secret is in the \(name)") }
      let lines = text.split(separator: "\n")
      if lines.count > mostLines, !isDocument { faults.append("\(lines.count) lines") }
      for line in lines where !isVisible(line) { faults.append("\(name): \(line.prefix(200).debugDescription)") }
    }
    return faults
  }

  /// Whether a reader sees each character of a line, and no program takes it for a command.
  static func isVisible(_ line: Substring) -> Bool { visible(line).utf8.elementsEqual(line.utf8) }

  private struct AnyDocument: Decodable {
    var formatVersion: Int
    var kind: String
  }
}

/// An entry of a directory that could not be made.
struct NotMade: Error { let what: String }

/// A directory of manifests, and what a hostile hand may leave among them.
struct RandomDirectory {
  let path: String
  /// What was made, for messages.
  private(set) var entries: [String] = []

  /// Parts of names: what steers a terminal or a log, looks alike, is wide, or is long.
  static let pieces = [
    "a", "host", "\u{1B}[8m", "\u{1B}]0;t\u{7}", "\n", "\n::error ::x", "::", "##[error]", "\r", "\t", "\u{202E}",
    "\u{200B}", "\u{2066}", "é", "e\u{301}", "日本", "\u{1F600}", "\u{A0}", "\u{2028}", " ", "'", "\"", "\\", "$(x)", "%",
    "-",
    "\u{E0041}", "\u{9B}", String(repeating: "x", count: 100),
  ]

  init(seed: UInt64, in folder: TemporaryFolder) throws {
    var random = SeededGenerator(seed: seed)
    path = folder.path + "/set"
    try folder.makeFolder("set")
    try folder.write("vault.yaml", "database_password: \(Shown.secret)\n\(Shown.secret): [\n")
    for number in 0..<Int.random(in: 1...10, using: &random) {
      let name = "\(number)" + RandomDirectory.name(&random)
      let kind = Kind.allCases.randomElement(using: &random) ?? .valid
      try kind.make("\(path)/\(name)", outside: folder.path + "/vault.yaml", &random)
      entries.append("\(kind) \(name.debugDescription)")
    }
  }

  private static func name(_ random: inout SeededGenerator) -> String {
    var name = ""
    for _ in 0..<Int.random(in: 0...3, using: &random) where name.utf8.count < 150 {
      name += pieces.randomElement(using: &random) ?? ""
    }
    return name + ([".yaml", ".yml", ".yaml", ".YAML", ".json", ""].randomElement(using: &random) ?? "")
  }

  enum Kind: CaseIterable {
    case valid, damaged, notOurs, empty, folder, pipe, socket, device, kernelFile, environment, linkInside, linkOutside
    case linkToNothing, linkToItself, huge, sparse, unreadable

    func make(_ path: String, outside: String, _ random: inout SeededGenerator) throws {
      let valid = RandomManifest.valid(Int.random(in: 0...1000, using: &random))
      switch self {
      case .valid: try write(valid)
      case .damaged: try write(RandomManifest(seed: random.next()).bytes)
      case .notOurs: try write(Array("a: \(Shown.secret)\n- \(Shown.secret)\n".utf8))
      case .empty: try write([])
      case .folder: try check(unsafe mkdir(path, 0o755))
      case .pipe: try check(unsafe mkfifo(path, 0o600))
      case .socket: try bindSocket()
      case .device:
        try link(["/dev/zero", "/dev/ptmx", "/dev/tty", "/dev/full"].randomElement(using: &random) ?? "/dev/null")
      case .kernelFile:
        try link(["/proc/kmsg", "/proc/self/mem", "/proc/version"].randomElement(using: &random) ?? "/proc")
      case .environment: try link("/proc/self/environ")
      case .linkInside:
        try FileManager.default.createDirectory(atPath: path + "..data", withIntermediateDirectories: true)
        try Data(valid).write(to: URL(fileURLWithPath: path + "..data/x"))
        try link(path.split(separator: "/").last.map { "\($0)..data/x" } ?? "")
      case .linkOutside:
        try link([outside, "../vault.yaml", "/etc/shadow", "/etc/passwd"].randomElement(using: &random) ?? outside)
      case .linkToNothing: try link("nowhere")
      case .linkToItself: try link(path)
      case .huge: try write(valid + [UInt8](repeating: UInt8(ascii: "#"), count: 2 << 20))
      case .sparse:
        try write(valid)
        try check(unsafe truncate(path, 1 << 40))
      case .unreadable:
        try write(valid)
        try check(unsafe chmod(path, 0))
      }

      func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
      func link(_ target: String) throws { try check(unsafe symlink(target, path)) }
      func check(_ status: CInt) throws {
        guard status == 0 else { throw NotMade(what: "\(self) at \(path): \(errno)") }
      }
      /// Makes a socket below a short path, since the kernel allows only 108 bytes, and moves it to its name.
      func bindSocket() throws {
        let short = path.split(separator: "/").prefix(2).map { "/" + $0 }.joined() + "/s"
        let descriptor = Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in
          for (offset, byte) in short.utf8.prefix(107).enumerated() { unsafe place[offset] = byte }
        }
        let status = unsafe withUnsafePointer(to: &address) { pointer in
          unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
          }
        }
        try check(status)
        try check(unsafe rename(short, path))
      }
    }
  }
}

/// A text that was once a manifest, or that a hostile hand has written to cost much.
struct RandomManifest {
  let bytes: [UInt8]
  let shape: String

  private enum Shape: CaseIterable {
    case bytes, tokens, unknownKeys, repeats, directives, nesting, aliases, longLine, hosts, names, wrongValues
  }

  /// Returns a manifest that is valid; numbers that differ declare different domains and devices.
  static func valid(_ number: Int) -> [UInt8] {
    let device = PCIAddress(sbdf: UInt32(number << 3))
    return Array(
      """
      apiVersion: berth/v1alpha1
      kind: HostAssignments
      spec: {domains: {d\(number): {devices: [{address: "\(device)", id: "8086:1533"}]}}}

      """.utf8)
  }

  init(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let shape = Shape.allCases.randomElement(using: &random) ?? .bytes
    self.shape = "\(shape)"
    let head = "apiVersion: berth/v1alpha1\nkind: HostAssignments\n"
    let count = Int.random(in: 1...3000, using: &random)
    let piece = RandomDirectory.pieces.randomElement(using: &random) ?? ""
    let quoted = "\"" + piece.unicodeScalars.map { "\\U" + hex(UInt64($0.value), 8) }.joined() + "\""
    switch shape {
    case .bytes:
      var bytes = RandomManifest.valid(1)
      for _ in 0..<Int.random(in: 1...12, using: &random) {
        let place = Int.random(in: 0..<bytes.count, using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      self.bytes = bytes
      return
    case .tokens:
      let tokens = [
        "[", "]", "{", "}", ": ", "- ", "\n", "  ", "\t", "&a ", "*a", "<<: ", "!!str ", "'", "\"", "|\n", "---\n",
        "? ",
      ]
      bytes = Array((head + (0..<60).map { _ in tokens.randomElement(using: &random) ?? "" }.joined()).utf8)
    case .unknownKeys: bytes = Array((head + (0..<count).map { "k\($0): 1\n" }.joined()).utf8)
    case .repeats: bytes = Array((head + String(repeating: "spec: {domains: {a: 1}}\n", count: count)).utf8)
    case .directives: bytes = Array(((0..<count).map { "%TAG !a\($0)! tag:x,2000:\n" }.joined() + "---\n" + head).utf8)
    case .nesting:
      bytes = Array(
        (head + "spec: " + String(repeating: ["[", "{a: ", "- "].randomElement(using: &random) ?? "[", count: count))
          .utf8)
    case .aliases:
      bytes = Array(
        (head + "x: &x \"\(String(repeating: "x", count: count))\"\nspec: [" + String(repeating: "*x,", count: count)
          + "]\n").utf8)
    case .longLine:
      bytes = Array(
        (head + "spec: {domains: {a: {devices: [" + String(repeating: "{\(quoted): 1}, ", count: count) + "]}}}\n").utf8
      )
    case .hosts:
      bytes = Array(
        (0..<min(count, 800)).map { head + "metadata: {name: h.d\($0)}\nspec: {domains: {}}\n---\n" }.joined().utf8)
    case .names:
      bytes = Array((head + "spec: {domains: {\(quoted): {devices: [\(quoted)]}, \(quoted): {devices: 1}}}\n").utf8)
    case .wrongValues:
      let values = [quoted, "[]", "{}", "~", "1e999", "03:00.9", "true", "14.0", "!vault x", "{{ x }}"]
      bytes = Array(
        (head
          + "metadata: {name: \(values.randomElement(using: &random) ?? ""), set: \(values.randomElement(using: &random) ?? "")}\n"
          + "spec: {policy: {prune: \(values.randomElement(using: &random) ?? "")}, domains: {a: {devices: [\(values.randomElement(using: &random) ?? "")]}}}\n")
          .utf8)
    }
  }
}
