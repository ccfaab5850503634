import Glibc
import Model

/// The visible effects of dom0's kernel: its device objects in sysfs, and its log.
final class HostEffects: KernelEffects {
  private let directory: SandboxDirectory
  private var sequence = 0
  private let began = ContinuousClock.now

  init(directory: SandboxDirectory) { self.directory = directory }

  func backEndObject(of domain: DomainID, isThere: Bool) {
    do {
      try SysfsTree(directory: directory).setBackEndObject(of: domain, isThere: isThere)
    } catch {
      Self.note("\(error)")
    }
  }

  /// Writes `/dev/kmsg`'s record: priority, sequence, microseconds, flags. A device's record has its dictionary below
  /// it.
  func kernelLog(priority: Int, _ text: String, device: PCIAddress?) {
    log(priority: priority, text, device: device, driver: ScenarioDevice.pciback)
  }

  /// Writes what a driver says of a device.
  func log(priority: Int, _ text: String, device: PCIAddress?, driver: String) {
    let (seconds, attoseconds) = (ContinuousClock.now - began).components
    let microseconds = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    var record = "\(priority),\(sequence),\(microseconds),-;"
    record += device.map { "\(driver) \($0): \(text)\n SUBSYSTEM=pci\n DEVICE=+pci:\($0)\n" } ?? "\(text)\n"
    sequence += 1
    do {
      try directory.append(directory.paths.kernelLog, record)
    } catch {
      Self.note("\(error)")
    }
  }

  /// Writes a line to the simulator's own log, which is its standard error.
  static func note(_ text: String) {
    let line: TerminalText = "\(text)\n"
    _ = unsafe Array(line.description.utf8).withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
