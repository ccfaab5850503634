package import Model
package import Ports
import XenProtocol

/// Everything that could be learnt of a host, part by part: what fails for one part leaves the others as they are.
package struct Examination: Sendable {
  /// What is asked of the pciback driver.
  package struct PCIBack: Hashable, Sendable {
    package var isLoaded: Bool
    package var deviceCount: Int
    /// Whether the module's parameter makes every device permissive.
    package var isPermissiveForAll: Bool
    package init(isLoaded: Bool, deviceCount: Int, isPermissiveForAll: Bool = false) {
      self.isLoaded = isLoaded
      self.deviceCount = deviceCount
      self.isPermissiveForAll = isPermissiveForAll
    }
  }
  /// What one end of a bus complained of.
  package struct ErrorNode: Hashable, Sendable {
    package var domain: DomainID
    /// Written by pcifront in the guest; otherwise by pciback.
    package var isFrontEnd: Bool
    package var text: String
    package init(domain: DomainID, isFrontEnd: Bool, text: String) {
      self.domain = domain
      self.isFrontEnd = isFrontEnd
      self.text = text
    }
  }

  package var hostName: String
  /// Seconds since 1970.
  package var takenAt: Int64
  package var hypervisor: Result<HypervisorFacts, HostError>
  package var store: Result<[ErrorNode], HostError>
  package var pciback: Result<PCIBack, HostError>
  /// The number of Berth's records.
  package var records: Result<Int, HostError>
  package var intents: Result<[Intent], HostError>
  package var locks: Result<[UserdataLock], HostError>
  /// Berth's own files that cannot be used.
  package var damaged: [DamagedFile] = []
  /// How the host started; nil if nobody asked.
  package var boot: BootExamination?
  /// Nil if a place that it needs could not be reached.
  package var observation: Result<Observation, HostError>?

  package init(
    hostName: String, takenAt: Int64, hypervisor: Result<HypervisorFacts, HostError>,
    store: Result<[ErrorNode], HostError>, pciback: Result<PCIBack, HostError>, records: Result<Int, HostError>,
    intents: Result<[Intent], HostError>, locks: Result<[UserdataLock], HostError>,
    observation: Result<Observation, HostError>?
  ) {
    self.hostName = hostName
    self.takenAt = takenAt
    self.hypervisor = hypervisor
    self.store = store
    self.pciback = pciback
    self.records = records
    self.intents = intents
    self.locks = locks
    self.observation = observation
  }
}

/// What may be wrong with a host, drift aside. The raw values are stable: scripts may depend on them.
package enum Ailment: String, Hashable, Sendable, CaseIterable {
  case xenUnreachable = "xen-unreachable"
  case storeUnreachable = "xenstore-unreachable"
  case sysfsUnreadable = "sysfs-unreadable"
  case recordUnreadable = "record-unreadable"
  case intentUnreadable = "intent-unreadable"
  case locksUnreadable = "locks-unreadable"
  case lookFailed = "look-failed"
  case noIOMMU = "no-iommu"
  case pcibackMissing = "pciback-missing"
  case pcibackPermissive = "pciback-permissive"
  case xenAdvisory = "xen-advisory"
  case xenNewer = "xen-newer-than-known"
  case runLockUnreadable = "run-lock-unreadable"
  case preparationUnreadable = "device-record-unreadable"
  case driverChangeUnfinished = "driver-change-unfinished"
  case lockHeld = "lock-held"
  case lockHeldByStranger = "lock-held-by-other-user"
  case lockLeftOver = "lock-left-over"
  case backEndError = "back-end-error"
  case frontEndError = "front-end-error"
  case bootHideMissing = "boot-hide-missing"
  case bootHideExtra = "boot-hide-extra"
  case bootHideUnparsable = "boot-hide-unparsable"
  case bootImageOlder = "boot-image-older"
  case nativeDriverFirst = "native-driver-first"
  case hiddenUnquarantined = "hidden-unquarantined"
  case commandLineNearLimit = "cmdline-near-limit"
  case bridgeInSlots = "bridge-in-slots"
  case pcibackBuiltIn = "pciback-builtin"
}

/// One thing that was found.
package struct Finding: Sendable {
  package enum Kind: Sendable {
    case ailment(Ailment)
    case drift(Drift)
  }
  package var kind: Kind
  /// The place, device or domain it is about; empty for the host.
  package var subject: String
  package var evidence: String
  /// What a port said; its words are the evidence then.
  package var error: HostError?
  /// Worth knowing, and nothing to be done about it.
  package var isNote: Bool

  init(
    _ ailment: Ailment, _ subject: String = "", _ evidence: String = "", error: HostError? = nil, isNote: Bool = false
  ) {
    kind = .ailment(ailment)
    self.subject = subject
    self.evidence = evidence
    self.error = error
    self.isNote = isNote
  }

  init(_ drift: Drift) {
    kind = .drift(drift)
    subject = drift.device?.description ?? ""
    evidence = drift.evidence
    isNote = false
  }
}

