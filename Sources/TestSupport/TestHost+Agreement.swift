package import Model

extension TestHost {
  /// Returns all disagreements between the places that know a running PV domain's devices; empty if everything agrees.
  ///
  /// These must agree: the back end (dense, at rest, all exported), libxl's saved configuration, the claims, the
  /// hypervisor, pciback and the guest itself.
  package func disagreements(
    of name: String, expecting devices: Set<PCIAddress>, staleSavedDevices: Set<PCIAddress> = []
  ) async throws -> [String] {
    let status = try await status()
    let domain = try status.domain(name)
    let path = "/local/domain/0/backend/pci/\(domain.id)/0"
    let bus = try await nodes(below: path)
    var findings: [String] = []
    func expect(_ what: String, _ found: some Equatable, _ expected: some Equatable & CustomStringConvertible) {
      if "\(found)" != "\(expected)" { findings.append("\(what): \(found), expected \(expected)") }
    }
    func addresses(_ set: some Sequence<PCIAddress>) -> String { set.sorted().map(\.text).joined(separator: " ") }

    let expected = addresses(devices)
    if devices.isEmpty {
      expect("entries", bus.keys.filter { $0.hasPrefix("\(path)/dev-") }.sorted(), [String]())
    } else {
      let front = try await nodes(below: "/local/domain/\(domain.id)/device/pci/0")
      expect("num_devs", bus["\(path)/num_devs"] ?? "absent", "\(devices.count)")
      expect("back end", bus["\(path)/state"] ?? "absent", "4")
      expect("front end", front["/local/domain/\(domain.id)/device/pci/0/state"] ?? "absent", "4")
      let entries = (0..<devices.count).map { bus["\(path)/dev-\($0)"] ?? "hole" }
      expect("entries", entries.sorted().joined(separator: " "), expected)
      for index in 0..<devices.count {
        expect("state-\(index)", bus["\(path)/state-\(index)"] ?? "absent", "3")
        if bus["\(path)/vdev-\(index)"] == nil { findings.append("no vdev-\(index)") }
      }
      let known = bus.keys.filter { $0.hasPrefix("\(path)/dev-") }.count
      expect("dev nodes", known, devices.count)
    }
    expect("saved", addresses(Set(try savedDevices(of: domain)).subtracting(staleSavedDevices)), expected)
    expect("assigned", addresses(domain.assigned), expected)
    expect("exported", addresses(domain.exported.values), expected)
    expect("in the guest", addresses(domain.guestDevices.values), expected)
    expect("claimed", addresses(try await claims(of: domain.id)), expected)
    return findings
  }

  /// Returns the devices whose claim names a domain.
  package func claims(of domain: DomainID) async throws -> [PCIAddress] {
    try await nodes(below: "/libxl/pci").compactMap { path, value in
      let parts = path.split(separator: "/")
      guard parts.count == 4, parts[3] == "domid", value == domain.description else { return nil }
      let pieces = parts[2].split(separator: "-")
      return PCIAddress(text: "\(pieces[0]):\(pieces[1]):\(pieces[2]).\(pieces[3])")
    }
  }
}
