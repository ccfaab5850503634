import Model
import Planning
import Ports
import XenProtocol

/// Reads one domain.
struct DomainObserver {
  let host: Host
  let store: any StorePort
  /// The running release of Xen; nil if its version is no usual one.
  let release: XenRelease?

  func observe(_ domain: HypervisorDomain) throws(HostError) -> ObservedDomain {
    let home = StorePath.home(domain.id)
    let name = try read(home.child("name")).map { Name($0) } ?? .missing
    let vm = try read(home.child("vm"))
    let kind = try kind(of: domain)
    let key = DomainKey(id: domain.id, uuid: domain.uuid)
    let (saved, file) = try savedConfiguration(of: key)
    var observed = ObservedDomain(
      id: domain.id, uuid: domain.uuid, name: name, kind: kind, lifecycle: .destroying, saved: saved)
    observed.otherSavedLines = file?.otherLines ?? []
    let names = DeviceNames(store: store)
    for index in observed.otherSavedLines.indices {
      guard let name = observed.otherSavedLines[index].unresolvedName else { continue }
      observed.otherSavedLines[index].named = try names.device(named: name)
    }
    if domain.isHardwareVirtualised {
      observed.stubDomain = try number(at: .stubDomain(of: domain.id)).flatMap { $0 == .zero ? nil : $0 }
    } else {
      observed.stubDomainOf = try number(at: home.child("target"))
    }
    observed.lifecycle = try lifecycle(
      of: domain, hasHome: vm != nil, isBuilt: saved != .absent || observed.stubDomainOf != nil)
    if observed.lifecycle == .shutdown, let code = domain.shutdownCode {
      observed.kept = file.flatMap { KeptDomain(code, $0) }
    }
    observed.backEnd = try backEnd(of: domain.id, hasFrontEndDriver: !domain.isHardwareVirtualised)
    if kind == .hvm { observed.deviceModel = try deviceModel(of: domain.id) }
    return observed
  }

  private func deviceModel(of domain: DomainID) throws(HostError) -> DeviceModelVersion {
    guard let version = try read(StorePath.toolstack(domain).child("dm-version")) else {
      return release?.hasTraditional == false ? .unknown : .traditional
    }
    return DeviceModelVersion(rawValue: version) ?? .unknown
  }

  private func read(_ path: StorePath) throws(HostError) -> String? {
    try store.read(path)
  }

  private func number(at path: StorePath) throws(HostError) -> DomainID? {
    try read(path).flatMap { decimal($0) }.map { DomainID(UInt32($0)) }
  }

  private func kind(of domain: HypervisorDomain) throws(HostError) -> DomainKind {
    guard domain.isHardwareVirtualised else { return .pv }
    return try read(StorePath.toolstack(domain.id).child("type")).flatMap(DomainKind.init) ?? .unknown
  }

  private func lifecycle(
    of domain: HypervisorDomain, hasHome: Bool, isBuilt: Bool
  ) throws(HostError) -> DomainLifecycle {
    if domain.isDying || !hasHome { return .destroying }
    if domain.isShutDown { return .shutdown }
    // libxl stores the configuration last of all, after the devices and before the first unpause (`domcreate_complete`,
    // tools/libs/light/libxl_create.c, Xen 4.17). A stub domain never has one.
    if !isBuilt {
      if domain.isPaused || domain.cpuTime == 0 { return .building }
      // It runs without a configuration, or it was destroyed after Xen was asked for it.
      let now = try host.hypervisor.domain(domain.id)
      return now?.uuid == domain.uuid && now?.isDying == false ? .running : .destroying
    }
    if domain.isPaused { return domain.cpuTime == 0 ? .cold : .paused }
    return .running
  }

  /// Returns what libxl's saved configuration lists, and the whole of it if it can be read.
  private func savedConfiguration(of key: DomainKey) throws(HostError) -> (SavedDevices, SavedConfiguration?) {
    do throws(HostError) {
      guard let bytes = try host.userdata.savedConfiguration(of: key) else { return (.absent, nil) }
      let file: SavedConfiguration
      do throws(SavedConfigurationError) { file = try SavedConfiguration(bytes) } catch {
        return (.corrupt(error.description), nil)
      }
      return (.devices(file.devices), file)
    } catch {
      if case .userdata(let failure) = error {
        if failure.code == .empty { return (.corrupt("\(failure.place ?? "libxl-json") is empty"), nil) }
        if failure.code == .malformed, let reason = failure.detail { return (.corrupt(reason), nil) }
      }
      throw error
    }
  }

  private func backEnd(of domain: DomainID, hasFrontEndDriver: Bool) throws(HostError) -> BackEnd? {
    let object = try host.tree.hasBackEndObject(for: domain)
    let reader = BusReader(domain: domain, hasFrontEndDriver: hasFrontEndDriver)
    guard let listing = try store.list(.backEnd(domain)), !listing.isEmpty else {
      // One end may still exist: the kernel object, or the guest's directory, which nobody serves then.
      let front = StateNode(try store.read(StorePath.frontEnd(domain).child("state")))
      guard object || !front.isAbsent else { return nil }
      return BackEnd(
        domain: domain, frontEndState: front, hasFrontEndDriver: hasFrontEndDriver, hasKernelObject: object)
    }
    let seen = try reader.read(listing: listing, kernelObject: object) { (path) throws(HostError) in
      try store.read(path)
    }
    guard case .corrupt = seen.condition else { return seen }
    // The bus is out of order, or another program's change was only half visible. Read it again in one consistent view.
    return try store.transaction(.unlocked) { (access) throws(HostError) in
      let listing = try access.list(.backEnd(domain)) ?? []
      return .abort(
        try reader.read(listing: listing, kernelObject: object) { (path) throws(HostError) in
          try access.read(path)
        })
    }
  }
}

extension KeptDomain {
  /// Returns why a domain that has shut down stays; nil if its toolstack is to end it. `code` is Xen's reason
  /// (xen/include/public/sched.h).
  fileprivate init?(_ code: UInt8, _ file: SavedConfiguration) {
    // A suspended domain has none: it is being saved or migrated.
    guard let key = SavedConfiguration.eventKeys[code], file.word(key)?.lowercased() == "preserve" else { return nil }
    self.init(event: key)
  }
}
