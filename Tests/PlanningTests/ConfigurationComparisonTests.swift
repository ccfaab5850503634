import Model
import Planning
import TestSupport
import Testing

/// A configuration of xl beside the domain of a manifest.
@Suite struct ConfigurationComparisonTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func file(_ devices: ConfiguredDevice..., change: (inout ConfiguredDomain) -> Void = { _ in })
    -> ConfiguredDomain
  {
    var file = ConfiguredDomain(name: "web", kind: .hvm, file: "web.cfg")
    file.devices = devices
    change(&file)
    return file
  }

  private func device(_ address: PCIAddress, _ options: DeviceOptions = DeviceOptions()) -> ConfiguredDevice {
    ConfiguredDevice(address: address, options: options, line: 7)
  }

  private func domain(_ devices: DesiredDevice..., uuid: DomainUUID? = nil) -> DesiredDomain {
    DesiredDomain(name: "web", uuid: uuid, devices: devices)
  }

  @Test func `a file that agrees`() {
    let options = DeviceOptions(permissive: true, virtualSlot: 5)
    let wanted = domain(DesiredDevice(address: one, options: options), DesiredDevice(address: two))
    // A slot that the file gives, and the manifest leaves open, is none of the manifest's business.
    let same = file(device(two, DeviceOptions(virtualSlot: 6)), device(one, options)) {
      $0.remarks = [.otherDevice("dtdev")]
    }
    #expect(wanted.differences(from: same, functions: nil).isEmpty)
  }

  @Test func `devices and options that differ`() {
    let wanted = domain(DesiredDevice(address: one, options: DeviceOptions(virtualSlot: 5)))
    #expect(wanted.differences(from: file(), functions: nil) == [.missing(one)])
    #expect(
      wanted.differences(from: file(device(one), device(two), device(one)), functions: nil)
        == [
          .options(one, line: 7, DeviceOptions(), DeviceOptions(virtualSlot: 5)), .extra(two, line: 7),
          .repeated(one, line: 7),
        ])
  }

  @Test func `a whole slot means the functions of the host, or what is declared of it`() {
    var slot = device(one)
    slot.takesAllFunctions = true
    slot.remarks = [.wholeSlot]
    let other = PCIAddress(sbdf: one.sbdf | 1)
    let both = domain(DesiredDevice(address: one), DesiredDevice(address: other))
    #expect(both.differences(from: file(slot), functions: nil).isEmpty)
    #expect(both.differences(from: file(slot), functions: [one, other, two]).isEmpty)
    #expect(both.differences(from: file(slot), functions: [one]) == [.missing(other)])
    let single = domain(DesiredDevice(address: one))
    #expect(single.differences(from: file(slot), functions: [one, other]) == [.extra(other, line: 7)])
    #expect(domain().differences(from: file(slot), functions: nil) == [.extra(one, line: 7)])
  }

  @Test func `the domain itself, and what no manifest has`() {
    let wanted = domain(uuid: Sample.uuid(1))
    let other = file { file in
      (file.name, file.uuid) = ("db", Sample.uuid(2))
      file.remarks = [.deviceName("x", line: 3), .domainPolicy("policy=strict")]
    }
    #expect(
      wanted.differences(from: other, functions: nil)
        == [
          .name("db"), .uuid(Sample.uuid(2)), .remark(nil, line: nil, .deviceName("x", line: 3)),
          .remark(nil, line: nil, .domainPolicy("policy=strict")),
        ])
    var seized = device(one)
    seized.remarks = [.seize]
    #expect(
      domain(DesiredDevice(address: one)).differences(from: file(seized), functions: nil)
        == [.remark(one, line: 7, .seize)])
    // A file without a UUID says nothing of it.
    #expect(wanted.differences(from: file(), functions: nil).isEmpty)
  }
}
