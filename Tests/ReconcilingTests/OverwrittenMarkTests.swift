import Model
import Planning
import Ports
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// An xl that writes its entry over one of a device that Berth detaches.
@Suite struct OverwrittenMarkTests: ThreeDevices {
  /// xl may write at any request of the detach, alone or beside a device whose entry stays.
  @Test(arguments: [[Int](), [3]])
  func `an entry that is overwritten during its detach is put back before the guest is asked`(_ kept: [Int]) throws {
    var hasSeenDone = false
    for index in 0..<200 {
      let (model, _) = makeHost()
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
  @Test(arguments: [[1], []], [false, true])
  func `a device whose mark was overwritten unread stays the guest's until pciback releases it`(
    _ kept: [Int], _ hasOldIntent: Bool
  ) throws {
    let (model, key, plan) = try makeLastDetach(keeping: kept)
    // An earlier run wanted the same and did not end.
    if hasOldIntent {
      model.put(
        Intent(identifier: "5-detach-0", domain: key, operation: .detach, devices: [three]))
    }
    let kernels = model.store.react.function
    model.store.react.function = nil
    model.interfere(atRequest: 0, onceTrue: { $0.node(5, "state-1") == "5" }) { [unowned model, two] in
      model.setOwner(two, 5)
      model.overwrite(domain: 5, index: 1, with: two)
      model.store.react.function = kernels
    }
    let steps = execute(plan, on: model).domains.flatMap(\.steps)
    #expect(model.hasInterfered)
    #expect(steps.first { $0.device == three }?.result == .unknown, "\(steps)")
    #expect(steps.allSatisfy { $0.device == three || $0.result == .done }, "\(steps)")
    #expect(model.exports(to: 5).contains(three))
    #expect(model.owner(of: three) == key.id && model.claim(on: three) == "5")
    model.stopInterfering()

    let again = try Run(model: model).apply(Sample.desired(["net": kept.map(Sample.address)])).domains.flatMap(\.steps)
    #expect(again.allSatisfy { $0.result == .done || $0.result == .unchanged }, "\(again)")
    #expect(model.exports(to: 5) == Set(kept.map(Sample.address) + [two]))
    #expect(Set(model.listed(5)) == Set(kept.map(Sample.address) + [two]))
    #expect(model.owner(of: three) == nil)
  }

  /// pciback has released the device already, and gives its slot to the device that xl lists in its place.
  @Test func `an entry that is overwritten after pciback has released its device stays as it is`() throws {
    let (model, _, plan) = try makeLastDetach(keeping: [1])
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
  private func makeLastDetach(keeping kept: [Int]) throws -> (ModelHost, DomainKey, Plan) {
    let (model, key) = makeHost()
    let run = Run(model: model)
    try run.apply(Sample.desired(["net": [one, three]]))
    try #require(model.listed(5) == [one, three])
    return (model, key, try run.plan(Sample.desired(["net": kept.map(Sample.address)])))
  }
}
