package import Model

/// What is known of the start of a host, for an examination.
package struct BootExamination: Sendable {
  package var facts: BootFacts
  /// The functions with their classes and drivers; nil if they could not be read.
  package var inventory: Inventory?
  /// The addresses that pciback claims whenever it is offered them; empty if that could not be read.
  package var slots: Set<PCIAddress> = []
  package init(facts: BootFacts, inventory: Inventory?) { (self.facts, self.inventory) = (facts, inventory) }
}

/// That the host has to be started again before what is configured holds.
package struct RebootRequired: Hashable, Sendable {
  /// The kernel's number of the start that is to be ended; nil if it is not known.
  package let bootID: String?
  package let reasons: [Ailment]

  /// Returns nil if no finding asks for a restart.
  package init?(_ examination: Examination, _ findings: [Finding]) {
    let restarting: Set<Ailment> = [.bootHideMissing, .bootHideExtra, .nativeDriverFirst]
    var reasons: [Ailment] = []
    for finding in findings where !finding.isNote {
      if case .ailment(let ailment) = finding.kind, restarting.contains(ailment), !reasons.contains(ailment) {
        reasons.append(ailment)
      }
    }
    guard !reasons.isEmpty else { return nil }
    self.reasons = reasons
    bootID = examination.boot?.facts.bootID
  }
}

/// Returns what is wrong with the devices that pciback is to take when the host starts.
func bootFindings(_ examination: Examination) -> [Finding] {
  guard let boot = examination.boot else { return [] }
  return BootFinder(boot: boot, examination: examination).findings()
}

private struct BootFinder {
  let boot: BootExamination
  let examination: Examination

  private var facts: BootFacts { boot.facts }
  private var functions: [PCIFunction] { boot.inventory?.functions ?? [] }

  /// How much of dom0's command line may be used before that is worth knowing.
  private static let longLine = 900

  func findings() -> [Finding] {
    var findings: [Finding] = []
    let configured =
      facts.moduleOptions.compactMap { list($0.hide, $0.path, &findings) }
      + facts.hiddenByCommandLine.compactMap { list($0, "dom0's command line", &findings) }
    let inForce = facts.hideParameter.flatMap { list($0, "the parameter `hide` of xen-pciback", &findings) }
    if let inForce { findings += differences(configured.flatMap(\.entries), inForce.entries) }
    findings += ageOfImage() + drivers(of: configured + [inForce].compactMap(\.self))
    findings += bridges(in: inForce)
    if let inForce { findings += hidden(by: inForce) }
    if let line = facts.commandLine, line.utf8.count > Self.longLine {
      let count = line.utf8.count
      findings.append(
        Finding(
          .commandLineNearLimit, "", "it has \(count) bytes of \(BootFacts.longestCommandLine)",
          isNote: count < BootFacts.longestCommandLine))
    }
    if facts.isPCIBackBuiltIn == true, let file = facts.moduleOptions.first {
      findings.append(Finding(.pcibackBuiltIn, file.path, "modules.builtin of \(facts.kernel ?? "the kernel") has it"))
    }
    return findings
  }

  /// Returns a list, or nil with a finding.
  private func list(_ text: String, _ place: String, _ findings: inout [Finding]) -> HideList? {
    do throws(HideList.Fault) { return try HideList(text) } catch {
      findings.append(Finding(.bootHideUnparsable, place, "the error is at \"\(error.rest)\""))
      return nil
    }
  }

  private func differences(_ configured: [HideList.Entry], _ inForce: [HideList.Entry]) -> [Finding] {
    let (wanted, found) = (Set(configured), Set(inForce))
    let missing = configured.filter { !found.contains($0) }
    let extra = inForce.filter { !wanted.contains($0) }
    return missing.map { Finding(.bootHideMissing, "\($0)", "pciback was started without it") }
      + extra.map {
        Finding(
          .bootHideExtra, "\($0)", "pciback was started with it, and no file names it", isNote: configured.isEmpty)
      }
  }

  private func ageOfImage() -> [Finding] {
    guard let image = facts.image, let newest = facts.moduleOptions.max(by: { $0.changedAt < $1.changedAt }),
      image.changedAt < newest.changedAt
    else { return [] }
    let age = newest.changedAt - image.changedAt
    return [Finding(.bootImageOlder, image.path, "\(newest.path) is \(age) s newer")]
  }

  /// Devices that are to be hidden, and that another driver has.
  private func drivers(of lists: [HideList]) -> [Finding] {
    functions.compactMap { function in
      guard let address = function.address, lists.contains(where: { $0.covers(address) }), let driver = function.driver,
        driver != "pciback"
      else { return nil }
      return Finding(.nativeDriverFirst, "\(address)", "its driver is \(driver)")
    }
  }

  /// Bridges that pciback claims, by its list or because somebody added them since.
  private func bridges(in list: HideList?) -> [Finding] {
    functions.compactMap { function in
      guard function.isBridge == true, let address = function.address,
        boot.slots.contains(address) || list?.covers(address) == true
      else { return nil }
      return Finding(.bridgeInSlots, "\(address)", "its class is that of a bridge")
    }
  }

  /// What pciback took when it was started.
  private func hidden(by list: HideList) -> [Finding] {
    var findings: [Finding] = []
    var observed: [PCIAddress: ObservedDevice] = [:]
    if case .success(let observation)? = examination.observation {
      for device in observation.devices { observed[device.address] = device }
    }
    var open: [String] = []
    for function in functions {
      guard let address = function.address, list.covers(address) else { continue }
      if function.driver == "pciback", observed[address]?.assignment == .free, observed[address]?.claim == nil {
        open.append("\(address)")
      }
    }
    if !open.isEmpty {
      findings.append(
        Finding(
          .hiddenUnquarantined, open.joined(separator: ", "), "taken at the start, and no domain has had it since",
          isNote: true))
    }
    return findings
  }
}

extension BootFacts {
  /// The values of `xen-pciback.hide` on dom0's command line, which modules read, too (kmod(8), modprobe(8)).
  fileprivate var hiddenByCommandLine: [String] {
    (commandLine ?? "").split(separator: " ").compactMap { word in
      ["xen-pciback.hide=", "xen_pciback.hide="].first { word.hasPrefix($0) }.map { String(word.dropFirst($0.count)) }
    }
  }
}
