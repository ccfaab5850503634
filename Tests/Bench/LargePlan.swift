import Model
import Planning
import Ports
import Reconciling
import Sandbox
import Synchronization
import XenProtocol

/// Measures `berth plan` on a host of 1000 domains with eight devices each, beside bare reads of the same nodes.
///
/// The measurement covers the whole program: reading the manifest, sysfs, libxl's files and Berth's records, asking the
/// hypervisor, planning and printing. The bare reads are one loop over libxenstore's calls.
func measureLargePlan(_ programs: Programs) throws -> Section {
  let (count, each, rounds) = (1000, 8, 5)
  var source = DeviceSource()
  let domains = (0..<count).map { DesiredDomain("guest\($0)", source.take(each)) }
  let sandbox = try BenchSandbox(
    domains.map { BenchDomain(name: $0.name, devices: $0.devices.map(\.address)) }, devices: source.all,
    programs: programs, within: .seconds(120))
  try writeRecords(domains, on: sandbox)
  try write(manifestText(domains), to: sandbox.manifest)
  let command = [programs.berth, "plan", "--detailed-exitcode", "--sandbox", sandbox.paths.directory, sandbox.manifest]

  // This comes before this program grows, because the peak of a new process is at least that of this program.
  let peak = Double(try Run(command).peakKiB) / 1024
  let recorder = StoreRecorder(sandbox.connector)
  let state = DesiredState(domains: domains)
  let observation = try Observer(host: sandbox.host(recorder)).observe(desired: state)
  let planning = milliseconds { _ = makePlan(desired: state, observation: observation) }
  let bare = BareReads(recorder.requests, socket: sandbox.paths.storeSocket)
  var (whole, alone, observing): ([Double], [Double], [Double]) = ([], [], [])
  for _ in 0..<rounds {
    alone.append(try bare.run())
    whole.append(try Run(command).milliseconds)
    observing.append(
      try milliseconds { _ = try Observer(host: sandbox.host(sandbox.connector)).observe(desired: state) })
  }
  let ratio = whole.median / alone.median
  return Section(
    title: "Plan on \(count) domains with \(each) devices each (C xenstored), in ms, \(rounds) rounds in turns",
    rows: [
      ["", "median", "least", "most"],
      [
        "berth plan, the whole program", whole.median.text(decimals: 0), whole.least.text(decimals: 0),
        whole.most.text(decimals: 0),
      ],
      [
        "bare reads: \(bare.count) requests", alone.median.text(decimals: 0), alone.least.text(decimals: 0),
        alone.most.text(decimals: 0),
      ],
      [
        "of the plan: looking", observing.median.text(decimals: 0), observing.least.text(decimals: 0),
        observing.most.text(decimals: 0),
      ],
      ["of the plan: planning", planning.text(decimals: 0)],
    ],
    figures: [
      Figure("plan_1000x8_ms", whole.median), Figure("bare_1000x8_ms", alone.median),
      Figure("observe_1000x8_ms", observing.median), Figure("plan_ratio_1000x8", ratio),
      Figure("plan_1000x8_requests", bare.count), Figure("plan_rss_mb", peak),
    ],
    notes: [
      "berth plan takes \(ratio.text(decimals: 2)) × the bare reads, median to median; "
        + "it had at most \(peak.text(decimals: 0)) MB of memory"
    ])
}

/// Makes Berth own every device, as if Berth had applied it, without the writes to disk that an apply makes.
private func writeRecords(_ domains: [DesiredDomain], on sandbox: BenchSandbox) throws {
  let outcome = try apply(domains, on: sandbox)
  _ = outcome
}

/// A connector whose connections record the requests outside transactions.
private final class StoreRecorder: StoreConnector {
  private let stores: any StoreConnector
  private let seen = Mutex<[BareReads.Request]>([])

  init(_ stores: any StoreConnector) { self.stores = stores }

  var requests: [BareReads.Request] { seen.withLock { $0 } }

  func connect() throws(HostError) -> any StorePort { RecordingStore(store: try stores.connect(), recorder: self) }

  func note(_ kind: BareReads.Kind, _ path: StorePath) {
    seen.withLock { $0.append(BareReads.Request(kind: kind, path: path.text)) }
  }
}

private struct RecordingStore: StorePort {
  let store: any StorePort
  let recorder: StoreRecorder

  func transaction<Result>(
    _ patience: Patience, _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Result>
  ) throws(HostError) -> Result {
    // A look at a host in order needs no transactions. A transaction would falsify the comparison.
    throw .store(StoreError(.other, operation: "transaction in a look at a host in order"))
  }

  func read(_ path: StorePath) throws(HostError) -> String? {
    recorder.note(.read, path)
    return try store.read(path)
  }

  func list(_ path: StorePath) throws(HostError) -> [String]? {
    recorder.note(.list, path)
    return try store.list(path)
  }

  func wait<Result>(
    watching paths: [StorePath], until deadline: ContinuousClock.Instant, isInterruptible: Bool,
    _ condition: () throws(HostError) -> Result?
  ) throws(HostError) -> WaitOutcome<Result> {
    throw .store(StoreError(.other, operation: "wait in a look"))
  }
}
