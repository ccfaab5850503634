import Model
import Planning
import Reconciling
import TestSupport
import Testing
import XenProtocol

/// What an HVM guest's device model is taken for.
struct DeviceModelVersionTests {
  @Test(arguments: [
    ("4.17.7", DeviceModelVersion.traditional), ("4.20.0", .traditional), ("4.21.0", .unknown), ("4.22.1", .unknown),
    ("unstable", .traditional),
  ])
  func `a guest without the version in xenstore has what its release takes it for`(
    _ version: String, _ expected: DeviceModelVersion
  ) throws {
    let model = ModelHost()
    let key = model.addHVMDomain(6, "gpu-vm")
    model.setXenVersion(version)
    let node = StorePath.toolstack(key.id).child("dm-version").text
    for (text, found) in [(nil, expected), ("qemu_xen", .upstream), ("other", .unknown)] {
      model.store[node] = text
      #expect(
        try Observer(host: model.host).observe(desired: nil).domains.map(\.deviceModel) == [found], "\(text ?? "-")")
    }
  }

  @Test(arguments: [
    "Could not open '/sys/bus/pci/devices/0000:00:00.0/config'", "Failed to find PCI device 0000:03:00.0",
    "Failed to read or parse vdev-0", "Failed to read device/pci/0/backend",
  ])
  func `QEMU of any version is asked again if the stub domain's kernel is not ready`(_ refusal: String) throws {
    let model = ModelHost()
    let key = model.addHVMDomain(6, "gpu-vm")
    let stub = model.addDomain(7, "gpu-vm-dm") { $0.hasIOMMU = false }
    model.setSaved(stub, nil)
    model.setStubDomain(stub, of: key)
    let device = PCIAddress(sbdf: 0x300)
    model.addDevice(device)
    model.setRefusals(6, [refusal])
    let desired = Sample.desired(["gpu-vm": [device]])
    let plan = makePlan(desired: desired, observation: try Observer(host: model.host).observe(desired: desired))
    var options = ApplyOptions(workers: 1)
    options.waitTimeout = .seconds(5)
    let outcome = ScheduleRunner(host: model.host, options: options) { _ in }.apply(plan)
    #expect(outcome.domains.flatMap(\.steps).map(\.result) == [.done])
    #expect(model.deviceModelCommands(6) == ["add pci-pt-03_00.0", "add pci-pt-03_00.0"])
  }
}
