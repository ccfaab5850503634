import Model
import Planning
import Ports
import Reconciling
import Snapshots

/// Tests files of snapshots: each is read or refused with a reason, and what was read ends no command.
func readSnapshot(_ bytes: [UInt8]) {
  let snapshot: Snapshot
  do throws(SnapshotFault) { snapshot = try Snapshot(bytes) } catch {
    must(!error.reason.isEmpty, "an error without words")
    return
  }
  do throws(SnapshotFault) {
    let again = try Snapshot(snapshot.encoded())
    must(again == snapshot, "a snapshot that changes when it is written")
    _ = try snapshot.redacted()
  } catch { wrong("what was read cannot be written and read again: \(error.reason)") }
  let host = snapshot.host
  WholeLook(host: host).look()
  _ = diagnose(Examiner(host: host).examine())
  do throws(HostError) {
    let observation = try Observer(host: host).observeEverything(desired: nil)
    let devices = observation.devices.map { DesiredDevice(address: $0.address) }
    let desired = DesiredState(
      domains: observation.domains.prefix(1).map { DesiredDomain(name: $0.name, devices: devices) })
    _ = makePlan(desired: desired, observation: try Observer(host: host).observe(desired: desired))
    let inventory = try host.inventory(of: Set(FunctionFact.allCases), recalling: observation.preparations)
    let rules = InterlockRules(
      usage: host.usage.usage(), inventory: inventory,
      served: ServedDeviceReader(host: host).served(ObservationIndex(observation)))
    for function in inventory.functions { _ = rules.interlocks(on: function.name) }
  } catch { must(!"\(error)".isEmpty, "an error without words") }
}
