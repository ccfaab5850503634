import Model
package import Planning
package import Ports

/// Carries out the steps about drivers, one device after the other.
package struct DriverRun {
  /// The module that contains pciback (`obj-$(CONFIG_XEN_PCIDEV_BACKEND)`, Linux drivers/xen/xen-pciback/Makefile, 6.1).
  private static let pcibackModule = "xen-pciback"

  private let host: Host
  private let options: ApplyOptions
  private let report: @Sendable (RunEvent.Kind) -> Void

  package init(host: Host, options: ApplyOptions, report: @escaping @Sendable (RunEvent.Kind) -> Void = { _ in }) {
    (self.host, self.options, self.report) = (host, options, report)
  }

  /// Returns what became of each step. A step that follows the user's stop is not begun.
  package func apply(_ steps: [DriverStep]) -> [DriverOutcome] {
    let taken = Set(steps.filter { $0.kind == .prepare }.map { FunctionName($0.device) })
    var failure: OutcomeDetail?
    if steps.contains(where: \.loadsPCIBack) { failure = loadPCIBack() }
    return steps.map { step in
      if host.isInterrupted() { return DriverOutcome(step, .interrupted, OutcomeDetail(.stoppedBefore)) }
      if step.loadsPCIBack, let failure { return DriverOutcome(step, .failed, failure) }
      report(.driverBegan(step))
      let outcome = apply(step, taken: taken)
      report(.driverEnded(outcome))
      return outcome
    }
  }

  private func apply(_ step: DriverStep, taken: Set<FunctionName>) -> DriverOutcome {
    let work: DriverWork
    do throws(DriverStop) {
      work = try DriverWork(holding: step.device, on: host, within: options.lockTimeout)
    } catch { return DriverOutcome(step, error) }
    defer { work.held.release() }
    return switch step.kind {
    case .prepare: PrepareWork(work: work, step: step, taken: taken, set: options.set).outcome()
    case .release: ReleaseWork(work: work, step: step, loadsModules: options.loadsModules).outcome()
    }
  }

  /// Returns why pciback could not be loaded; nil if it is loaded.
  private func loadPCIBack() -> OutcomeDetail? {
    do throws(HostError) {
      if try host.tree.hasPCIBack() { return nil }
      try host.drivers.loadModule(Self.pcibackModule, until: .now + DriverWork.patience)
      guard try host.tree.hasPCIBack() else {
        return OutcomeDetail(.moduleMissing, DriverBinding.pciback, "the module is loaded, and sysfs shows no driver")
      }
      return nil
    } catch { return OutcomeDetail(.moduleMissing, DriverBinding.pciback, OutcomeDetail(error)) }
  }
}

extension DriverOutcome {
  /// The outcome of a step that was stopped.
  init(_ step: DriverStep, _ stop: DriverStop) {
    self.init(step, stop.result, stop.detail, obstacle: stop.obstacle, isUndone: stop.isUndone)
    isLockBusy = stop.isLockBusy
  }
}
