import Model
import Planning
import TestSupport
import Testing

/// What devices meant when a lock was written, and what they mean now.
@Suite struct LockComparisonTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)
  private let serial = "a0-36-9f-ff-ff-00-00-01"

  private func function(_ address: PCIAddress, _ change: (inout PCIFunction) -> Void = { _ in }) -> PCIFunction {
    var function = PCIFunction(name: FunctionName(address))
    function.id = DeviceID("8086:1533")
    function.serial = serial
    change(&function)
    return function
  }

  private func inventory(_ functions: PCIFunction...) -> Inventory {
    Inventory(functions: functions, facts: DesiredState.lockedFacts)
  }

  /// A domain that has the card with the serial number, and the card at the first address.
  private func desired(_ selections: DeviceSelection..., devices: [DesiredDevice] = []) -> DesiredState {
    DesiredState(domains: [DesiredDomain(name: "web", devices: devices, selections: selections)])
  }

  private var bySerial: DeviceSelection {
    var selector = DeviceSelector()
    selector.serial = serial
    return DeviceSelection(selector: selector, label: "lan0")
  }

  private func lock(_ desired: DesiredState, _ inventory: Inventory) -> DeviceLock {
    desired.locked(on: "host", in: inventory).lock
  }

  @Test func `a lock has what each device is, and differs from nothing at once`() {
    let state = desired(bySerial, devices: [DesiredDevice(address: two, id: DeviceID("8086:1533"))])
    let found = inventory(function(one), function(two) { $0.serial = nil })
    let lock = lock(state, found)
    #expect(lock.devices.map(\.label) == ["\(two)", "lan0"])
    #expect(lock.devices.map(\.selector) == ["address \(two), id 8086:1533", "serial \(serial)"])
    #expect(lock.devices[1].functions == [LockedFunction(address: one, id: DeviceID("8086:1533"), serial: serial)])
    #expect(state.differences(from: lock, in: found).isEmpty)
  }

  @Test func `a card that moved, a card that was replaced, and another card`() {
    let state = desired(bySerial)
    let locked = lock(state, inventory(function(one)))
    let moved = state.differences(from: locked, in: inventory(function(two)))
    #expect(moved.map(\.kind) == [.moved])
    #expect(moved.first?.locked.map(\.address) == [one] && moved.first?.found.map(\.address) == [two])
    // The address alone says where the device is, and not which one it is.
    let plain = desired(devices: [DesiredDevice(address: one, label: "lan1")])
    let before = lock(plain, inventory(function(one)))
    let replaced = plain.differences(
      from: before, in: inventory(function(one) { $0.serial = "a0-36-9f-ff-ff-00-00-02" }))
    #expect(replaced.map(\.kind) == [.replaced])
    let changed = desired(bySerial).differences(
      from: locked, in: inventory(function(two) { $0.id = DeviceID("8086:10d3") }))
    #expect(changed.map(\.kind) == [.otherDevice])
  }

  @Test func `what could not be read, now or then, is no difference`() {
    let plain = desired(devices: [DesiredDevice(address: one, label: "lan1")])
    let known = lock(plain, inventory(function(one)))
    let unread = ReadFailure(place: "config", .silent)
    let now = inventory(function(one) { ($0.serial, $0.unread) = (nil, [.serial: unread]) })
    #expect(plain.differences(from: known, in: now).isEmpty)
    let then = lock(plain, inventory(function(one) { $0.serial = nil }))
    #expect(plain.differences(from: then, in: inventory(function(one))).isEmpty)
    // A number that is gone, though it could be read, is another card's.
    #expect(plain.differences(from: known, in: inventory(function(one) { $0.serial = nil })).map(\.kind) == [.replaced])
  }

  @Test func `a device that is not found, and functions that came or went`() {
    let state = desired(bySerial)
    let locked = lock(state, inventory(function(one)))
    #expect(
      state.differences(from: locked, in: inventory(function(two) { $0.serial = nil })).map(\.kind) == [.notFound])
    var all = bySerial
    all.selector.takesAllFunctions = true
    let card = PCIAddress(sbdf: one.sbdf | 1)
    let whole = lock(desired(all), inventory(function(one), function(card)))
    #expect(whole.devices[0].functions.map(\.address) == [one, card])
    #expect(desired(all).differences(from: whole, in: inventory(function(one))).map(\.kind) == [.otherDevice])
    // Without any function, sysfs was not there.
    #expect(state.differences(from: locked, in: inventory()).map(\.kind) == [.notFound])
  }

  @Test func `a changed declaration is reported as a change of the manifest`() {
    let locked = lock(desired(bySerial), inventory(function(one)))
    var other = bySerial
    other.selector.id = DeviceID("8086:1533")
    #expect(desired(other).differences(from: locked, in: inventory(function(two))).map(\.kind) == [.selectorChanged])
    #expect(desired(other).differences(fromDeclarationsOf: locked).map(\.kind) == [.selectorChanged])
    var renamed = bySerial
    renamed.label = "lan9"
    #expect(
      desired(renamed).differences(from: locked, in: inventory(function(one))).map(\.kind) == [
        .notDeclared, .notLocked,
      ])
  }

  @Test func `a device that is not found is no part of a lock`() {
    let (lock, open) = desired(bySerial).locked(on: "host", in: inventory(function(one), function(two)))
    #expect(lock.devices.isEmpty && open.map(\.obstacle) == [.selectorAmbiguous])
  }
}
