import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// An xl that writes its entry over one of a device that Berth detaches.
@Suite struct OverwrittenMarkTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let three = Sample.address(3)

  private func makeHost() -> ModelHost {
    let model = ModelHost()
    model.addDomain(5, "net")
    for device in [one, two, three] { model.addDevice(device, interrupt: 17) }
    return model
  }

  private func execute(_ plan: Plan, on model: ModelHost) -> ApplyOutcome {
    ScheduleRunner(host: model.host, options: ApplyOptions(waitTimeout: .milliseconds(20), workers: 1)) { _ in }.apply(
      plan)
  }

  @Test(arguments: [[Int](), [3]])
  func `an entry that is overwritten during its detach is put back before the guest is asked`(_ kept: [Int]) throws {
    var hasSeenDone = false
    for index in 0..<200 {
      let model = makeHost()
      let run = Run(model: model)
      let (one, two) = (one, two)
      try run.apply(Sample.desired(["net": [three, one]]))
      let plan = try run.plan(Sample.desired(["net": kept.map(Sample.address)]))
      let place = try #require(model.listed(5).firstIndex(of: one))
      model.interfere(atRequest: index, onceTrue: { $0.listed(5).firstIndex(of: one) == place }) { [unowned model] in
        model.setOwner(two, 5)
        model.overwrite(domain: 5, index: place, with: two)
      }
      let steps = execute(plan, on: model).domains.flatMap(\.steps)
      model.stopInterfering()
      guard model.hasInterfered else { break }
      for step in steps where step.result == .done {
        hasSeenDone = hasSeenDone || step.device == one
        #expect(!model.exports(to: 5).contains(step.device), "\(step.device), overwritten before request \(index)")
        #expect(model.owner(of: step.device) == nil, "\(step.device), overwritten before request \(index)")
      }
    }
    #expect(hasSeenDone)
  }

  /// xl read the count before the lock, and writes its entry over one that is marked, before pciback has read the mark.
  @Test(arguments: [[1], []])
  func `an entry that is overwritten before pciback has read its mark is put back and marked again`(
    _ kept: [Int]
  ) throws {
    let (model, plan) = try makeLastDetach(keeping: kept)
    let kernels = model.store.react.function
    model.store.react.function = nil
    model.interfere(atRequest: 0, onceTrue: { $0.node(5, "state-1") == "5" }) { [unowned model, two] in
      model.setOwner(two, 5)
      model.overwrite(domain: 5, index: 1, with: two)
      model.store.react.function = kernels
    }
    let steps = execute(plan, on: model).domains.flatMap(\.steps)
    #expect(model.hasInterfered)
    #expect(steps.allSatisfy { $0.result == .done }, "\(steps)")
    #expect(steps.count == 2 - kept.count)
    #expect(model.exports(to: 5) == Set(kept.map(Sample.address) + [two]))
    #expect(model.listed(5) == kept.map(Sample.address) + [two])
    #expect(model.owner(of: three) == nil)
    #expect(kept == [1] || model.owner(of: one) == nil)
  }

  /// pciback has released the device already, and gives its slot to the device that xl lists in its place.
  @Test func `an entry that is overwritten after pciback has released its device stays as it is`() throws {
    let (model, plan) = try makeLastDetach(keeping: [1])
    let slot = try #require(model.node(5, "vdev-1"))
    model.interfere(
      atRequest: 0, onceTrue: { [three] in $0.listed(5).contains(three) && !$0.exports(to: 5).contains(three) }
    ) { [unowned model, two] in
      model.setOwner(two, 5)
      model.overwrite(domain: 5, index: 1, with: two)
    }
    let steps = execute(plan, on: model).domains.flatMap(\.steps)
    #expect(model.hasInterfered)
    #expect(steps.map(\.result) == [.done], "\(steps)")
    #expect(model.exports(to: 5) == [one, two])
    #expect(model.listed(5) == [one, two])
    #expect(model.node(5, "vdev-1") == slot)
    #expect(model.node(5, "state") == "4")
  }

  /// Returns a guest with two devices, and the plan that detaches the last one at least.
  private func makeLastDetach(keeping kept: [Int]) throws -> (ModelHost, Plan) {
    let model = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, three]]))
    try #require(model.listed(5) == [one, three])
    return (model, try run.plan(Sample.desired(["net": kept.map(Sample.address)])))
  }
}
