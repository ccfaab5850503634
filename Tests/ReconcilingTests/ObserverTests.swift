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

  @Test(
    arguments: [
      ("on_crash", "preserve", "on_crash"), ("on_crash", "PRESERVE", "on_crash"), ("on_crash", "restart", nil),
      ("on_poweroff", "preserve", nil), ("pcidevs", "preserve", nil),
    ] as [(String, String, String?)])
  func `a crashed domain is kept if its configuration says so`(_ key: String, _ action: String, _ event: String?) throws
  {
    let model = ModelHost()
    let domain = model.addDomain(5, "net") { $0.isShutDown = true }
    model.setSaved(domain, Array("{\"\(key)\": \(key == "pcidevs" ? "[]" : "\"\(action)\"")}\n".utf8) + [0])
    let observed = try #require(try Observer(host: model.host).observe(desired: nil).domains.first)
    #expect(observed.lifecycle == .shutdown && observed.kept?.event == event)
  }

  @Test func `a domain without a file of libxl's has no saved configuration`() throws {
    let model = ModelHost()
    let domain = model.addDomain(5, "net")
    model.setSaved(domain, nil)
    let observed = try #require(try Observer(host: model.host).observe(desired: nil).domains.first)
    #expect(observed.saved == .absent && observed.savedAddresses.isEmpty)
  }
}