/// What is wrong with a host, the places that could not be asked first.
///
/// Pure and total. Nothing is taken for declared, so the result includes what a manifest would repair.
package func diagnose(_ examination: Examination) -> [Finding] {
  var findings: [Finding] = []
  func note<Value>(_ result: Result<Value, HostError>?, _ ailment: Ailment) {
    if case .failure(let error)? = result { findings.append(Finding(ailment, error: error)) }
  }
  note(examination.hypervisor, .xenUnreachable)
  note(examination.store, .storeUnreachable)
  note(examination.pciback, .sysfsUnreadable)
  note(examination.records, .recordUnreadable)
  note(examination.intents, .intentUnreadable)
  note(examination.locks, .locksUnreadable)
  findings += examination.damaged.map { Finding($0.ailment, $0.path, $0.warning) }
  note(examination.observation, .lookFailed)
  if case .success(let hypervisor) = examination.hypervisor {
    if !hypervisor.hasIOMMU { findings.append(Finding(.noIOMMU, "", "Xen \(hypervisor.version) uses no IOMMU")) }
    if let release = XenVersion(hypervisor.version)?.release, release > .newestKnown {
      findings.append(
        Finding(
          .xenNewer, "", "Xen \(hypervisor.version); the newest release that Berth knows is \(XenRelease.newestKnown)",
          isNote: true))
    }
    findings += XenAdvisory.known.filter { $0.affects(hypervisor.version) }.map { advisory in
      Finding(
        .xenAdvisory, advisory.name,
        "Xen \(hypervisor.version): \(advisory.text); corrected in \(advisory.correctedText)")
    }
  }
  if case .success(let pciback) = examination.pciback, !pciback.isLoaded {
    findings.append(Finding(.pcibackMissing, "", "the driver is not in sysfs"))
  }
  if case .success(let pciback) = examination.pciback, pciback.isPermissiveForAll {
    findings.append(Finding(.pcibackPermissive, "", "xen-pciback's parameter `permissive` is Y"))
  }
  findings += bootFindings(examination)
  findings += lockFindings(examination)
  findings += errorFindings(examination)
  if case .success(let observation)? = examination.observation {
    let undeclared = DesiredState(policy: Policy(prune: .never))
    let index = ObservationIndex(observation)
    let matrix = makeDriftMatrix(desired: nil, index: index, plan: makePlan(desired: undeclared, index: index))
    findings += matrix.findings.map { Finding($0) }
    findings += observation.preparations.filter { $0.phase != .prepared }.map(Finding.init)
  }
  return findings
}

extension Finding {
  /// Says that a run ended while it changed a device's driver.
  fileprivate init(_ record: PreparationRecord) {
    let driver = record.driver ?? "no driver"
    self.init(
      .driverChangeUnfinished, "\(record.device)",
      record.phase == .releasing
        ? "its record says that it is being returned to \(driver)"
        : "its record says that it is being taken from \(driver)")
  }
}

extension DamagedFile {
  fileprivate var ailment: Ailment {
    switch kind {
    case .record: .recordUnreadable
    case .intent: .intentUnreadable
    case .runLock: .runLockUnreadable
    case .preparation: .preparationUnreadable
    }
  }
}

/// A lock that is held for longer than any toolstack needs is a problem; one that is held now, or left, is not.
private func lockFindings(_ examination: Examination) -> [Finding] {
  guard case .success(let locks) = examination.locks else { return [] }
  return locks.map { lock in
    let age = max(0, seconds(from: lock.since, to: examination.takenAt))
    guard lock.isHeld else {
      return Finding(.lockLeftOver, lock.path, "nobody holds it; it is \(age) s old", isNote: true)
    }
    let holder = lock.holder?.description ?? "a process that cannot be identified"
    let isStranger = lock.holder?.stranger != nil
    return Finding(
      isStranger ? .lockHeldByStranger : .lockHeld, lock.path, "held by \(holder) for \(age) s",
      isNote: age < 30 && !isStranger)
  }
}

/// The nodes outlive the errors that they report. The state of the bus shows whether an error is over.
private func errorFindings(_ examination: Examination) -> [Finding] {
  guard case .success(let nodes) = examination.store else { return [] }
  var domains: [DomainID: ObservedDomain] = [:]
  if case .success(let observation)? = examination.observation {
    for domain in observation.domains { domains[domain.id] = domain }
  }
  return nodes.map { node in
    let domain = domains[node.domain]
    let isOver = domain?.backEnd.map { [.connected, .holding].contains($0.condition) } ?? true
    // Linux's pcifront writes it at every orderly close (`free_pdev`, drivers/pci/xen-pcifront.c).
    let isUsual = node.isFrontEnd && node.text.hasPrefix("22 freeing event channel")
    return Finding(
      node.isFrontEnd ? .frontEndError : .backEndError,
      domain.flatMap { $0.name.isEmpty ? nil : "\($0.name) (domain \(node.domain))" } ?? "domain \(node.domain)",
      "\"\(node.text)\"" + (isOver ? "; the bus is at rest, so the error is over" : ""), isNote: isOver || isUsual)
  }
}
