package import Model
package import Planning
import XenProtocol

/// The state of a host, for people and for programs.
package struct StatusView: View {
  package var status: HostStatus
  package var warnings: [String]
  private let naming: DeviceNaming

  package init(
    status: HostStatus, warnings: [String] = [], naming: @escaping DeviceNaming = { _ in nil }
  ) {
    self.status = status
    self.warnings = warnings
    self.naming = naming
  }

  package var document: StatusDocument { StatusDocument(status, warnings: warnings, naming: naming) }

  package func text(_ style: TextStyle) -> TerminalText {
    var columns = Columns(style: style)
    for domain in status.domains { write(domain, to: &columns, style: style) }
    if !status.free.isEmpty {
      columns.heading("In no domain")
      for device in status.free {
        columns.row(
          .none, device.address.description, Words.device(device.facts?.id, label: nil, naming: naming),
          Self.words(forFree: device))
      }
    }
    let anomalies = writeAnomalies(to: &columns)
    let header = Words.host(status.host, domains: status.domainCount, devices: status.deviceCount)
    let list: TerminalText = columns.isEmpty ? "" : "\(columns.rendered())\n"
    return "\(style.printable(header))\n\n\(list)\(style.printable(summary(anomalies: anomalies)))\n"
  }

  private func write(_ domain: DomainStatus, to columns: inout Columns, style: TextStyle) {
    var text = Words.domain(
      id: domain.observed?.id, kind: domain.observed?.kind, lifecycle: domain.observed?.lifecycle,
      stubDomain: domain.observed?.stubDomain, stubDomainOf: domain.observed?.stubDomainOf)
    if let bus = domain.bus, !bus.isAbsent { text += ", bus \(Self.bus(bus, style))" }
    columns.heading(Words.holder(Holder(id: domain.observed?.id, name: domain.name)), text)
    columns.row(forRun: domain.run)
    for device in domain.devices {
      columns.row(
        Self.mark(device), device.address.description, Words.device(device.id, label: device.label, naming: naming),
        Self.words(for: device, in: domain.observed, style))
    }
    columns.rows(forUnresolved: domain.unresolved)
    for line in domain.observed?.otherSavedLines ?? [] {
      columns.row(.none, "saved", "", "\(line.text), left alone: \(Self.words(for: line.oddity))")
    }
  }

  private static func mark(_ device: DeviceStatus) -> Mark {
    switch device.attachment {
    case .attached, .exported: .same
    case .entered, .held, .removing, .absent: .wait
    case .saved: .differ
    case .unclear: .unsure
    }
  }

  /// `connected`, with the two states behind it on demand.
  private static func bus(_ backEnd: BackEnd, _ style: TextStyle) -> String {
    let word: String
    if !backEnd.hasFrontEndDriver, backEnd.condition == .holding {
      return style.isVerbose ? "held (back end \(backEnd.state))" : "held"
    }
    switch (backEnd.state.state, backEnd.frontEndState.state) {
    case (.connected, .connected): word = "connected"
    case (.reconfiguring, _), (.reconfigured, _): word = "reconfiguring"
    case (.closing, _), (.closed, _): word = "closing"
    case (.initialising, _), (.initWait, _), (.initialised, _): word = "waiting for the guest"
    default: word = "unclear"
    }
    guard style.isVerbose || word == "unclear" else { return word }
    return "\(word) (back end \(backEnd.state), front end \(backEnd.frontEndState))"
  }

  private static func words(for device: DeviceStatus, in domain: ObservedDomain?, _ style: TextStyle) -> String {
    var parts: [String] = []
    switch device.attachment {
    case .attached: parts.append("attached")
    case .exported:
      parts.append(
        domain?.kind == .hvm ? "held for the guest, QEMU was not asked" : "exported, the guest has not connected")
    case .held: parts.append("held for the guest, QEMU does not show it")
    case .entered: parts.append("waiting to be exported")
    case .removing: parts.append("being removed")
    case .saved: parts.append("saved, not attached")
    case .absent: parts.append("not attached")
    case .unclear: parts.append("state unclear")
    }
    if let address = device.virtualAddress { parts.append("the guest sees \(address)") }
    let owner = device.set.flatMap { $0 == DesiredState.defaultSet ? nil : "Berth's in set \($0)" } ?? "Berth's"
    switch (device.isDeclared, device.isOwned) {
    case (true, true): parts.append("declared, \(owner)")
    case (true, false): parts.append("declared")
    case (false, true): parts.append(owner)
    case (false, false): parts.append("foreign")
    }
    if let label = device.perhaps { parts.append("perhaps the declared \(label)") }
    let options = Words.unusualOptions(device.options)
    if !options.isEmpty { parts.append(options) }
    let isThere = device.attachment != .absent && device.attachment != .saved
    switch device.claim {
    case nil: if isThere { parts.append("not reserved") }
    case let claim? where claim != domain?.id: parts.append("reserved for domid \(claim)")
    case let claim?: if style.isVerbose { parts.append("reserved for domid \(claim)") }
    }
    if isThere && !device.isSaved { parts.append("not in the saved configuration") }
    return parts.joined(separator: ", ")
  }

  static func words(for oddity: OtherSavedLine.Oddity) -> String {
    switch oddity {
    case .name: "it names a device by name"
    case .wholeSlot: "it means a whole slot"
    case .mask: "it has a mask that xl does not write"
    case .unknownKey(let key): "Berth does not know its key \(key)"
    }
  }

  private static func words(forFree device: ObservedDevice) -> String {
    var parts: [String] = []
    if let facts = device.facts {
      parts.append(
        facts.isOnPCIBack ? "assignable" : facts.driver.map { "not assignable: driver \($0)" } ?? "not assignable")
    }
    if let claim = device.claim { parts.append("reserved for domid \(claim)") }
    if device.assignment == .assigned { parts.append("assigned to some domain by Xen") }
    return parts.joined(separator: ", ")
  }

  /// Writes what differs from what the stores should say; returns how much that is.
  private func writeAnomalies(to columns: inout Columns) -> Int {
    let live = status.intents.filter(\.isLive)
    let drifts = status.drifts
    guard drifts.count + live.count > 0 else { return 0 }
    columns.heading("Anomalies")
    for drift in drifts {
      let domain = drift.domain.map(Words.holder) ?? ""
      columns.row(
        .differ, drift.device?.description ?? domain, drift.device == nil ? "" : domain,
        "\(drift.name.rawValue): \(drift.name.explanation.meaning)"
          + (drift.outcome.isRepaired
            ? "; the next apply \(drift.name == .leftoverIntent ? "resumes" : "repairs") it" : ""))
    }
    for intent in live {
      let devices = intent.devices.map(\.description).joined(separator: ", ")
      columns.row(
        .wait, "domid \(intent.domain.id)", "",
        "another Berth is at work: \(intent.operation.rawValue) \(devices)")
    }
    return drifts.count + live.count
  }

  private func summary(anomalies: Int) -> String {
    let devices = status.domains.flatMap(\.devices)
    let exported = devices.count { $0.attachment == .exported }
    return Words.count(devices.count { $0.attachment == .attached }, "device") + " attached, "
      + (exported == 0 ? "" : "\(exported) exported, ")
      + Words.count(status.free.count { $0.facts?.isOnPCIBack ?? false }, "device") + " free to assign, "
      + (anomalies == 0 ? "no anomalies." : Words.count(anomalies, "anomaly", "anomalies") + ".")
  }
}
