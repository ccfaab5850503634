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
}
