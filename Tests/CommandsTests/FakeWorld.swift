import Commands
import FoundationEssentials
import Model
import Planning
import Ports
import Reconciling
import Sandbox
import Synchronization
import Testing

/// A world for commands: what they write is kept, what they ask is counted, what they get is given.
final class FakeWorld: Sendable {
  struct State {
    var output = ""
    var messages = ""
    var answers: [String] = []
    var opened: [String?] = []
    var desired: [DesiredState?] = []
    var applied: [(plan: Plan, options: ApplyOptions)] = []
    var questions = 0
  }
  let state = Mutex(State())

  var output: String { state.withLock { $0.output } }
  var messages: String { state.withLock { $0.messages } }

  /// What the commands get to see.
  struct Given {
    var environment: [String: String] = [:]
    var isTerminal = false
    var plan = Plan(host: HostFacts(name: "host17"), domainCount: 0, deviceCount: 0, policy: Policy())
    var outcome = ApplyOutcome()
    var events: [ApplyEvent] = []
    var observeFailure: HostError?
    var examination = Examination.calm
    var isSandboxDown = false
    var answers: [String] = []
  }

  /// Runs `berth` in this world and returns its exit status.
  func run(_ arguments: String..., given: Given = Given()) -> Int32 { run(arguments, given: given) }

  func run(_ arguments: [String], given: Given = Given()) -> Int32 {
    state.withLock { $0.answers = given.answers }
    let context = CommandContext(
      environment: given.environment,
      standardOutput: { text in self.state.withLock { $0.output += text } },
      standardError: { text in self.state.withLock { $0.messages += text } },
      readLine: {
        self.state.withLock { state in
          state.questions += 1
          return state.answers.isEmpty ? nil : state.answers.removeFirst()
        }
      },
      isInputTerminal: given.isTerminal, isOutputTerminal: given.isTerminal, isErrorTerminal: given.isTerminal,
      userID: 1000, hostName: { "host17" },
      sandboxHostName: { directory in
        given.isSandboxDown ? .failure(SandboxError(.notRunning, "no sandbox in \(directory)")) : .success("host17")
      },
      openHost: { sandbox, name in
        self.state.withLock { $0.opened.append(sandbox) }
        return HostSession(
          observe: { (desired) throws(HostError) in
            self.state.withLock { $0.desired.append(desired) }
            if let failure = given.observeFailure { throw failure }
            return Observation(host: HostFacts(name: "host17"))
          },
          examine: { given.examination },
          plan: { _, _ in given.plan },
          apply: { shown, options, report in
            self.state.withLock { $0.applied.append((shown.plan, options)) }
            for event in given.events { report(event) }
            return AppliedPlan(plan: shown.plan, outcome: given.outcome)
          })
      })
    return runBerth(arguments, in: context)
  }
}

/// A folder with one manifest in it, gone when the body returns.
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
  /// A host where everything answers, and nothing is wrong.
  static var calm: Examination {
    Examination(
      hostName: "host17", takenAt: 1_000_000, hypervisor: .success(Hypervisor(version: "4.17.7", hasIOMMU: true)),
      store: .success([]), pciback: .success(PCIBack(isLoaded: true, deviceCount: 2)), records: .success(0),
      intents: .success([]), locks: .success([]), observation: .success(Observation(host: HostFacts(name: "host17"))))
  }
}

extension Plan {
  /// One step in one domain.
  static func one(_ kind: DeviceStep.Kind, isRequired: Bool = true, refusal: PlanRefusal? = nil) throws -> Plan {
    let device = try #require(PCIAddress("0000:03:00.0"))
    return Plan(
      host: HostFacts(name: "host17", xenVersion: "4.17.7"), domainCount: 1, deviceCount: 1, policy: Policy(),
      domains: [
        DomainPlan(
          name: "sys-net", id: DomainID(2), kind: .pv, lifecycle: .running,
          steps: [DeviceStep(domain: .name("sys-net"), device: device, kind: kind, isRequired: isRequired)])
      ], refusal: refusal)
  }
}

extension DeviceStep.Kind {
  /// An attach or a detach that the manifest asks for.
  static func attach() throws -> Self {
    .change(.attach(DeviceOptions(), because: .declared), in: try .some("sys-net"))
  }
  static func detach() throws -> Self {
    .change(.detach(DeviceOptions(), because: .notDeclared), in: try .some("sys-net"))
  }
}

extension DomainTarget {
  /// A running PV domain.
  static func some(_ name: String) throws -> DomainTarget {
    let uuid = try #require(DomainUUID("20000000-0000-4000-8000-000000000002"))
    return DomainTarget(key: DomainKey(id: DomainID(2), uuid: uuid), name: name, route: .frontEnd, mode: .hot)
  }
}

extension ApplyOutcome {
  /// One domain with a step of each result.
  static func of(
    _ results: StepResult..., isUndone: Bool = false, isLockBusy: Bool = false, failure: OutcomeDetail? = nil
  )
    throws -> ApplyOutcome
  {
    let device = try #require(PCIAddress("0000:03:00.0"))
    return ApplyOutcome(domains: [
      DomainOutcome(
        name: "sys-net", id: DomainID(2),
        steps: results.map { StepOutcome(device: device, action: .attach, result: $0, isUndone: isUndone) },
        failure: failure, isLockBusy: isLockBusy)
    ])
  }
}
