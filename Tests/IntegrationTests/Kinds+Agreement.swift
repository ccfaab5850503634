import Model
import TestSupport
import Testing

extension TestHost {
  /// Returns the disagreements of all stores about a domain's devices, for any kind; empty if all is well.
  ///
  /// The back end of an HVM guest rests at 3, those of others at 4. `isCold` describes a guest that has not run yet.
  func findings(_ name: String, _ kind: Kind, _ numbers: some Sequence<Int>, isCold: Bool = false) async throws
    -> [String]
  {
    let devices = addresses(numbers)
    let status = try await status()
    let guest = try status.domain(name)
    let holder = try kind.hasStub ? status.domain(name + "-dm") : guest
    var findings: [String] = []
    func expect(_ what: String, _ found: some Equatable, _ wanted: some Equatable) {
      if "\(found)" != "\(wanted)" { findings.append("\(name): \(what): \(found), expected \(wanted)") }
    }
    func text(_ set: some Sequence<PCIAddress>) -> String { set.sorted().map(\.text).joined(separator: " ") }

    let (back, front) = ("/local/domain/0/backend/pci/\(holder.id)/0", "/local/domain/\(holder.id)/device/pci/0")
    let nodes = try await nodes(below: back)
    let frontNodes = try await self.nodes(below: front)
    let isSilent = kind == .hvm || kind == .traditional || (isCold && kind == .pv)
    if devices.isEmpty {
      expect("back end", nodes.keys.sorted(), [String]())
      expect("front end", frontNodes.keys.sorted(), [String]())
    } else {
      expect("num_devs", nodes["\(back)/num_devs"] ?? "none", "\(devices.count)")
      expect("back end", nodes["\(back)/state"] ?? "none", isSilent ? "3" : "4")
      expect("front end", frontNodes["\(front)/state"] ?? "none", isSilent ? "1" : "4")
      expect(
        "entries", devices.indices.map { nodes["\(back)/dev-\($0)"] ?? "hole" }.sorted().joined(separator: " "),
        text(devices))
      expect("dev nodes", nodes.keys.count { $0.hasPrefix("\(back)/dev-") }, devices.count)
      for index in devices.indices {
        expect("state-\(index)", nodes["\(back)/state-\(index)"] ?? "none", "3")
        expect("vdev-\(index)", nodes["\(back)/vdev-\(index)"] != nil, true)
      }
    }
    expect("saved", text(try savedDevices(of: guest)), text(devices))
    expect("claimed", text(try await claims(of: guest.id)), text(devices))
    expect("assigned", text(guest.assigned), text(devices))
    expect("exported", text(holder.exported.values), text(devices))
    let interrupts = devices.map { UInt32(16 + number(of: $0)) }.sorted()
    for domain in kind.hasStub ? [guest, holder] : [guest] {
      expect("granted to \(domain.id)", domain.grantedRanges, devices.count)
      expect("interrupts of \(domain.id)", domain.mappedInterrupts, interrupts)
    }
    if !isSilent { expect("in the kernel", text(holder.guestDevices.values), text(devices)) }
    if kind.hasDeviceModel {
      let shown = guest.deviceModel?.devices ?? []
      expect("in QEMU", text(shown.compactMap(\.address)), text(devices))
      expect("leaving", shown.count(where: \.isLeaving), 0)
    }
    if kind.hasStub {
      expect("back end of its own", try await self.nodes(below: "/local/domain/0/backend/pci/\(guest.id)/0").count, 0)
      expect("claimed for the stub domain", try await claims(of: holder.id).count, 0)
      expect("assigned to the stub domain", holder.assigned.count, 0)
    }
    return findings
  }

  /// Returns `findings`, and any open intent. If both are absent, nothing is left to resume.
  func findingsAtRest(_ name: String, _ kind: Kind, _ numbers: some Sequence<Int>) async throws -> [String] {
    try await findings(name, kind, numbers) + intents().map { "intent \($0)" }
  }

  /// The inverse of `Sample.address`, for the numbers that tests use.
  private func number(of device: PCIAddress) -> Int { (0..<32).first { Sample.address($0) == device } ?? -1 }
}
