import Model
import Planning
import Reconciling
import TestSupport

/// Tests on a running PV guest, `net`, which is domain 5, and on three devices that it may get.
protocol ThreeDevices {}

extension ThreeDevices {
  var one: PCIAddress { Sample.address(1) }
  var two: PCIAddress { Sample.address(2) }
  var three: PCIAddress { Sample.address(3) }

  func makeHost() -> (ModelHost, DomainKey) {
    let model = ModelHost()
    let key = model.addDomain(5, "net")
    for device in [one, two, three] { model.addDevice(device, interrupt: 17) }
    return (model, key)
  }

  /// Carries out a plan, and waits for the guest for a moment only.
  func execute(_ plan: Plan, on model: ModelHost) -> ApplyOutcome {
    ScheduleRunner(host: model.host, options: ApplyOptions(waitTimeout: .milliseconds(20), workers: 1)) { _ in }.apply(
      plan)
  }
}
