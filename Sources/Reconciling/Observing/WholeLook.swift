import Model
import Planning
package import Ports
import XenProtocol

/// Asks a host all that the commands which change nothing may ask of it, whatever a manifest declares.
///
/// The answers are of interest only to the ports: they record them. So the readers of the commands themselves ask, and
/// no second list of questions can fall behind theirs.
package struct WholeLook: Sendable {
  private let host: Host

  package init(host: Host) { self.host = host }

  /// Asks everything. A failure ends only the questions that depend on its answer.
  package func look() {
    _ = Examiner(host: host).examine()
    _ = host.usage.usage()
    attempt { () throws(HostError) in
      let records = try host.preparations.readPreparations().contents
      _ = try host.inventory(of: Set(FunctionFact.allCases), recalling: records)
    }
    _ = ServedDeviceReader(host: host).served()
    attempt { () throws(HostError) in
      let observer = Observer(host: host)
      let observation = try observer.observeEverything(desired: nil)
      let functions = try host.inventory.inventory(of: []).functions.compactMap(\.address)
      _ = try observer.observe(desired: everything(in: observation, functions))
    }
  }

  private func attempt(_ body: () throws(HostError) -> Void) {
    // The port has recorded the failure.
    do throws(HostError) { try body() } catch {}
  }

  /// Returns a state that declares each device and each domain, so that an observer asks what depends on that.
  private func everything(in observation: Observation, _ functions: [PCIAddress]) -> DesiredState {
    let declared = functions.map { DesiredDevice(address: $0) }
    // No domain has this name, so that the devices alone are asked for.
    var domains = [DesiredDomain(name: Name("\0"), devices: declared)]
    for domain in observation.domains where !domain.name.isEmpty {
      let entries = Set((domain.backEnd?.entries ?? []).compactMap(\.device))
      // Whether a domain can have devices is asked only if it lacks one.
      let lacking = functions.first { !entries.contains($0) } ?? PCIAddress(sbdf: .max)
      domains.append(DesiredDomain(name: domain.name, devices: [DesiredDevice(address: lacking)]))
    }
    return DesiredState(policy: Policy(prune: .never), domains: domains)
  }
}
