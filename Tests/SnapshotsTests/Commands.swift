import Commands
import LinuxAdapter
import Model
import Planning
import Ports
import Rendering
import SandboxCommands
import Snapshots
import Synchronization
import TestSupport
import Testing

/// What a command answered.
struct CommandAnswer: Hashable, CustomStringConvertible {
  var status: Int32 = 0
  var output = ""
  var messages = ""

  var description: String { "\(status)\n\(output)\(messages)" }
}

/// Runs commands on a host in this process, or on snapshots.
struct CommandWorld {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Runs `berth`. `host` is what a command without --host works on.
  func run(_ words: [String], on host: Host) -> CommandAnswer {
    let answer = Mutex(CommandAnswer())
    let context = CommandContext(
      environment: Environment { _ in nil },
      standardOutput: { text in answer.withLock { $0.output += text.description } },
      standardError: { text in answer.withLock { $0.messages += text.description } },
      userID: 0, wallClock: host.wallClock, hostName: { host.name },
      sandboxHostName: { _ in .failure(Failure(.unreachable, "no sandbox here")) },
      openHost: { _, _, _ in HostSession(host: host, applying: { _ in host }) },
      names: { ids in Dictionary(uniqueKeysWithValues: ids.map { ($0, "device \($0)") }) },
      classNames: { codes in Dictionary(uniqueKeysWithValues: codes.map { ($0, "class \($0)") }) },
      replacePrivateFile: { (path, bytes) throws(HostError) in
        do throws(RecordError) { try replaceTextFile(path, with: bytes, isPrivate: true) } catch {
          throw .record(error)
        }
      })
    let status = runBerth(words, in: context, adding: SandboxCommandSet.self)
    answer.withLock { $0.status = status }
    return answer.withLock { $0 }
  }

  /// Runs `berth` where there is no host.
  func run(_ words: [String]) -> CommandAnswer { run(words, on: nowhere) }

  /// Writes a snapshot of a host, and returns the file's path.
  func snapshot(of host: Host, _ name: String = "host.json", _ words: String...) throws -> String {
    let file = "\(folder.path)/\(name)"
    let answer = run(["snapshot", "--out", file] + words, on: host)
    #expect(answer.status == 0, "\(answer)")
    return file
  }

  /// Returns the commands whose answers differ between a host and a snapshot of it.
  func differences(_ host: Host, manifest: String? = nil) throws -> [String] {
    let file = try snapshot(of: host)
    var commands = [
      ["status"], ["status", "--drift"], ["doctor"], ["devices"], ["devices", "--all", "-o", "wide"],
      ["status", "-o", "json"], ["status", "--drift", "-o", "json"], ["doctor", "-o", "json"],
      ["devices", "-o", "json"],
    ]
    if let manifest {
      commands += [
        ["plan", manifest], ["plan", manifest, "-v"], ["plan", manifest, "-o", "json"], ["status", manifest],
        ["status", "--drift", manifest, "-o", "json"],
      ]
    }
    return commands.compactMap { words in
      let live = run(words, on: host)
      let played = run(words + ["--host", file])
      return live == played ? nil : "\(words): on the host:\n\(live)\nfrom the snapshot:\n\(played)"
    }
  }

  /// Writes a manifest that declares these domains' devices, and returns its path.
  func manifest(_ domains: [String: [PCIAddress]], name: String = "manifest.yaml") throws -> String {
    var text = "apiVersion: berth/v1alpha1\nkind: HostAssignments\nspec:\n  domains:\n"
    for (name, devices) in domains.sorted(by: { $0.key < $1.key }) {
      text += "    \(name):\n      devices:\(devices.isEmpty ? " []" : "")\n"
      for device in devices { text += "        - {address: \"\(device)\"}\n" }
    }
    try folder.write(name, text)
    return "\(folder.path)/\(name)"
  }

  /// A host of which nothing can be asked: if a command asks it all the same, the answer shows that.
  private var nowhere: Host {
    let model = ModelHost()
    var host = model.host
    host.name = "nowhere"
    host.stores = NoStores()
    return host
  }
}

private struct NoStores: StoreConnector {
  func connect() throws(HostError) -> any StorePort {
    throw .store(StoreError(.unreachable, operation: "connect", place: "nowhere"))
  }
}
