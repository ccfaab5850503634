import Model
import Planning
import Ports
import XenProtocol

/// What qemu-traditional says in its `state` node (`qemu_pci_add_xenstore`, `qemu_pci_remove_xenstore`, libxl_pci.c,
/// Xen 4.17).
private enum CommandState: String {
  case running
  case inserted = "pci-inserted"
  case insertFailed = "pci-insert-failed"
  case removed = "pci-removed"
}

/// qemu-traditional, which is talked to through three nodes, with one command at a time.
///
/// What it said is on record, since nobody can ask it again.
struct CommandNodeGuestModel: GuestModel {
  let session: DomainSession
  let report: RunReport
  let records: DomainRecords
  let intents: IntentLog

  /// The directory of the three nodes.
  private var nodes: StorePath {
    StorePath.home(session.route.stubDomain?.id ?? .zero).child("device-model").child("\(session.key.id)")
  }

  /// Notes, before the bus lists them, that QEMU was never asked for these devices: it is not asked to take them away.
  func willList(_ devices: [PCIAddress]) throws(EngineError) { try records.note(.gone, of: devices) }

  /// Asks qemu-traditional to show devices, one after the other.
  func show(_ held: [ClaimedDevice]) throws(EngineError) -> DeviceModelAnswer {
    var shown = DeviceModelAnswer()
    for held in held {
      let device = held.step.device
      try readOwnAnswer()
      // A device that this run assigned is on the bus since: QEMU cannot have it from an earlier one.
      if !held.isAssignedHere, let known = try records.fate(of: device), known.fate == .shown {
        shown.places[device] = Self.place(of: known)
        continue
      }
      let options = held.step.options
      let place = options.virtualSlot.map { "@" + hex(UInt64($0) << 3, 2) } ?? ""
      switch try insert(device, place, options) {
      case .said(.inserted, let text):
        shown.places[device] = Self.place(of: EmulationRecord(device, in: session.busID, .shown, at: text))
      case .said: shown.refused[device] = "qemu-traditional refused \(device)\(place)"
      case .silent(let text):
        shown.open = text
        return shown
      }
    }
    return shown
  }

  /// Asks qemu-traditional to take devices from the guest. Returns those that are gone.
  func withdraw(_ steps: [Removal]) throws(EngineError) -> [Removal] {
    // The bus lists a device before QEMU has it, and for as long as QEMU has it. QEMU never answers for another.
    let listed = Set(try session.look().backEnd.entries.compactMap(\.device))
    var gone = steps.filter { !listed.contains($0.device) }
    let steps = steps.filter { listed.contains($0.device) }
    for (number, step) in steps.enumerated() {
      let device = step.device
      try readOwnAnswer()
      let known = try records.fate(of: device)?.fate
      // This holds only after a run that ended early: later, another toolstack may have given the device to the guest.
      if known == .gone, try intents.devicesOfEndedRuns().contains(device) {
        gone.append(step)
        continue
      }
      // Asked for in vain: the removal is answered if it has the device, or takes it now.
      if known == .asked { _ = try insert(device, "", step.options ?? DeviceOptions()) }
      switch try command("pci-rem", "\(device)", of: device, answers: [.removed]) {
      case .said: gone.append(step)
      case .silent(let text):
        report.conclude(Array(steps[number...]), .unknown, OutcomeDetail(.nextApplyContinues, text))
        return gone
      }
    }
    return gone
  }

  private func insert(_ device: PCIAddress, _ place: String, _ options: DeviceOptions) throws(EngineError) -> Reply {
    let before = try records.fate(of: device)
    try records.note(.asked, of: device)
    let parameter =
      "\(device)\(place),msitranslate=\(options.msiTranslate ? 1 : 0),power_mgmt=\(options.powerManagement ? 1 : 0)"
    return try command("pci-ins", parameter, of: device, before: before, answers: [.inserted, .insertFailed])
  }

  private enum Reply {
    /// The word, and what the parameter holds then.
    case said(CommandState, String?)
    case silent(OutcomeDetail)
  }

