import Commands
import FoundationEssentials
import Model
import Planning
import Ports
import Reconciling
import Rendering
import SandboxCommands
import Synchronization
import Testing

/// A world for commands. It keeps what they write, counts what they ask, and gives them what a test provides.
final class FakeWorld: Sendable {
  struct State {
    var output = ""
    var messages = ""
    var answers: [String] = []
    var opened: [String?] = []
    var desired: [DesiredState?] = []
    var applied: [(plan: Plan, options: ApplyOptions)] = []
    var questions = 0
    /// The disks that were to be opened, per request.
    var disks: [[String]] = []
    /// The facts of each inventory that was asked for.
    var facts: [Set<FunctionFact>] = []
    /// The files that were to be rewritten, with their new texts.
    var rewritten: [(path: String, text: String)] = []
  }
  let state = Mutex(State())

  var output: String { state.withLock { $0.output } }
  var messages: String { state.withLock { $0.messages } }

  /// What the commands can see.
  struct Given {
    var environment: [String: String] = [:]
    var isTerminal = false
    var plan = Plan(host: HostFacts(name: "host17"), domainCount: 0, deviceCount: 0, policy: Policy())
    var outcome = ApplyOutcome()
    var events: [RunEvent] = []
    var observeFailure: HostError?
    var inventory = Inventory(functions: [], facts: [])
    var usage = HostUsage()
    var served = ServedDevices()
    var openings: [DiskOpening] = []
    var examination = Examination.calm
    var isSandboxDown = false
    var damaged: [DamagedFile] = []
    var shortage: String?
    var answers: [String] = []
    /// Why files are left alone that are to be rewritten; nil if they are not.
    var obstacle: String?
  }

  /// Runs `berth` in this world and returns its exit status.
  func run(_ arguments: String..., given: Given = Given()) -> Int32 { run(arguments, given: given) }

  func run(_ arguments: [String], given: Given = Given()) -> Int32 {
    state.withLock { $0.answers = given.answers }
    let context = CommandContext(
      environment: Environment { given.environment[$0] },
      standardOutput: { text in self.state.withLock { $0.output += text.description } },
      standardError: { text in self.state.withLock { $0.messages += text.description } },
      readLine: {
        self.state.withLock { state in
          state.questions += 1
          return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
      },
      isInputTerminal: given.isTerminal, isOutputTerminal: given.isTerminal, isErrorTerminal: given.isTerminal,
      userID: 1000, hostName: { "host17" },
      sandboxHostName: { directory in
        given.isSandboxDown ? .failure(Failure(.unreachable, "no sandbox in \(directory)")) : .success("host17")
      },
      openHost: { sandbox, name, _ in
        self.state.withLock { $0.opened.append(sandbox) }
        return HostSession(
          observe: { (desired) throws(HostError) in
            self.state.withLock { $0.desired.append(desired) }
            if let failure = given.observeFailure { throw failure }
            var observation = Observation(host: HostFacts(name: "host17"))
            observation.damaged = given.damaged
            return observation
          },
          inventory: { facts in
            self.state.withLock { $0.facts.append(facts) }
            return given.inventory
          },
          usage: { given.usage },
          served: { _ in given.served },
          openings: { disks in
            self.state.withLock { $0.disks.append(disks) }
            return given.openings
          },
          examine: { given.examination },
          plan: { _, _ in given.plan },
          apply: { shown, options, report in
            self.state.withLock { $0.applied.append((shown.plan, options)) }
            for event in given.events { report(event) }
            return AppliedPlan(plan: shown.plan, outcome: given.outcome)
          })
      },
      rewriteFile: { path, _, new in
        self.state.withLock { $0.rewritten.append((path, String(decoding: new, as: UTF8.self))) }
        return given.obstacle
      }, shortage: given.shortage)
    return runBerth(arguments, in: context, adding: SandboxCommandSet.self)
  }
}

/// Calls `body` with a folder that contains one manifest. The folder is removed afterwards.
func withManifest<Result>(
  _ text: String = """
  apiVersion: berth/v1alpha1
  kind: HostAssignments
  metadata:
    name: host17
  spec:
    policy:
      maxRemovals: 4
    domains:
      sys-net:
        devices:
          - {address: 0000:03:00.0, id: 8086:1533}

  """, _ body: (String) throws -> Result
) throws -> Result {
  let folder = FileManager.default.temporaryDirectory.path + "/berth-commands-\(UUID().uuidString)"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer {
    do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error, "left \(folder)") }
  }
  try text.write(toFile: folder + "/host17.yaml", atomically: true, encoding: .utf8)
  return try body(folder + "/host17.yaml")
}

extension Examination {
  /// A host on which everything answers and nothing is wrong.
  static var calm: Examination {
    Examination(
      hostName: "host17", takenAt: 1_000_000,
      hypervisor: .success(HypervisorFacts(version: "4.17.7", hasIOMMU: true)),
      store: .success([]), pciback: .success(PCIBack(isLoaded: true, deviceCount: 2)), records: .success(0),
      intents: .success([]), locks: .success([]), observation: .success(Observation(host: HostFacts(name: "host17"))))
  }
}
