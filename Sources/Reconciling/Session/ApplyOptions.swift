import Model

/// How an apply goes about its work.
package struct ApplyOptions: Sendable {
  /// How long one taking of the userdata lock may last.
  package var lockTimeout: Duration
  /// How long a guest may take to answer one round.
  package var waitTimeout: Duration
  /// Whether to look again after another toolstack's longest wait even if none was seen at work.
  package var audits: Bool
  /// The set of manifests for which devices are recorded.
  package var set = DesiredState.defaultSet
  /// Whether modules of the kernel may be loaded.
  package var loadsModules = true
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
