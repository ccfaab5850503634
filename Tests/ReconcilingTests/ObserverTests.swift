import Model
import Planning
import Ports
import Reconciling
import Synchronization
import TestSupport
import Testing
import XenProtocol

/// The order of an observer's questions to a host.
struct ObserverTests {
  /// Device models that answer only when a given number of them is asked at the same time.
  private struct Together: DeviceModelPort {
    let real: any DeviceModelPort
    let number: Int
    let asked = Counter()

    final class Counter: Sendable { let count = Mutex(0) }

    func withDeviceModel<Result>(
      of domain: DomainKey, until deadline: ContinuousClock.Instant,
      _ body: (borrowing any DeviceModelConversation & ~Copyable) throws(HostError) -> Result
    ) throws(HostError) -> Result {
      asked.count.withLock { $0 += 1 }
      while asked.count.withLock({ $0 }) < number {
        guard .now < deadline else {
          throw .deviceModel(DeviceModelError(.timedOut, operation: "query-pci", detail: "asked alone"))
        }
      }
      return try real.withDeviceModel(of: domain, until: deadline, body)
    }
  }

  @Test func `one silent QEMU does not delay the others`() throws {
    let model = ModelHost()
    for number: UInt32 in 1...3 { model.addHVMDomain(number, "guest\(number)") }
    var host = model.host
    host.deviceModels = Together(real: host.deviceModels, number: 3)
    let desired = Sample.desired(["guest1": [], "guest2": [], "guest3": []])
    let observation = try Observer(host: host).observe(desired: desired)
    #expect(observation.domains.allSatisfy { $0.emulated != nil })
  }
}
