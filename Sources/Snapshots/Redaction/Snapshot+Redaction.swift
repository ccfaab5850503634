import Model

extension Snapshot {
  /// Returns the snapshot with substitutes for what names the host, its domains, its cards and its people.
  ///
  /// Equal originals have equal substitutes, and addresses of PCI stay: a manifest that names devices by address gets the
  /// same plan. Numbers with a form of their own are found in the whole file, wherever they stand.
  package func redacted() throws(SnapshotFault) -> Snapshot {
    let blocks = answers.usage.host?.blocks ?? []
    let numbers = NumberPatterns(in: try encoded(), keeping: Set(blocks.compactMap(\.partition?.type)))
    let names = Set(blocks.map(\.name))
    let collector = Redactor(nil, numbers: numbers, blocks: names)
    _ = replacingNames(collector)
    let redactor = Redactor(Substitutes(collector.originals), numbers: numbers, blocks: names)
    let named = replacingNames(redactor)
    var snapshot = try Snapshot(numbers.replacing(in: named.encoded()))
    snapshot.isRedacted = true
    return snapshot
  }

  private func replacingNames(_ redactor: Redactor) -> Snapshot {
    var snapshot = self
    snapshot.hostName = redactor.replace(hostName, .host)
    snapshot.sandbox = sandbox.map { redactor.path($0) }
    snapshot.answers = AnswerRedaction(redactor: redactor).redacted(answers)
    return snapshot
  }
}