  /// Gives one command, waits for its answer, and acknowledges the answer.
  ///
  /// libxl has no lock for these nodes. The transaction that gives the command reads that no other command is under way.
  /// So one of two toolstacks that follow this rule waits.
  private func command(
    _ command: String, _ parameter: String, of device: PCIAddress, before: EmulationRecord? = nil,
    answers: [CommandState]
  ) throws(EngineError) -> Reply {
    let state = nodes.child("state")
    let deadline = session.answerDeadline()
    var hasAcknowledged = false
    while try !give(command, parameter) {
      let outcome = try waitForState(until: deadline) { $0 == CommandState.running.rawValue ? () : nil }
      if case .satisfied = outcome, ContinuousClock.now < deadline { continue }
      // Nobody reads an answer this long after it was given: whoever asked is gone. It may be the answer to this.
      // A stub domain that writes more than one such answer is not waited for.
      guard case .timedOut = outcome, !hasAcknowledged, let word = try answer() else {
        return .silent(OutcomeDetail(.traditionalNotReady, try said(state)))
      }
      hasAcknowledged = true
      guard word == .removed, answers.contains(word), try isParameter(device) else {
        try acknowledge(word)
        continue
      }
      try records.note(.gone, of: device)
      try acknowledge(word)
      return .said(word, nil)
    }
    let outcome = try waitForState(until: session.answerDeadline()) { text in
      text.flatMap(CommandState.init).flatMap { answers.contains($0) ? $0 : nil }
    }
    guard case .satisfied(let word) = outcome else {
      return .silent(OutcomeDetail(.traditionalSilent, command, try said(state)))
    }
    let text = try session.read(nodes.child("parameter"))
    // On disk before the answer goes: whoever finds neither knows that there was none.
    switch word {
    case .inserted: try records.note(.shown, of: device, at: text)
    case .removed: try records.note(.gone, of: device)
    // It also refuses what it has: a refusal adds nothing to what was known before.
    case .insertFailed, .running: try records.note(before?.fate, of: device)
    }
    try acknowledge(word)
    return .said(word, text)
  }

  /// Waits until `judge` is satisfied with what the state says. Throws if the domain goes meanwhile, or the stub domain
  /// that QEMU runs in: nobody will answer then.
  private func waitForState<Value>(
    until deadline: ContinuousClock.Instant, _ judge: (String?) -> Value?
  ) throws(EngineError) -> WaitOutcome<Value> {
    let state = nodes.child("state")
    let homes = Set([session.key.id, session.busID]).map { StorePath.home($0).child("vm") }
    return try session.wait(until: deadline, watching: [state] + homes) { () throws(EngineError) -> Value? in
      for home in homes { guard try session.read(home) != nil else { throw .domainGone } }
      return judge(try session.read(state))
    }
  }

  /// Writes a command if none is running. Returns false if one is.
  private func give(_ command: String, _ parameter: String) throws(EngineError) -> Bool {
    let nodes = nodes
    return try session.talk { (access) throws(HostError) in
      guard try access.read(nodes.child("state")) == CommandState.running.rawValue else { return .abort(false) }
      try access.write(nodes.child("parameter"), parameter)
      try access.write(nodes.child("command"), command)
      return .commit(true)
    }
  }

  private func isParameter(_ device: PCIAddress) throws(EngineError) -> Bool {
    try session.read(nodes.child("parameter")).map { $0.prefix { $0 != "," && $0 != "@" } == device.description }
      ?? false
  }

  /// Returns the answer that stands there; nil if there is none.
  private func answer() throws(EngineError) -> CommandState? {
    guard let word = try session.read(nodes.child("state")).flatMap(CommandState.init), word != .running else {
      return nil
    }
    return word
  }

  /// Reads the answer to what a run of Berth asked that has ended since: nobody else waits for it.
  private func readOwnAnswer() throws(EngineError) {
    guard let word = try answer() else { return }
    let devices = try intents.devicesOfEndedRuns().sorted()
    var asked: [PCIAddress] = []
    for device in devices where try records.fate(of: device)?.fate == .asked { asked.append(device) }
    for device in devices {
      switch word {
      case .removed where try isParameter(device): try records.note(.gone, of: device)
      case .insertFailed where try isParameter(device): break
      // Its parameter holds the place and not the device. It answers the one question that is open, if only one is.
      case .inserted where asked == [device]:
        try records.note(.shown, of: device, at: try session.read(nodes.child("parameter")))
      default: continue
      }
      return try acknowledge(word)
    }
  }

  private func acknowledge(_ word: CommandState) throws(EngineError) {
    let (state, text) = (nodes.child("state"), CommandState.running.rawValue)
    _ = try session.talk { (access) throws(HostError) in
      guard try access.read(state) == word.rawValue else { return .abort(false) }
      try access.write(state, text)
      return .commit(true)
    }
  }

  /// Returns what a node holds, bounded: a stub domain writes it.
  private func said(_ path: StorePath) throws(EngineError) -> String {
    try session.read(path).map { "\"\(String(decoding: $0.utf8.prefix(64), as: UTF8.self))\"" } ?? "absent"
  }

  private static func place(of known: EmulationRecord) -> EmulatedDevice {
    EmulatedDevice(name: DeviceModelName(known.device), slot: known.place >> 3, function: known.place & 7)
  }
}
