import Core

extension Observer {
  /// How long a look waits for one device model, which another toolstack may be talking to.
  private static let deviceModelPatience = Duration.seconds(2)

  /// Asks the QEMU of each guest that has devices, or is to have some, what it shows.
  ///
  /// All at the same time: a silent one costs its patience once, however many others are as silent.
  func askDeviceModels(of domains: inout [ObservedDomain], declared: Set<String>) throws(HostError) {
    let asked = domains.indices.filter { index in
      let domain = domains[index]
      return domain.kind == .hvm && domain.deviceModel == .upstream
        && [.running, .cold, .paused].contains(domain.lifecycle)
        && (declared.contains(domain.name) || domain.mayBeEmulated)
    }
    let host = host
    let answers = concurrently(asked.map { domains[$0].key }, workers: 32) {
      key -> Result<[EmulatedDevice]?, HostError> in
      do throws(HostError) { return .success(try Self.emulated(in: key, of: host)) } catch { return .failure(error) }
    }
    for (index, answer) in zip(asked, answers) { domains[index].emulated = try answer.get() }
  }

  /// What QEMU shows the guest; nil where it cannot be asked now: it is then not known, and no failure of a look.
  private static func emulated(in domain: DomainKey, of host: Host) throws(HostError) -> [EmulatedDevice]? {
    do throws(HostError) {
      return try host.deviceModels.withDeviceModel(of: domain, until: .now + deviceModelPatience) {
        (qemu) throws(HostError) in
        try qemu.devices()
      }
    } catch {
      if case .deviceModel = error { return nil }
      throw error
    }
  }
}

extension ObservedDomain {
  /// Whether some store says that the domain has devices, or had: only then QEMU is worth asking.
  fileprivate var mayBeEmulated: Bool {
    if backEnd?.entries.isEmpty == false { return true }
    if case .devices(let saved) = saved { return !saved.isEmpty }
    return false
  }
}
