import Model
import Planning
import Ports
import Reconciling
import XenAdapter

/// The number of repetitions of one operation. The median counts.
private let rounds = 5

/// Counts the requests of one apply to xenstored: the engine's own, and separately those of the observation before it.
///
/// The counts do not depend on the machine, except for a few reads. The guest's timing decides which events of a round
/// are seen one by one, and which together.
func measureRequests(_ programs: Programs) throws -> Section {
  let sizes = [1, 8, 32]
  var source = DeviceSource()
  var domains: [BenchDomain] = []
  var cases: [Case] = []
  for size in sizes {
    let (first, cold, later) = (source.take(size), source.take(size), source.take(size + 1))
    domains += [
      BenchDomain(name: "first\(size)"), BenchDomain(name: "cold\(size)", isCold: true),
      BenchDomain(name: "later\(size)", devices: [later[0]]),
    ]
    cases += [
      Case("attach_first", size, DesiredDomain("first\(size)", first)),
      Case("detach_all", size, DesiredDomain("first\(size)", [])),
      Case("attach", size, DesiredDomain("later\(size)", later)),
      Case("detach", size, DesiredDomain("later\(size)", [later[0]])),
      Case("attach_cold", size, DesiredDomain("cold\(size)", cold)),
      Case("detach_cold", size, DesiredDomain("cold\(size)", [])),
    ]
  }
  let sandbox = try BenchSandbox(domains, devices: source.all, programs: programs)
  var state = HostState(domains.map { DesiredDomain($0.name, $0.devices) })
  // Berth owns all existing devices from here on, so that every apply below does one thing.
  _ = try apply(state.domains, on: sandbox)
  for _ in 0..<rounds {
    for index in cases.indices {
      cases[index].counts.append(try apply(state.setting(cases[index].desired), on: sandbox))
    }
  }

  var section = Section(
    title: "Requests to xenstored for one apply that changes k devices of one domain (C xenstored, \(rounds) rounds)",
    rows: [["", "k", "requests", "least-most", "writes", "commits", "conflicts", "rounds", "look before"]], figures: [])
  for item in cases.sorted(by: { Case.names.firstIndex(of: $0.name) ?? 0 < Case.names.firstIndex(of: $1.name) ?? 0 }) {
    let (requests, writes) = (item.values(\.engine.requests), item.values(\.engine.writes))
    let (commits, turns) = (item.values(\.engine.commits), item.values(\.rounds))
    let look = item.values(\.look.requests)
    section.rows.append([
      item.title, "\(item.size)", "\(requests.middle)", "\(requests.least)-\(requests.most)", "\(writes.middle)",
      "\(commits.middle)", "\(item.values(\.engine.conflicts).most)", "\(turns.middle)", "\(look.middle)",
    ])
    let suffix = "k\(item.size)"
    section.figures += [
      Figure("\(item.name)_requests_\(suffix)", requests.middle),
      Figure("\(item.name)_writes_\(suffix)", writes.middle),
      Figure("\(item.name)_commits_\(suffix)", commits.middle), Figure("\(item.name)_rounds_\(suffix)", turns.middle),
      Figure("\(item.name)_observe_requests_\(suffix)", look.middle),
    ]
  }
  return section
}

/// One operation, and the counts of its repetitions.
private struct Case {
  /// In the order of the table. `attach` and `detach` concern a guest that has another device and keeps it.
  static let names = ["attach_first", "attach", "attach_cold", "detach", "detach_all", "detach_cold"]

  let name: String
  let size: Int
  let desired: DesiredDomain
  var counts: [Counts] = []

  init(_ name: String, _ size: Int, _ desired: DesiredDomain) {
    (self.name, self.size, self.desired) = (name, size, desired)
  }

  var title: String {
    switch name {
    case "attach_first": "attach, first devices"
    case "attach": "attach, one is there"
    case "attach_cold": "attach, cold domain"
    case "detach": "detach, one stays"
    case "detach_all": "detach, all"
    default: "detach, cold domain"
    }
  }

  func values(_ path: KeyPath<Counts, Int>) -> (least: Int, middle: Int, most: Int) {
    let sorted = counts.map { $0[keyPath: path] }.sorted()
    guard let least = sorted.first, let most = sorted.last else { return (0, 0, 0) }
    return (least, sorted[(sorted.count - 1) / 2], most)
  }
}

/// The requests of one apply.
struct Counts {
  var look: StoreStatistics
  var engine: StoreStatistics
  var rounds: Int
  var longestLock: Double
}

/// Plans for these domains and applies the plan. Counts the engine's requests separately from the observer's.
///
/// Throws if a step is not done.
func apply(_ desired: [DesiredDomain], on sandbox: BenchSandbox) throws -> Counts {
  let (looking, changing) = (sandbox.connector, sandbox.connector)
  let state = DesiredState(domains: desired)
  let plan = makePlan(desired: state, observation: try Observer(host: sandbox.host(looking)).observe(desired: state))
  let outcome = ScheduleRunner(host: sandbox.host(changing), options: ApplyOptions()) { _ in }.apply(plan)
  let steps = outcome.domains.flatMap(\.steps)
  guard plan.refusal == nil, outcome.domains.allSatisfy({ $0.failure == nil }),
    steps.allSatisfy({ $0.result == .done }),
    steps.count >= plan.steps.count(where: \.isChange)
  else { throw BenchError("an apply did not end well: \(outcome.domains)") }
  return Counts(
    look: looking.statistics, engine: changing.statistics, rounds: outcome.domains.map(\.rounds).reduce(0, +),
    longestLock: Double(outcome.domains.map(\.longestLockMicroseconds).max() ?? 0) / 1000)
}

/// The declared devices of all domains of a bench's host. Any other device would be detached.
struct HostState {
  private(set) var domains: [DesiredDomain]

  init(_ domains: [DesiredDomain]) { self.domains = domains }

  /// Declares other devices for some domains. Returns the whole declaration.
  mutating func setting(_ changed: DesiredDomain...) -> [DesiredDomain] {
    for domain in changed {
      for index in domains.indices where domains[index].name == domain.name { domains[index] = domain }
    }
    return domains
  }
}
