import Model
package import Planning
package import Ports

/// Carries out the steps about drivers, one device after the other, and cards that are taken as a whole as one.
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
    return steps.grouped.flatMap { group -> [DriverOutcome] in
      if host.isInterrupted() { return group.map { DriverOutcome($0, .interrupted, OutcomeDetail(.stoppedBefore)) } }
      if let failure, group.contains(where: \.loadsPCIBack) { return group.map { DriverOutcome($0, .failed, failure) } }
      for step in group { report(.driverBegan(step)) }
      let outcomes = apply(group, taken: taken)
      for outcome in outcomes { report(.driverEnded(outcome)) }
      return outcomes
    }
  }

  /// Takes the locks of all records of the group, in order of address, and carries out its steps.
  private func apply(_ group: [DriverStep], taken: Set<FunctionName>) -> [DriverOutcome] {
    var works: [DriverWork] = []
    defer { for work in works { work.held.release() } }
    for step in group {
      do throws(DriverStop) {
        works.append(try DriverWork(holding: step.device, on: host, within: options.lockTimeout))
      } catch {
        return group.map { DriverOutcome($0, $0 == step ? error : .card(stoppedBy: step.device, error.detail)) }
      }
    }
    if group.first?.kind == .release {
      return zip(group, works).map { step, work in
        ReleaseWork(work: work, step: step, loadsModules: options.loadsModules).outcome()
      }
    }
    let members = zip(group, works).map { step, work in
      PrepareWork(work: work, step: step, taken: taken, set: options.set)
    }
    return CardWork(members: members, loadsModules: options.loadsModules).outcomes()
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

extension [DriverStep] {
  /// The steps in their order, with those of one card that is taken as a whole together.
  fileprivate var grouped: [[DriverStep]] {
    var groups: [[DriverStep]] = []
    for step in self {
      if let card = step.card, let index = groups.firstIndex(where: { $0[0].card == card }) {
        groups[index].append(step)
      } else {
        groups.append([step])
      }
    }
    return groups
  }
}

extension [DriverOutcome] {
  /// The cards that are taken as a whole and of which a function was not taken, each with the words that name the
  /// function.
  var stoppedCards: [PCIAddress: OutcomeDetail] {
    var cards: [PCIAddress: OutcomeDetail] = [:]
    for outcome in self where outcome.result != .done && outcome.result != .unchanged {
      guard let card = outcome.step.card, let detail = outcome.detail, !detail.sentences.contains(.cardStopped),
        cards[card] == nil
      else { continue }
      cards[card] = OutcomeDetail(.cardStopped, "\(outcome.step.device)", detail)
    }
    return cards
  }
}

extension DriverOutcome {
  /// The outcome of a step that was stopped.
  init(_ step: DriverStep, _ stop: DriverStop) {
    self.init(step, stop.result, stop.detail, obstacle: stop.obstacle, isUndone: stop.isUndone)
    isLockBusy = stop.isLockBusy
  }
}
