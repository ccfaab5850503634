import Model
import Planning
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// What an HVM guest still has of a device that its bus does not list.
extension HVMInterleavingTests {
  // MARK: Devices that only QEMU still has

  @Test(arguments: [true, false])
  func `a device that a forced detach left in QEMU is not given to another guest`(_ letsGo: Bool) throws {
    let (model, key) = makeHost()
    model.addDomain(6, "pv")
    let run = Run(model: model, options: options)
    try run.apply(Sample.desired(["net": [one], "pv": []]))
    xlDetach(one, model, key, isForced: true)
    #expect(model.emulated(5).count == 1)
    model.setLetsGo(5, letsGo)
    try run.apply(Sample.desired(["net": [], "pv": [one]]))
    #expect(model.emulated(5).isEmpty || model.owner(of: one) == nil, "two guests have it")
    model.setLetsGo(5, true)
    if !letsGo { try run.apply(Sample.desired(["net": [], "pv": [one]])) }
    #expect(model.emulated(5).isEmpty)
    #expect(model.listed(6) == [one])
    #expect(try unrest(run, Sample.desired(["net": [], "pv": [one]])) == [])
  }

  @Test(arguments: [Policy.Prune.owned, .never])
  func `nor is it given if the first guest is not in the manifest`(_ prune: Policy.Prune) throws {
    let (model, key) = makeHost()
    model.addDomain(6, "pv")
    let run = Run(model: model, options: options)
    try run.apply(Sample.desired(["net": [one]]))
    xlDetach(one, model, key, isForced: true)
    for _ in 0..<3 {
      try run.apply(Sample.desired(["pv": [one]], prune: prune))
      #expect(model.emulated(5).isEmpty || model.owner(of: one) == nil, "two guests have it")
    }
    #expect(model.listed(6) == (prune == .never ? [] : [one]))
  }

  @Test func `one apply removes the remnant of a forced detach from QEMU`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: options)
    try run.apply(desired([1, 2]))
    xlDetach(two, model, key, isForced: true)
    try run.apply(desired([1]))
    #expect(model.emulated(5).count == 1)
    #expect(try unrest(run, desired([1])) == [])
  }

  @Test func `a remnant in a guest that the manifest does not name is found, too`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: options)
    try run.apply(desired([1]))
    xlDetach(one, model, key, isForced: true)
    try run.apply(Sample.desired([:]))
    try run.apply(Sample.desired([:]))
    #expect(model.emulated(5).isEmpty)
    #expect(model.recorded(key).isEmpty)
    #expect(try unrest(run, Sample.desired([:])) == [])
  }

  @Test func `a remnant in QEMU is removed before the device is attached to the guest again`() throws {
    let (model, key) = makeHost()
    let run = Run(model: model, options: options)
    try run.apply(desired([1]))
    xlDetach(one, model, key, isForced: true)
    #expect(results(try run.apply(desired([1]))) == [.done])
    let name = DeviceModelName(one)
    #expect(model.deviceModelCommands(5) == ["add \(name)", "remove \(name)", "add \(name)"])
    #expect(disagreements(model, key, [one], hasDeviceModel: true) == [])
  }

  @Test func `nor is it given while the first guest's QEMU cannot be asked`() throws {
    let (model, key) = makeHost()
    model.addDomain(6, "pv")
    let run = Run(model: model, options: options)
    let after = Sample.desired(["net": [], "pv": [one]])
    try run.apply(Sample.desired(["net": [one], "pv": []]))
    xlDetach(one, model, key, isForced: true)
    model.setDeviceModelRunning(5, false)
    for _ in 0..<2 { try run.apply(after) }
    #expect(model.owner(of: one) == nil)
    model.setDeviceModelRunning(5, true)
    try run.apply(after)
    #expect(model.emulated(5).isEmpty)
    #expect(model.listed(6) == [one])
    #expect(try unrest(run, after) == [])
  }

  // MARK: One name, two devices

  @Test func `a device of another segment under the same QEMU name is not mistaken for this one`() throws {
    let (model, key) = makeHost()
    let rival = PCIAddress(sbdf: 0x1_0000 | one.sbdf)
    model.addDevice(rival)
    let run = Run(model: model, options: options)
    try run.apply(desired([1]))
    xlDetach(one, model, key, isForced: true)
    model.setLetsGo(5, false)
    let outcome = try run.apply(Sample.desired(["net": [rival]]))
    #expect(!results(outcome).contains(.done), "QEMU shows the other one")
  }

  @Test func `an ended run's leftover of one device does not detach its namesake`() throws {
    let (model, key) = makeHost()
    let rival = PCIAddress(sbdf: 0x1_0000 | one.sbdf)
    model.addDevice(rival)
    let run = Run(model: model, options: options)
    try run.apply(desired([1]))
    model.setOwner(rival, 5)
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [rival]))
    try run.apply(desired([1]))
    #expect(model.emulated(5) == [DeviceModelName(one).description])
    #expect(!model.deviceModelCommands(5).contains { $0.hasPrefix("remove") })
    #expect(model.owner(of: rival) == nil)
    #expect(model.openIntents.isEmpty)
  }

  // MARK: qemu-traditional, which cannot list its devices

  /// Answers each command at once with a word, or not at all.
  private func answerCommands(_ model: ModelHost, _ insertion: String?) {
    let nodes = "/local/domain/0/device-model/5"
    model.store[StorePath.toolstack(DomainID(5)).child("dm-version").text] = "qemu_xen_traditional"
    model.store[nodes + "/state"] = "running"
    model.store.whenIdle.function = { store in
      guard store[nodes + "/state"] == "running", let command = store[nodes + "/command"] else { return false }
      store[nodes + "/command"] = nil
      guard let word = command == "pci-ins" ? insertion : "pci-removed" else { return false }
      if word == "pci-inserted" { store[nodes + "/parameter"] = "0x28" }
      store[nodes + "/state"] = word
      return true
    }
  }

  @Test func `a device that qemu-traditional refuses a second time is not in sync`() throws {
    let (model, _) = makeHost()
    let run = Run(model: model, options: options)
    answerCommands(model, nil)
    #expect(results(try run.apply(desired([1]))) == [.unknown])
    answerCommands(model, "pci-insert-failed")
    #expect(results(try run.apply(desired([1]))) == [.failed])
    #expect(try run.plan(desired([1])).steps.map(\.action) == [.attach])
    answerCommands(model, "pci-inserted")
    #expect(results(try run.apply(desired([1]))) == [.done])
    #expect(try unrest(run, desired([1])) == [])
  }

  @Test func `a removal that ends after qemu-traditional's release is not forgotten`() throws {
    let (model, _) = makeHost()
    let run = Run(model: model, options: options)
    answerCommands(model, "pci-inserted")
    try run.apply(desired([1]))
    model.setLockBusy(true)
    let outcome = try run.apply(desired([]))
    #expect(outcome.domains.first?.isLockBusy == true)
    model.setLockBusy(false)
    #expect(try run.plan(desired([1])).steps.map(\.action) == [.attach])
    #expect(results(try run.apply(desired([1]))) == [.done])
    #expect(try unrest(run, desired([1])) == [])
  }
}
