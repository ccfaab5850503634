import Model
import Planning
import Ports
import XenProtocol

/// What qemu-traditional says in its `state` node (`qemu_pci_add_xenstore`, `qemu_pci_remove_xenstore`, libxl_pci.c, Xen
/// 4.17).
private enum Word: String {
  case running
  case inserted = "pci-inserted"
  case insertFailed = "pci-insert-failed"
  case removed = "pci-removed"
}

extension DomainWorker {
  /// Where qemu-traditional is talked to: three nodes, for one command at a time.
  private var nodes: StorePath {
    StorePath.home(route.stubDomain?.id ?? .zero).child("device-model").child("\(key.id)")
  }

  /// Asks qemu-traditional to show devices, one after the other.
  func showByNodes(_ held: [Held]) throws(Stop) -> Shown {
    var shown = Shown()
    for held in held {
      let device = held.step.device
      try readOwnAnswer()
      // A device that this run assigned is on the bus since: QEMU cannot have it from an earlier one.
      if !held.isAssignedHere, let known = try fate(of: device), known.fate == .shown {
        shown.places[device] = Self.place(of: known)
        continue
      }
      let options = held.step.options
      let place = options.virtualSlot.map { "@" + hex(UInt64($0) << 3, 2) } ?? ""
      switch try insert(device, place, options) {
      case .said(.inserted, let text):
        shown.places[device] = Self.place(of: EmulationRecord(device, in: busID, .shown, at: text))
      case .said: shown.refused[device] = "qemu-traditional refused \(device)\(place)"
      case .silent(let text):
        shown.open = "\(text)"
        return shown
      }
    }
    return shown
  }

  /// Asks qemu-traditional to take devices from the guest; returns those that are gone.
  func withdrawByNodes(_ steps: [Removal]) throws(Stop) -> [Removal] {
    // A device is on the bus before QEMU has it, and for as long. One that QEMU does not have it never answers for.
    let listed = Set(try look().backEnd.entries.compactMap(\.device))
    var gone = steps.filter { !listed.contains($0.device) }
    let steps = steps.filter { listed.contains($0.device) }
    for (number, step) in steps.enumerated() {
      let device = step.device
      try readOwnAnswer()
      let known = try fate(of: device)?.fate
      // Only of a run that ended over it: since then another toolstack may have given it to the guest.
      if known == .gone, try devicesOfDeadRuns().contains(device) {
        gone.append(step)
        continue
      }
      // Asked for in vain: the removal is answered if it has the device, or takes it now.
      if known == .asked { _ = try insert(device, "", step.options ?? DeviceOptions()) }
      switch try command("pci-rem", "\(device)", of: device, answers: [.removed]) {
      case .said: gone.append(step)
      case .silent(let text):
        conclude(Array(steps[number...]), .unknown, "\(text); the next apply takes it up")
        return gone
      }
    }
    return gone
  }

  private func insert(_ device: PCIAddress, _ place: String, _ options: DeviceOptions) throws(Stop) -> Reply {
    let before = try fate(of: device)
    try note(.asked, of: device)
    let parameter =
      "\(device)\(place),msitranslate=\(options.msiTranslate ? 1 : 0),power_mgmt=\(options.powerManagement ? 1 : 0)"
    return try command("pci-ins", parameter, of: device, before: before, answers: [.inserted, .insertFailed])
  }

  private enum Reply {
    /// The word, and what the parameter holds then.
    case said(Word, String?)
    case silent(String)
  }

