import Model
import XenAdapter

/// The number of repetitions of one operation. The median counts.
private let rounds = 3

/// Counts the requests of one apply to xenstored for an HVM guest, with QEMU in dom0 and in a stub domain.
///
/// A wait for a guest or for QEMU asks the store only for the event that ends it.
func measureKindRequests(_ programs: Programs) throws -> Section {
  let kinds = [("hvm", "kind: hvm", "HVM"), ("stub", "kind: hvm\n      stubDomain: {}", "stub domain")]
  var source = DeviceSource()
  var domains: [BenchDomain] = []
  var rows: [(key: String, title: String, name: Name, size: Int, devices: [PCIAddress])] = []
  for (key, rest, title) in kinds {
    for size in [1, 8] {
      let devices = source.take(size)
      domains.append(BenchDomain(name: "\(key)\(size)", rest: rest))
      rows.append((key, title, "\(key)\(size)", size, devices))
    }
  }
  let sandbox = try BenchSandbox(domains, devices: source.all, programs: programs)
  var state = HostState(domains.map { DesiredDomain($0.name, $0.devices) })
  var section = Section(
    title:
      "Requests to xenstored for one apply that changes k devices of one HVM domain (C xenstored, \(rounds) rounds)",
    rows: [["", "k", "requests", "writes", "commits", "rounds", "look before"]], figures: [])
  for row in rows {
    var counts: (attach: [Counts], detach: [Counts]) = ([], [])
    for _ in 0..<rounds {
      counts.attach.append(try apply(state.setting(DesiredDomain(row.name, row.devices)), on: sandbox))
      counts.detach.append(try apply(state.setting(DesiredDomain(row.name, [])), on: sandbox))
    }
    for (verb, all) in [("attach", counts.attach), ("detach", counts.detach)] {
      func middle(_ path: KeyPath<Counts, Int>) -> Int { all.map { $0[keyPath: path] }.sorted()[(all.count - 1) / 2] }
      let figures = [
        ("requests", middle(\.engine.requests)), ("writes", middle(\.engine.writes)),
        ("commits", middle(\.engine.commits)), ("rounds", middle(\.rounds)),
        ("observe_requests", middle(\.look.requests)),
      ]
      section.rows.append(["\(verb), \(row.title)", "\(row.size)"] + figures.map { "\($0.1)" })
      section.figures += figures.map { Figure("\(verb)_\(row.key)_\($0.0)_k\(row.size)", $0.1) }
    }
  }
  return section
}
