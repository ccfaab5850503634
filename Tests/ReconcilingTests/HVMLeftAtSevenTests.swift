import Model
import Planning
import Ports
import TestSupport
import Testing
import XenProtocol

/// What Berth does about an HVM guest's bus that libxl left at 7: pciback may hold devices that no node shows, and ends
/// any bus that requests one of them.
extension HVMInterleavingTests {
  /// Returns a host on which `net`, an HVM guest, and `fw`, a PV guest, have devices that libxl gave them. Berth's
  /// record has none of them.
  private func makeLibxlHost() throws -> (ModelHost, DomainKey) {
    let (model, key) = makeHost()
    let other = model.addDomain(6, "fw")
    try Run(model: model, options: options).apply(Sample.desired(["net": [one, two], "fw": [three]]))
    for domain in [key, other] { try model.host.ownership.update(domain.uuid) { $0 = nil } }
    return (model, key)
  }

  /// Attaches a device as libxl does to a running HVM guest that has others: the back end is left at 7
  /// (`libxl__device_pci_add_xenstore`, libxl_pci.c, Xen 4.17).
  private func attachAtSeven(_ device: PCIAddress, _ model: ModelHost, _ key: DomainKey) throws {
    try model.host.hypervisor.assign(device, to: key.id, relaxed: false)
    model.putEmulated(key.id.rawValue, device, slot: 9)
    model.store[StorePath.claim(device).text] = key.id.description
    let back = StorePath.backEnd(key.id)
    let index = model.listed(key.id.rawValue).count
    for (name, value) in ["dev": device.description, "key": device.description, "opts": "", "state": "1"] {
      model.store[back.child("\(name)-\(index)").text] = value
    }
    model.store[back.child("num_devs").text] = String(index + 1)
    model.store[back.child("state").text] = "7"
    guard let bytes = try model.host.userdata.savedConfiguration(of: key) else { return }
    let saved = try SavedConfiguration(bytes).adding([SavedDevice(address: device, options: DeviceOptions())])
    model.setSaved(key, saved.bytes)
    model.store.settle()
  }

  /// Expects that no bus has ended, and that what each guest had is still exported to it.
  private func expectBusesAlive(
    _ model: ModelHost, _ net: Set<PCIAddress>, _ location: SourceLocation = #_sourceLocation
  ) {
    #expect(model.node(5, "state") != "5", sourceLocation: location)
    #expect(model.node(6, "state") == "4", sourceLocation: location)
    #expect(model.exports(to: 5) == net, sourceLocation: location)
    #expect(model.exports(to: 6).contains(three), sourceLocation: location)
  }

  private func kinds(_ run: Run, _ desired: DesiredState, of device: PCIAddress) throws -> [DeviceStep.Kind] {
    try run.plan(desired).steps.filter { $0.device == device }.map(\.kind)
  }