  /// Gives one command and waits for its answer, then says that the answer was read.
  ///
  /// libxl has no lock for these nodes. That nobody else's command is under way is read in the transaction that gives
  /// this one, so of two toolstacks that follow this rule one waits.
  private func command(
    _ command: String, _ parameter: String, of device: PCIAddress, before: EmulationRecord? = nil, answers: [Word]
  ) throws(Stop) -> Reply {
    let state = nodes.child("state")
    let deadline = ContinuousClock.now + options.waitTimeout
    while try !give(command, parameter) {
      let outcome = try waitForState(until: deadline) { $0 == Word.running.rawValue ? () : nil }
      if case .satisfied = outcome { continue }
      // Nobody reads an answer this long after it was given: whoever asked is gone. It may be the answer to this.
      guard case .timedOut = outcome, let word = try answer() else {
        return .silent("qemu-traditional is not ready: its state is \(try said(state))")
      }
      guard word == .removed, answers.contains(word), try isParameter(device) else {
        try acknowledge(word)
        continue
      }
      try note(.gone, of: device)
      try acknowledge(word)
      return .said(word, nil)
    }
    let outcome = try waitForState(until: ContinuousClock.now + options.waitTimeout) { text in
      text.flatMap(Word.init).flatMap { answers.contains($0) ? $0 : nil }
    }
    guard case .satisfied(let word) = outcome else {
      return .silent("qemu-traditional did not answer \(command) in time: its state is \(try said(state))")
    }
    let text = try read(nodes.child("parameter"))
    // On disk before the answer goes: whoever finds neither knows that there was none.
    switch word {
    case .inserted: try note(.shown, of: device, at: text)
    case .removed: try note(.gone, of: device)
    // It refuses what it has, too: a refusal tells nothing that was not known before.
    case .insertFailed, .running: try note(before?.fate, of: device)
    }
    try acknowledge(word)
    return .said(word, text)
  }

  /// Waits until `judge` is satisfied with what the state says; throws where the domain, or the stub domain that QEMU runs
  /// in, goes meanwhile: nobody will answer then.
  private func waitForState<Value>(
    until deadline: ContinuousClock.Instant, _ judge: (String?) -> Value?
  ) throws(Stop) -> WaitOutcome<Value> {
    let state = nodes.child("state")
    let homes = Set([key.id, busID]).map { StorePath.home($0).child("vm") }
    return try wait(until: deadline, watching: [state] + homes) { () throws(Stop) -> Value? in
      for home in homes { guard try self.read(home) != nil else { throw .gone } }
      return judge(try self.read(state))
    }
  }

  /// Writes a command where none is under way; false where one is.
  private func give(_ command: String, _ parameter: String) throws(Stop) -> Bool {
    let nodes = nodes
    return try change { (access) throws(HostError) in
      guard try access.read(nodes.child("state")) == Word.running.rawValue else { return .abort(false) }
      try access.write(nodes.child("parameter"), parameter)
      try access.write(nodes.child("command"), command)
      return .commit(true)
    }
  }

  private func isParameter(_ device: PCIAddress) throws(Stop) -> Bool {
    try read(nodes.child("parameter")).map { $0.prefix { $0 != "," && $0 != "@" } == device.description } ?? false
  }

  /// The answer that stands there; nil where there is none.
  private func answer() throws(Stop) -> Word? {
    guard let word = try read(nodes.child("state")).flatMap(Word.init), word != .running else { return nil }
    return word
  }

  /// Reads the answer to what a run of Berth asked that has ended since: nobody else waits for it.
  private func readOwnAnswer() throws(Stop) {
    guard let word = try answer() else { return }
    let devices = try devicesOfDeadRuns().sorted()
    var asked: [PCIAddress] = []
    for device in devices where try fate(of: device)?.fate == .asked { asked.append(device) }
    for device in devices {
      switch word {
      case .removed where try isParameter(device): try note(.gone, of: device)
      case .insertFailed where try isParameter(device): break
      // Its parameter tells the place and not the device: an answer to the one question that is open, if only one is.
      case .inserted where asked == [device]: try note(.shown, of: device, at: try read(nodes.child("parameter")))
      default: continue
      }
      return try acknowledge(word)
    }
  }

  private func acknowledge(_ word: Word) throws(Stop) {
    let (state, text) = (nodes.child("state"), Word.running.rawValue)
    _ = try change { (access) throws(HostError) in
      guard try access.read(state) == word.rawValue else { return .abort(false) }
      try access.write(state, text)
      return .commit(true)
    }
  }

  private func change(
    _ body: (borrowing any StoreAccess & ~Copyable) throws(HostError) -> StoreDecision<Bool>
  ) throws(Stop) -> Bool {
    do throws(HostError) { return try store.transaction(.unlocked, body) } catch { throw .failed(error) }
  }

  /// What a node holds, bounded: a stub domain writes it.
  private func said(_ path: StorePath) throws(Stop) -> String {
    try read(path).map { "\"\(String(decoding: $0.utf8.prefix(64), as: UTF8.self))\"" } ?? "absent"
  }

  private static func place(of known: EmulationRecord) -> EmulatedDevice {
    EmulatedDevice(name: DeviceModelName(known.device), slot: known.place >> 3, function: known.place & 7)
  }
}
