import Glibc
import Model
import TestSupport
import Testing

@testable import Manifest

/// The file that says what is pulled, and manifests that are in no directory of this machine.
struct PullConfigurationTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private static let head = "apiVersion: berth/v1alpha1\nkind: PullSource\nspec:\n"

  private func read(_ text: String) throws -> (found: PullConfiguration?, errors: [String]) {
    try folder.write("pull.yaml", text)
    do throws(ManifestFailure) { return (try loadPullConfiguration("\(folder.path)/pull.yaml"), []) } catch {
      switch error {
      case .notFound(let messages): return (nil, messages)
      case .invalid(let found):
        return (nil, found.map { $0.text.description.replacing(folder.path + "/", with: "") })
      }
    }
  }

  @Test func `the file says all that is pulled`() throws {
    let (found, errors) = try read(
      Self.head + """
          url: ssh://git@git.example.org/fleet.git
          branch: main
          directory: hosts/
          openpgpKeys: /etc/keys.asc
          sshKeys: /etc/signers

        """)
    #expect(errors == [])
    #expect(found?.source.url.text == "ssh://git@git.example.org/fleet.git" && found?.source.branch.text == "main")
    #expect(found?.source.folder.text == "hosts")
    #expect(found?.openPGPKeys == "/etc/keys.asc" && found?.sshKeys == "/etc/signers")
    let short = try read(Self.head + "  {url: \"file:///var/x\", branch: main}\n").found
    #expect(short?.source.folder == .top && short?.openPGPKeys == nil && short?.sshKeys == nil)
  }

  @Test(arguments: [
    ("  url: file:///var/x\n  branch: main\n  branches: [a]\n", "pull.yaml:6:3: error: 'spec' has no key 'branches'"),
    ("  url: file:///var/x\n", "'spec' needs the key 'branch'"),
    ("  url: ext::sh\n  branch: main\n", "pull.yaml:4:8: error: 'url'"),
    ("  url: file:///var/x\n  branch: --all\n", "pull.yaml:5:11: error: 'branch' must be the name of a branch"),
    (
      "  url: file:///var/x\n  branch: main\n  directory: ../etc\n",
      "pull.yaml:6:14: error: 'directory' must be a folder"
    ),
    ("  url: file:///var/x\n  branch: main\n  sshKeys: signers\n", "'sshKeys' must be the path of a file, from /"),
    ("  url: file:///var/x\n  branch: main\n---\nkind: PullSource\n", "must have one document"),
  ])
  func `what is wrong is said with its place`(_ text: String, _ error: String) throws {
    let (found, errors) = try read(Self.head + text)
    #expect(found == nil && errors.joined().contains(error), "\(errors)")
  }

  @Test func `no other file is one`() throws {
    #expect(try read("").found == nil)
    #expect(try read("root:x:0:0\n").errors.first?.contains("this is not a description of pulls") == true)
    #expect(try read("root:x:0:0\n").errors.joined().contains("root") == false)
    #expect(
      try read(Self.head + "#" + String(repeating: " ", count: 70_000)).errors.joined().contains("is larger than"))
    let missing = #expect(throws: ManifestFailure.self) { try loadPullConfiguration("\(folder.path)/none.yaml") }
    guard case .notFound? = missing else { Issue.record("\(String(describing: missing))"); return }
  }

  // MARK: Held folders

  private static let manifest = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec: {domains: {}}\n"

  /// Returns what a reader says: the files and warnings, or the errors.
  private func said(_ read: () throws(ManifestFailure) -> LoadedManifests) -> [String] {
    do throws(ManifestFailure) {
      let loaded = try read()
      return loaded.files + loaded.warnings.map(\.text.description)
    } catch {
      switch error {
      case .notFound(let messages): return messages
      case .invalid(let found): return found.map(\.text.description)
      }
    }
  }

  private func said(of files: [String: String], folders: [String] = []) throws -> (directory: [String], held: [String])
  {
    try folder.makeFolder("d")
    for (name, text) in files { try folder.write("d/" + name, text) }
    for name in folders { try folder.makeFolder("d/" + name) }
    let path = "\(folder.path)/d"
    var held = HeldFolder(name: path, prefix: path + "/")
    for name in (Array(files.keys) + folders).sorted() {
      let text = files[name]
      if !held.takes(name, text == nil ? .folder : .file) { held.add(name, .file(Array((text ?? "").utf8))) }
    }
    return (
      said { () throws(ManifestFailure) in try loadManifests(paths: [path], hostName: "h") },
      said { () throws(ManifestFailure) in try loadManifests(in: held, hostName: "h") }
    )
  }

  @Test(arguments: [
    [
      "b.yml": manifest, "a.yaml": manifest, ".hidden.yaml": "x", "c.YAML": "x", "d.json": "{}", "h.lock.yaml": "",
      "e": "",
    ],
    ["a.yaml": manifest, "b.yaml": "kind: HostAssignments\napiVersion: berth/v1alpha1\nspec: {domain: {}}\n"],
    ["a.yaml": ""], ["x.json": "{}"], [:],
  ])
  func `a held folder is read as a directory is`(_ files: [String: String]) throws {
    let said = try said(of: files, folders: ["sub"])
    #expect(said.held == said.directory && !said.held.isEmpty)
  }

  @Test func `what is no file is refused only if it would be a manifest`() throws {
    var held = HeldFolder(name: "hosts", prefix: "hosts/")
    for name in ["a.yaml", "notes", "x.json"] {
      let isTaken = held.takes(name, .other(reason: "is a link"))
      #expect(isTaken)
    }
    let said = said { () throws(ManifestFailure) in try loadManifests(in: held, hostName: "h") }
    #expect(said == ["hosts/a.yaml is a link"])
  }
}