  @Test(arguments: [[1, 2], [2]])
  func `a device that xl detached and attached again is not requested a second time`(_ numbers: [Int]) throws {
    let (model, key) = try makeLibxlHost()
    xlDetach(one, model, key)
    try attachAtSeven(one, model, key)
    let run = Run(model: model, options: options)
    let wanted = desired(numbers)
    for _ in 0..<2 {
      let outcome = try run.apply(wanted)
      #expect(!outcome.domains.flatMap(\.steps).contains { $0.action == .repair })
      expectBusesAlive(model, [one, two])
      #expect(model.node(5, "state") == "7")
    }
    #expect(try kinds(run, wanted, of: two).contains(.unchanged))
    #expect(try run.plan(wanted).steps.contains { $0.kind == .drift(.busUnsettled) })
    if numbers.contains(1) { #expect(try kinds(run, wanted, of: one).contains(.blocked(.busUnsettled))) }
  }

  @Test func `nothing else is changed on a bus that cannot be settled`() throws {
    let (model, key) = try makeLibxlHost()
    xlDetach(one, model, key)
    try attachAtSeven(one, model, key)
    let wanted = Sample.desired(["net": [Sample.address(4)], "fw": [three]], prune: .all)
    try Run(model: model, options: options).apply(wanted)
    expectBusesAlive(model, [one, two])
    #expect(model.listed(5) == [two, one])
  }

  @Test func `it is listed as pciback holds it if Berth has seen that`() throws {
    let (model, key) = try makeLibxlHost()
    let run = Run(model: model, options: options)
    try run.apply(desired([1, 2]))
    xlDetach(one, model, key)
    try attachAtSeven(one, model, key)
    #expect(try run.plan(desired([1, 2])).steps.compactMap(\.change) == [.repair(.settleBus)])
    #expect(failures(try run.apply(desired([1, 2]))).isEmpty)
    expectBusesAlive(model, [one, two])
    #expect(model.node(5, "state") == "3")
    #expect(model.node(5, "vdev-1") == "0000:00:00.00")
    #expect(withoutGrants(disagreements(model, key, [two, one], hasDeviceModel: true)) == [])
    #expect(try unrest(run, desired([1, 2])) == [])
    // What is listed so can be taken away again.
    #expect(failures(try run.apply(desired([2]))).isEmpty)
    expectBusesAlive(model, [two])
  }

  @Test func `a device that xl only detached is not requested`() throws {
    let (model, key) = try makeLibxlHost()
    xlDetach(one, model, key)
    model.setSaved(key, try saved([one, two]))
    let run = Run(model: model, options: options)
    for _ in 0..<2 { try run.apply(desired([1, 2])) }
    expectBusesAlive(model, [one, two])
    #expect(try kinds(run, desired([1, 2]), of: one) == [.blocked(.busUnsettled)])
    #expect(model.owner(of: one) == nil)
    // Other devices are attached and detached as ever: they are requested alone.
    #expect(results(try run.apply(desired([1, 2, 4]))).contains(.done))
    expectBusesAlive(model, [one, two, Sample.address(4)])
    #expect(failures(try run.apply(desired([2]))).isEmpty)
    expectBusesAlive(model, [one, two])
    #expect(model.saved(key).contains(one), "the only trace of what pciback holds")
  }

  @Test func `a busy kernel that has not released a device does not end the bus`() throws {
    let (model, key) = try makeLibxlHost()
    let run = Run(model: model, options: options)
    try run.apply(desired([1, 2]))
    xlDetach(one, model, key)
    // pciback reads no mark, however long Berth waits.
    model.change(5) { $0.isMarkRead = false }
    #expect(failures(try run.apply(desired([1, 2]))).isEmpty)
    expectBusesAlive(model, [one, two])
    #expect(Set(model.listed(5)) == [one, two])
  }

  @Test func `a device that pciback may hold is not given to another guest`() throws {
    let (model, key) = try makeLibxlHost()
    xlDetach(one, model, key)
    model.setSaved(key, try saved([one, two]))
    let run = Run(model: model, options: options)
    let moved = Sample.desired(["fw": [three, one]])
    for _ in 0..<2 {
      try run.apply(moved)
      expectBusesAlive(model, [one, two])
    }
    #expect(try kinds(run, moved, of: one).contains(.blocked(.attachedElsewhere)))
    #expect(model.saved(key).contains(one))
    // The bus ends with its last device, and pciback releases everything.
    var empty = moved
    empty.policy.prune = .all
    try run.apply(empty)
    try run.apply(empty)
    #expect(model.node(6, "state") == "4")
    #expect(model.exports(to: 6) == [three, one])
  }

  @Test func `nor is it requested by another HVM guest to which xl attached it`() throws {
    let (model, key) = try makeLibxlHost()
    let third = model.addHVMDomain(7, "gpu-vm")
    let run = Run(model: model, options: options)
    try run.apply(Sample.desired(["gpu-vm": [Sample.address(4)]]))
    xlDetach(one, model, key)
    try attachAtSeven(one, model, third)
    let wanted = Sample.desired(["gpu-vm": [Sample.address(4), one]])
    for _ in 0..<2 { try run.apply(wanted) }
    expectBusesAlive(model, [one, two])
    #expect(model.node(7, "state") == "7")
    #expect(model.exports(to: 7) == [Sample.address(4)])
    #expect(try kinds(run, wanted, of: one).contains(.blocked(.busUnsettled)))
  }

  @Test func `a device that only a saved line names is dropped if pciback never held it`() throws {
    let (model, key) = try makeLibxlHost()
    let four = Sample.address(4)
    try attachAtSeven(four, model, key)
    xlDetach(four, model, key)
    model.setSaved(key, try saved([one, two, four]))
    let run = Run(model: model, options: options)
    #expect(failures(try run.apply(desired([1, 2]))).isEmpty)
    #expect(model.saved(key) == [one, two])
    #expect(model.node(5, "state") == "3")
    expectBusesAlive(model, [one, two])
  }

  @Test(
    arguments: [
      #"{"dev": 1, "bus": 3, "name": "nic0"}"#, #"{"name": "nic0"}"#, #"{"dev": 1, "bus": 3, "vfunc_mask": 6}"#,
      #"{"dev": 1, "bus": 3, "vfunc_mask": 4294967295}"#, #"{"dev": 1, "bus": 3, "zone": "a"}"#,
    ])
  func `a line that Berth leaves alone shows what pciback may hold, like any other`(_ line: String) throws {
    let (model, key) = try makeLibxlHost()
    model.store[StorePath.libxlName(one).text] = "nic0"
    xlDetach(one, model, key)
    let file = "{\"pcidevs\": [{\"dev\": 2, \"bus\": 3}, \(line)]}\n"
    model.setSaved(key, Array(file.utf8) + [0])
    let run = Run(model: model, options: options)
    let moved = Sample.desired(["net": [two], "fw": [three, one]])
    for _ in 0..<2 { try run.apply(moved) }
    expectBusesAlive(model, [one, two])
    #expect(model.listed(6) == [three] && model.owner(of: one) == nil)
    let kept = try #require(try model.host.userdata.savedConfiguration(of: key))
    #expect(String(decoding: kept, as: UTF8.self).contains(line))
  }

  private func saved(_ devices: [PCIAddress]) throws -> [UInt8] {
    let empty = Array("{\n    \"c_info\": {\n        \"type\": \"hvm\"\n    }\n}\n".utf8) + [0]
    return try SavedConfiguration(empty).adding(devices.map { SavedDevice(address: $0, options: DeviceOptions()) })
      .bytes
  }
}
