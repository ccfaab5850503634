import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// Nothing is done to a device, and nothing is called done, without a proof of whose the device is at that moment.
@Suite struct OwnershipProofTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let nothing = Sample.desired(["net": []])

  private func makeHost(isHVM: Bool = false) -> (model: ModelHost, key: DomainKey) {
    let model = ModelHost()
    let key = isHVM ? model.addHVMDomain(5, "net") : model.addDomain(5, "net")
    model.addDomain(6, "other")
    for device in [one, two] { model.addDevice(device, interrupt: 17) }
    return (model, key)
  }

  // MARK: The end of an attach

  @Test(arguments: ["PV", "HVM", "cold"])
  func `an attach whose device Xen has taken away by its end is not done`(_ kind: String) throws {
    let (model, _) = makeHost(isHVM: kind == "HVM")
    if kind == "cold" {
      model.change(5) { ($0.isPaused, $0.cpuTime) = (true, 0) }
    }
    let wanted = Sample.desired(["net": [one, two]])
    let plan = try Run(model: model).plan(wanted)
    // As an xl pci-detach does that the guest does not answer: the entry stays, and the assignment goes.
    let one = one
    model.interfere(
      atRequest: 0, onceTrue: { $0.listed(5).contains(one) && (kind == "cold" || $0.exports(to: 5).contains(one)) }
    ) {
      [unowned model] in
      do throws(HostError) { try model.host.hypervisor.deassign(one, from: DomainID(5)) } catch {}
    }
    let steps = ScheduleRunner(host: model.host, options: .hasty) { _ in }.apply(plan).domains.flatMap(\.steps)
    #expect(model.hasInterfered)
    #expect(steps.first { $0.device == one }?.result == .failed)
    #expect(steps.first { $0.device == one }?.detail?.sentences.contains(.notAssigned) == true)
    #expect(steps.first { $0.device == two }?.result == .done)
  }

  @Test func `an attach that Xen cannot be asked about is unknown`() throws {
    let (model, key) = makeHost()
    let wanted = Sample.desired(["net": [one]])
    let line = FaultLine()
    let plan = try Run(model: model).plan(wanted)
    let (sound, _) = makeHost()
    _ = ScheduleRunner(host: line.host(sound.host), options: .hasty) { _ in }
      .apply(try Run(model: sound).plan(wanted))
    let last = try #require(line.requests.lastIndex(of: .probe))
    line.arm(.fails(.hypervisor(HypervisorError(.timedOut, operation: "xc_test_assign_device"))), at: last)
    let steps = ScheduleRunner(host: line.host(model.host), options: .hasty) { _ in }.apply(plan).domains
      .flatMap(\.steps)
    #expect(steps.map(\.result) == [.unknown])
    model.killWriters()
    #expect(failures(try Run(model: model).apply(wanted)).isEmpty)
    #expect(disagreements(model, key, [one]).isEmpty)
  }

  // MARK: Before an effect

  @Test func `a device that another guest has is not reset, though no claim says so`() throws {
    let (model, _) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one]]))
    #expect(model.resets == [one])
    // Another toolstack's failed attach has removed the claim (`device_pci_add_done`, libxl_pci.c, Xen 4.17).
    model.setOwner(one, 6)
    model.store[StorePath.claim(one).text] = nil
    try run.apply(nothing)
    #expect(model.resets == [one])
    #expect(model.owner(of: one) == DomainID(6))
  }

  @Test(arguments: [false, true])
  func `a dead run's intent resets nothing that another guest has`(_ isClaimed: Bool) throws {
    let (model, key) = makeHost()
    model.put(Intent(identifier: "5-attach-1", domain: key, operation: .attach, devices: [one]))
    model.setOwner(one, 6)
    if isClaimed { model.store[StorePath.claim(one).text] = "6" }
    try Run(model: model).apply(nothing)
    #expect(model.resets.isEmpty)
    #expect(model.owner(of: one) == DomainID(6))
    #expect(model.claim(on: one) == (isClaimed ? "6" : nil))
  }

  @Test func `a card in the place of one that a killed run unbound is not bound`() throws {
    var wanted = Sample.desired(["net": [one]])
    wanted.domains[0].devices[0].options.permissive = true
    let plain = Sample.desired(["net": [one]])
    var hasSeenUnbound = false
    for step in 1..<400 {
      let (model, _) = makeHost()
      let run = Run(model: model)
      try run.apply(wanted)
      let plan = try run.plan(plain)
      model.kill(beforeStep: step)
      _ = ScheduleRunner(host: model.host, options: run.options) { _ in }.apply(plan)
      guard model.restart() else { break }
      guard try model.host.tree.facts(of: one)?.driver == nil else { continue }
      hasSeenUnbound = true
      model.pull(one)
      model.plug(ModelCard(id: DeviceID(vendor: 0x144D, device: 0xA80A)), at: one, onPCIBack: false)
      try run.apply(nothing)
      #expect(try model.host.tree.facts(of: one)?.driver == nil, "killed before step \(step)")
      #expect(try model.host.intents.intents().isEmpty, "killed before step \(step)")
    }
    #expect(hasSeenUnbound)
  }
}
