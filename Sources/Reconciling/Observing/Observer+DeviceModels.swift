import Model
import Planning
import Ports
import XenProtocol

/// What QEMU shows to a guest.
private struct EmulatedBus: Sendable {
  var devices: [EmulatedDevice]
  var usedSlots: Set<UInt8>?
}

extension Observer {
  /// How long a look waits for one device model. Another toolstack may be talking to it.
  private static let deviceModelPatience = Duration.seconds(2)

  /// Asks the QEMU of each guest that has devices, or should get some, which devices it shows.
  ///
  /// All of them are asked at the same time: any number of silent ones cost the wait once.
  func askDeviceModels(of domains: inout [ObservedDomain], declared: Set<Name>) throws(HostError) {
    let asked = domains.indices.filter { index in
      let domain = domains[index]
      return domain.kind == .hvm && domain.deviceModel == .upstream
        && [.running, .cold, .paused].contains(domain.lifecycle)
        && (declared.contains(domain.name) || domain.mayBeEmulated)
    }
    let host = host
    let answers = concurrently(asked.map { domains[$0].key }, workers: 32) {
      key -> Result<EmulatedBus?, HostError> in
      do throws(HostError) { return .success(try Self.emulated(in: key, of: host)) } catch { return .failure(error) }
    }
    for (index, answer) in zip(asked, answers) {
      let bus = try answer.get()
      domains[index].emulated = bus?.devices
      domains[index].usedSlots = bus?.usedSlots
    }
  }

  /// Returns what QEMU shows to the guest; nil if it cannot be asked now. Then the devices are unknown, and the look
  /// continues.
  private static func emulated(in domain: DomainKey, of host: Host) throws(HostError) -> EmulatedBus? {
    do throws(HostError) {
      return try host.deviceModels.withDeviceModel(of: domain, until: .now + deviceModelPatience) {
        (qemu) throws(HostError) in
        EmulatedBus(devices: try qemu.devices(), usedSlots: qemu.usedSlots())
      }
    } catch {
      if case .deviceModel = error { return nil }
      throw error
    }
  }
}

extension ObservedDomain {
  /// Whether some store mentions present or former devices of the domain. Otherwise QEMU need not be asked.
  fileprivate var mayBeEmulated: Bool {
    if backEnd?.entries.isEmpty == false { return true }
    return !savedAddresses.isEmpty
  }
}
