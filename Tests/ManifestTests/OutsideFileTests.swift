import Glibc
import Model
import TestSupport
import Testing

@testable import Manifest

/// Files that somebody else may have put into a directory of manifests, and what a person may name.
@Suite struct OutsideFileTests {
  private let folder: TemporaryFolder
  private let manifest = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {domains: {web: {devices: []}}}\n"

  init() throws { folder = try TemporaryFolder() }

  /// Returns the messages of a refusal; empty if the manifests are valid.
  private func refusal(of path: String) -> [String] {
    switch failure(of: [path]) {
    case .notFound(let messages)?: messages
    case .invalid(let diagnostics)?: diagnostics.map(\.description)
    case nil: []
    }
  }

  @Test func `a link out of the directory is refused, and its target is not read`() throws {
    try folder.makeFolder("private")
    try folder.makeFolder("repository")
    try folder.write("private/vault.yaml", manifest)
    let directory = folder.path + "/repository"
    for target in ["../private/vault.yaml", folder.path + "/private/vault.yaml", "/proc/self/environ", "/etc/shadow"] {
      try folder.link("repository/x.yaml", to: target)
      let messages = refusal(of: directory)
      // Not every machine has each of these files.
      let isThere = unsafe access(directory + "/x.yaml", F_OK) == 0
      #expect(
        messages == [
          isThere
            ? "\(directory)/x.yaml is a link to a file outside the directory; to read that file, give its own path"
            : "\(directory)/x.yaml is a link to a file that is not there"
        ], "\(target)")
      #expect(unsafe unlink(directory + "/x.yaml") == 0)
    }
  }

  @Test func `a directory beside the opened one is outside, even if its name begins alike`() throws {
    try folder.makeFolder("set")
    try folder.makeFolder("set-of-others")
    try folder.write("set-of-others/x.yaml", manifest)
    try folder.link("set/x.yaml", to: "../set-of-others/x.yaml")
    #expect(refusal(of: folder.path + "/set").first?.contains("outside the directory") == true)
  }

  /// kubelet writes the files into a directory with the time, and `..data` leads there (kubernetes
  /// `pkg/volume/util/atomic_writer.go`).
  @Test func `the links of a ConfigMap are followed`() throws {
    try folder.makeFolder("..2026_01_02_03_04_05.678")
    try folder.write("..2026_01_02_03_04_05.678/host.yaml", manifest)
    try folder.link("..data", to: "..2026_01_02_03_04_05.678")
    try folder.link("host.yaml", to: "..data/host.yaml")
    // The directory itself may be reached through a link, too.
    try folder.makeFolder("mount")
    let link = folder.path + "/mount/link"
    #expect(unsafe symlink(folder.path, link) == 0)
    for path in [folder.path, link, folder.path + "/", folder.path + "/mount/.."] {
      #expect(try validateManifests(paths: [path]).hosts.first?.desired.domains.map(\.name) == ["web"], "\(path)")
    }
  }

  @Test func `what is no regular file in a directory is refused without being opened`() throws {
    let path = folder.path + "/x.yaml"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    #expect(refusal(of: folder.path) == ["\(path) is neither a file nor a directory"])
    for device in ["/dev/zero", "/dev/ptmx", "/dev/null", "/dev/tty"] {
      #expect(unsafe unlink(path) == 0)
      #expect(unsafe symlink(device, path) == 0)
      #expect(refusal(of: folder.path) == ["\(path) is neither a file nor a directory"], "\(device)")
    }
  }

  @Test func `a file that a person names may be a link`() throws {
    try folder.write("a.txt", manifest)
    try folder.link("link", to: "a.txt")
    #expect(refusal(of: folder.path + "/link") == [])
  }

  @Test(arguments: ["/dev/zero", "/dev/null", "/dev/ptmx"])
  func `a device is refused, named or through a link`(_ device: String) throws {
    try folder.link("one.yaml", to: device)
    for path in [device, folder.path + "/one.yaml"] {
      #expect(refusal(of: path) == ["\(path) is a device, not a file; standard input is '-'"])
    }
  }

  @Test(arguments: ["/proc/version", "/proc/self/environ", "/proc/self/maps"])
  func `a file that the kernel makes is refused`(_ file: String) throws {
    try folder.link("one.yaml", to: file)
    for path in [file, folder.path + "/one.yaml"] {
      #expect(refusal(of: path) == ["\(path) is empty, or the kernel makes its content"])
    }
  }

  /// A read would take the messages from whoever waits for them, or wait for the next one.
  @Test func `the kernel's messages are not taken`() throws {
    // A container may show a device in their place.
    #expect(refusal(of: "/proc/kmsg").first.map { $0.contains("kernel makes") || $0.contains("device") } == true)
  }

  @Test func `a pipe that a person names is read to its end`() async throws {
    let path = folder.path + "/pipe"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    let text = Array((manifest + String(repeating: "#\n", count: 100_000)).utf8)
    let writer = try ThreadWork {
      // Opens as soon as a reader is there.
      let descriptor = unsafe open(path, O_WRONLY | O_CLOEXEC)
      defer { close(descriptor) }
      var rest = text[...]
      while !rest.isEmpty {
        let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, min($0.count, 5000)) }
        guard count > 0 else { break }
        rest = rest.dropFirst(count)
      }
    }
    #expect(refusal(of: path) == [])
    try await writer.value()
  }

  @Test func `a pipe that nobody writes into is refused, and the error says why`() throws {
    let path = folder.path + "/pipe"
    #expect(unsafe mkfifo(path, 0o600) == 0)
    let patience = PipePatience(writer: .milliseconds(1), silence: .milliseconds(1))
    func fault() -> String? {
      do throws(FileFault) {
        _ = try ByteReader(opening: FoundFile(path)).read(limit: 100, patience: patience)
        return nil
      } catch { return error.message }
    }
    #expect(fault() == "cannot read \(path): nobody writes into this pipe")
    // Opened for both, because the end for writing alone would wait for a reader.
    let silent = unsafe open(path, O_RDWR | O_CLOEXEC)
    #expect(fault()?.hasPrefix("cannot read \(path): nothing came through this pipe for") == true)
    close(silent)
  }

  @Test func `two names that look alike are two files`() throws {
    try folder.add("é.yaml", manifest)
    try folder.add("e\u{301}.yaml", manifest.replacing("web", with: "db"))
    let valid = try validateManifests(paths: [folder.path])
    #expect(valid.files.count == 2)
    #expect(valid.hosts.first?.desired.domains.map(\.name) == ["db", "web"])
  }
}
