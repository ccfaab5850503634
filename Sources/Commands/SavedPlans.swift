import Manifest
import Model
import Planning
import Ports
import Reconciling
import Rendering

extension SavedPlan.Options {
  /// Returns the desired state with these options in place of its own policy.
  func applied(to desired: DesiredState) -> DesiredState {
    var desired = desired
    desired.policy.overrides.merge(overrides) { _, given in given }
    if let prune { desired.policy.prune = prune }
    desired.policy.loadsModules = loadsModules
    if allowsRemovals {
      desired.policy.maxRemovals = nil
      desired.completeness = .stated
    }
    return desired
  }
}

/// What a person agreed to before an apply.
enum Agreed {
  case plan(SavedPlan)
  /// Only the fingerprint is known.
  case fingerprint(String)

  /// The changes that are known; nil if only their fingerprint is.
  var consent: PlanConsent? { if case .plan(let saved) = self { saved.consent } else { nil } }
}

extension BerthCommand {
  /// Writes a plan into a file, as a whole or not at all. A plan that is refused is not saved: nobody can apply it.
  func save(
    _ prepared: PreparedPlan, _ consent: PlanConsent, _ policy: PolicyOptions, to path: String,
    in context: CommandContext
  ) throws(Failure) {
    let style = global.errorStyle(in: context)
    guard prepared.plan.refusal == nil else {
      context.standardError("\(style.printable("nothing was saved: the plan is refused"))\n")
      return
    }
    let saved = SavedPlan(
      consent: consent, options: policy.saved(in: context),
      manifests: prepared.texts.map {
        SavedPlan.Manifest(name: $0.name, text: String(decoding: $0.bytes, as: UTF8.self))
      },
      version: berthVersion, madeAt: context.wallClock())
    let bytes: [UInt8]
    do { bytes = try saved.encoded() } catch { throw Failure(.failed, "the plan cannot be written: \(error)") }
    try asking(context) { () throws(HostError) in try context.replaceFile(path, bytes) }
    let count = Words.count(consent.changes.count, "change")
    context.standardError(
      "\(style.printable("saved in \(path): \(count), fingerprint \(consent.fingerprint)"))\n")
  }

  /// Throws unless the path is free, or leads to a plan that was saved before. Anything else would be lost, even a device.
  func checkPlace(_ path: String) throws(Failure) {
    guard path != "-", !path.isEmpty else {
      throw Failure(.usage, "a plan can be saved only in a file", hint: "name a file after --out")
    }
    guard exists(path) else { return }
    let content: PathContent?
    do throws(FileFault) { content = isLink(path) ? nil : try readPlainFile(path, limit: SavedPlan.mostBytes) } catch {
      content = nil
    }
    guard case .file(let bytes)? = content, bytes.isEmpty || SavedPlan.isOne(bytes) else {
      throw Failure(.usage, "\(path) is there already, and is no saved plan", hint: "name another file after --out")
    }
  }

  /// Returns the saved plan that the only path leads to; nil if the paths are those of manifests.
  func savedPlan(at paths: [String]) throws(Failure) -> SavedPlan? {
    guard let path = paths.first, path != "-" else { return nil }
    let content: PathContent?
    do throws(FileFault) { content = try readPlainFile(path, limit: SavedPlan.mostBytes) } catch {
      // The reader of manifests says what is wrong with the path.
      return nil
    }
    guard case .file(let bytes)? = content, SavedPlan.isOne(bytes) || SavedPlan.isPartOfOne(bytes) else { return nil }
    guard paths.count == 1 else { throw Failure(.usage, "\(path) is a saved plan, which is applied alone") }
    // Whoever can replace a link can have another plan applied.
    guard !isLink(path) else {
      throw Failure(.noManifest, "\(path) is a link; a saved plan must be a file itself", hint: "name the file")
    }
    do throws(SavedPlanFault) { return try SavedPlan(decoding: bytes) } catch {
      throw Failure(
        .invalidManifest, "\(path) is no saved plan that can be applied: \(error.words); nothing was touched",
        hint: "save it again with `berth plan --out`")
    }
  }

  /// Observes the host, and plans for what a saved plan declares.
  func prepare(_ saved: SavedPlan, in context: CommandContext) throws(Failure) -> PreparedPlan {
    let name = try hostName(in: context)
    guard saved.consent.host == name else {
      // A program that asks for documents gets one, as for every other difference.
      if global.output != .table {
        try show(
          StalePlanView(
            host: name, agreed: saved.consent.fingerprint, found: nil,
            differences: [.host(saved: saved.consent.host, now: name)]), in: context)
      }
      throw Failure(
        .stalePlan, "the saved plan is for host \(saved.consent.host), and this host is \(name); nothing was touched")
    }
    let texts = saved.manifests.map { ManifestText(name: $0.name, bytes: Array($0.text.utf8)) }
    let read = try readManifests { () throws(ManifestFailure) in try loadManifests(texts: texts, hostName: name) }
    switch read {
    case .valid(let loaded):
      return try prepare(
        loaded, saved.options.applied(to: loaded.desired), requiresRunning: saved.options.requiresRunning, in: context)
    case .invalid(let diagnostics):
      report(diagnostics, in: context)
      throw Failure(.invalidManifest, "the saved plan has an invalid manifest; nothing was touched")
    }
  }

  /// Returns in what a fresh plan is not the one that was agreed to; nil if it is.
  func staleness(of prepared: PreparedPlan, _ agreed: Agreed) -> StalePlanView? {
    let fresh = prepared.consent
    let found = fresh.fingerprint
    switch agreed {
    case .fingerprint(let wanted):
      guard wanted != found else { return nil }
      return StalePlanView(host: fresh.host, agreed: wanted, found: found, differences: [])
    case .plan(let saved):
      let differences = saved.consent.differences(in: fresh)
      guard !differences.isEmpty else { return nil }
      return StalePlanView(
        host: fresh.host, agreed: saved.consent.fingerprint, found: found, differences: differences)
    }
  }
}
