import Model
import Planning
import Rendering
import TestSupport
import Testing

@Suite struct LockViewTests {
  private func lock() throws -> DeviceLock {
    DeviceLock(
      host: "host17",
      devices: [
        LockedDevice(
          label: "0000:05:00.0", selector: "address 0000:05:00.0",
          functions: [LockedFunction(address: try Samples.address("0000:05:00.0"), id: try Samples.id("10ec:8125"))]),
        LockedDevice(
          label: "lan0", selector: "serial a0-36-9f-ff-ff-12-34-56",
          functions: [
            LockedFunction(
              address: try Samples.address("0000:03:00.0"), id: try Samples.id("8086:1533"),
              subsystem: try Samples.id("8086:0001"), serial: "a0-36-9f-ff-ff-12-34-56")
          ]),
      ])
  }

  private func open() -> UnresolvedStep {
    var selector = DeviceSelector()
    selector.slot = "PCIE\u{1B}[1m"
    return UnresolvedStep(
      label: "disk", selector: selector, obstacle: .deviceMissing, isRequired: false,
      evidence: "no device has slot PCIE\u{1B}[1m")
  }

  @Test func `a lock, as a file and as a document`() throws {
    let view = LockView(lock: try lock(), open: [open()])
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "everything/lock.yaml")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "everything/lock.json")
    let empty = LockView(lock: DeviceLock(host: "host17", devices: []))
    try expectGolden(try rendered(empty, as: .table, style: TextStyle()), "in-sync/lock.yaml")
  }

  @Test func `a plan shows in what the host differs from its lock`() throws {
    let card = try lock().devices[1].functions
    func function(_ address: String, serial: String?) throws -> LockedFunction {
      LockedFunction(address: try Samples.address(address), id: try Samples.id("8086:1533"), serial: serial)
    }
    let report = LockReport(
      path: "host17.lock.yaml",
      differences: [
        LockDifference(label: "a", kind: .moved, locked: card, found: [try function("0000:04:00.0", serial: "x")]),
        LockDifference(label: "b", kind: .replaced, locked: card, found: [try function("0000:03:00.0", serial: nil)]),
        LockDifference(label: "c", kind: .replaced, locked: card, found: card + card),
        LockDifference(
          label: "d", kind: .otherDevice, locked: card, found: [try function("0000:04:00.0", serial: "y")]),
        LockDifference(label: "e", kind: .notFound, locked: card),
        LockDifference(label: "f", kind: .selectorChanged, locked: card),
        LockDifference(label: "g", kind: .notLocked),
        LockDifference(label: "h", kind: .notDeclared, locked: card),
      ])
    let view = PlanView(plan: try Samples.inSync(), warnings: ["a warning"], lock: report, naming: Samples.naming)
    try expectGolden(try rendered(view, as: .table, style: TextStyle()), "lock/plan.txt")
    try expectGolden(try rendered(view, as: .json, style: TextStyle()), "lock/plan.json")
    let same = PlanView(plan: try Samples.inSync(), lock: LockReport(path: "a", differences: []))
    #expect(!(try rendered(same, as: .table, style: TextStyle())).contains("Lock"))
    #expect(Set(report.differences.map(\.kind)) == Set(LockDifference.Kind.allCases))
  }
}
