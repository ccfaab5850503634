import Model
import Planning
import XenProtocol

/// Measures the planner alone for many assignments: half are as declared, and half are to be attached.
func measurePlanner(_: Programs) throws -> Section {
  var section = Section(title: "Planning alone", rows: [["assignments", "ms", "µs each"]], figures: [])
  for count in [1000, 10_000, 100_000] {
    let (desired, observation) = try largeHost(assignments: count)
    var times: [Double] = []
    for _ in 0..<(count > 10_000 ? 5 : 11) {
      var steps = 0
      times.append(milliseconds { steps = makePlan(desired: desired, observation: observation).steps.count })
      guard steps == count else { throw BenchError("a plan of \(count) assignments has \(steps) steps") }
    }
    let time = times.median
    section.rows.append(["\(count)", time.text(decimals: 2), (time * 1000 / Double(count)).text(decimals: 2)])
    section.figures.append(Figure("plan_\(count)_ms", time))
  }
  // Many assignments in another form: one domain with the most devices that a bus can hold, and records of all of them.
  return section
}

/// Returns a host of domains with eight declared devices each: four attached and recorded, four not attached.
private func largeHost(assignments: Int) throws -> (DesiredState, Observation) {
  var desired = DesiredState()
  var observation = Observation(host: HostFacts(name: "bench", xenVersion: "4.17.7", hasIOMMU: true))
  let id = DeviceID(vendor: 0x8086, device: 0x1533)
  for number in 0..<assignments / 8 {
    let bytes = (0..<16).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) }
    guard let uuid = DomainUUID(bytes: bytes) else { throw BenchError("16 bytes are a UUID") }
    // More domains than Xen can number, because only the planner runs.
    let domain = DomainID(UInt32(number + 1))
    let devices = (0..<8).map { PCIAddress(sbdf: UInt32(0x100 + number * 8 + $0)) }
    let attached = devices.prefix(4)
    let entries = attached.enumerated().map { index, device in
      BackEndEntry(
        index: index, device: device, state: StateNode(.initialised),
        virtualAddress: PCIAddress(segment: 0, bus: 0, device: 0, function: UInt8(index)),
        optionsText: DeviceOptions().storeText)
    }
    let backEnd = BackEnd(
      domain: domain, state: StateNode(.connected), frontEndState: StateNode(.connected), count: .number(4),
      online: "1", hasFrontEndPath: true, entries: entries, hasKernelObject: true)
    observation.domains.append(
      ObservedDomain(
        id: domain, uuid: uuid, name: "guest\(number)", kind: .pv, lifecycle: .running, hasIOMMU: true,
        backEnd: backEnd,
        saved: .devices(attached.map { SavedDevice(address: $0, options: DeviceOptions()) })))
    observation.devices += devices.enumerated().map { index, device in
      ObservedDevice(
        address: device, facts: DeviceFacts(id: id, deviceClass: 0x020000, driver: "pciback", isOnPCIBack: true),
        claim: index < 4 ? domain : nil, assignment: index < 4 ? .assigned : .free)
    }
    observation.records.append(OwnershipRecord(uuid: uuid, name: "guest\(number)", devices: Array(attached)))
    desired.domains.append(
      DesiredDomain(name: "guest\(number)", devices: devices.map { DesiredDevice(address: $0, id: id) }))
  }
  return (desired, observation)
}
