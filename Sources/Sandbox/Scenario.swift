package import Model
package import XenProtocol

/// A simulated host: its state at the start, and the faults that will happen.
package struct Scenario: Hashable, Sendable {
  package var host: ScenarioHost
  package var devices: [ScenarioDevice]
  package var domains: [ScenarioDomain]
  package var faults: ScenarioFaults

  package init(
    host: ScenarioHost = ScenarioHost(), devices: [ScenarioDevice] = [], domains: [ScenarioDomain] = [],
    faults: ScenarioFaults = ScenarioFaults()
  ) {
    self.host = host
    self.devices = devices
    self.domains = domains
    self.faults = faults
  }
}

/// The host itself.
package struct ScenarioHost: Hashable, Sendable {
  package var name: String
  package var xenVersion: String
  package var hasIOMMU: Bool
  /// How long dom0's kernel takes to react to a change in xenstore.
  package var delay: Duration
  /// Whether the domains are introduced to xenstored. Before every answer it looks at the ring of each domain it knows,
  /// so a host with a thousand domains is slow (`main`, tools/xenstore/xenstored_core.c, Xen 4.17).
  package var introducesDomains: Bool
  /// The network interfaces by which dom0 has a default route.
  package var routes: [String] = []

  package init(
    name: String = "sandbox", xenVersion: String = XenVersion.simulated.description, hasIOMMU: Bool = true,
    delay: Duration = .zero,
    introducesDomains: Bool = true
  ) {
    self.introducesDomains = introducesDomains
    self.name = name
    self.xenVersion = xenVersion
    self.hasIOMMU = hasIOMMU
    self.delay = delay
  }
}

/// A PCI device of the host.
package struct ScenarioDevice: Hashable, Sendable {
  package var address: PCIAddress
  package var id: DeviceID
  package var subsystem: DeviceID?
  /// Class, subclass and programming interface, 24 bits.
  package var deviceClass: UInt32
  /// The driver to which it is bound: `pciback`, another one, or nil.
  package var driver: String?
  /// The driver of dom0 that can have it; nil if any can.
  package var ownDriver: String?
  package var resources: [DeviceResource]
  /// The GSI; 0 if there is none.
  package var interrupt: UInt32
  package var canReset: Bool
  package var isVirtualFunction: Bool
  /// The bridge behind which it is; nil if it is on a root bus.
  package var bridge: PCIAddress?
  package var revision: UInt8 = 0
  /// The label of its slot.
  package var slot: String?
  /// The serial number of PCI Express: eight bytes, the highest first.
  package var serial: UInt64?
  /// The network interface that its own driver makes.
  package var interface: Interface?
  /// The NVMe controller that its own driver makes.
  package var controller: Controller?

  /// The device whose requester id its requests carry; nil if they carry its own one.
  package var requester: PCIAddress?
  /// The host's memory that the firmware has reserved for it, in whole pages.
  package var reservedMemory: [DeviceResource] = []

  /// The disk that its own driver makes, and where dom0 has mounted it.
  package var disk: Disk?

  package struct Disk: Hashable, Sendable {
    package var name: String
    /// The folder; nil if the disk is not mounted.
    package var mount: String?
    package init(name: String, mount: String?) { (self.name, self.mount) = (name, mount) }
  }

  package struct Interface: Hashable, Sendable {
    package var name: String
    package var address: MACAddress
    package init(name: String, address: MACAddress) { (self.name, self.address) = (name, address) }
  }

  package struct Controller: Hashable, Sendable {
    package var name: String
    package var serial: String
    package var model: String
    package init(name: String, serial: String, model: String) {
      (self.name, self.serial, self.model) = (name, serial, model)
    }
  }

  package init(
    address: PCIAddress, id: DeviceID, subsystem: DeviceID? = nil, deviceClass: UInt32 = 0x020000,
    driver: String? = ScenarioDevice.pciback, resources: [DeviceResource] = [], interrupt: UInt32 = 0,
    canReset: Bool = true, isVirtualFunction: Bool = false
  ) {
    self.address = address
    self.id = id
    self.subsystem = subsystem
    self.deviceClass = deviceClass
    self.driver = driver
    ownDriver = driver == Self.pciback ? nil : driver
    self.resources = resources
    self.interrupt = interrupt
    self.canReset = canReset
    self.isVirtualFunction = isVirtualFunction
  }

  package var isBridge: Bool { deviceClass >> 16 == 0x06 }

  package static let pciback = DriverBinding.pciback
}

/// A domain of the host.
package struct ScenarioDomain: Hashable, Sendable {
  /// The domain's stage of life at the start.
  package enum Lifecycle: String, Sendable, CaseIterable {
    case running, paused, cold, building, shutdown, crashed
    /// The domain does not exist until a request creates it.
    case absent
  }
  package var name: String
  package var uuid: DomainUUID
  /// The domain's number; nil takes the next free one.
  package var id: DomainID?
  package var kind: DomainKind
  package var lifecycle: Lifecycle
  package var hasIOMMU: Bool
  /// The devices it has at the start.
  package var devices: [SavedDevice]
  /// Devices that its saved configuration lists although it does not have them, as after `xl pci-detach`.
  package var staleDevices: [SavedDevice]
  package var answers: GuestAnswers
  /// How long its kernel takes to react.
  package var delay: Duration
  /// The stub domain in which its QEMU runs; nil means dom0.
  package var stubDomain: ScenarioStubDomain?
  package var deviceModel: ScenarioDeviceModel

  package init(
    name: String, uuid: DomainUUID, id: DomainID? = nil, kind: DomainKind = .pv, lifecycle: Lifecycle = .running,
    hasIOMMU: Bool = true, devices: [SavedDevice] = [], staleDevices: [SavedDevice] = [],
    answers: GuestAnswers = .normal, delay: Duration = .milliseconds(1), stubDomain: ScenarioStubDomain? = nil,
    deviceModel: ScenarioDeviceModel = .upstream
  ) {
    self.stubDomain = stubDomain
    self.deviceModel = deviceModel
    self.name = name
    self.uuid = uuid
    self.id = id
    self.kind = kind
    self.lifecycle = lifecycle
    self.hasIOMMU = hasIOMMU
    self.devices = devices
    self.staleDevices = staleDevices
    self.answers = answers
    self.delay = delay
  }
}

/// The faults that will happen.
package struct ScenarioFaults: Hashable, Sendable {
  package var failingCalls: [HypercallFault]
  /// The devices that pciback fails to export.
  package var failingExports: [PCIAddress]
  /// Domains whose userdata lock is held from the start.
  package var heldLocks: [String]
  /// Nodes that are written last, over everything else; nil removes a node.
  package var store: [StoreChange]

  /// The faults of the guests' device models, by the guests' names.
  package var deviceModels: [DeviceModel]
  /// The devices that drivers do not release, or do not take.
  package var drivers: [DriverRefusal] = []

  package struct DriverRefusal: Hashable, Sendable {
    package enum Refusal: String, Sendable, CaseIterable { case unbind, bind }
    package var device: PCIAddress
    package var driver: String
    package var refusal: Refusal
    package init(device: PCIAddress, driver: String, refusal: Refusal) {
      (self.device, self.driver, self.refusal) = (device, driver, refusal)
    }
  }

  package struct DeviceModel: Hashable, Sendable {
    package var domain: String
    package var fault: DeviceModelFault
    package init(domain: String, fault: DeviceModelFault) { (self.domain, self.fault) = (domain, fault) }
  }

  package struct StoreChange: Hashable, Sendable {
    package var path: String
    package var value: String?
    package init(path: String, value: String?) { (self.path, self.value) = (path, value) }
  }

  package init(
    failingCalls: [HypercallFault] = [], failingExports: [PCIAddress] = [], heldLocks: [String] = [],
    store: [StoreChange] = [], deviceModels: [DeviceModel] = []
  ) {
    self.deviceModels = deviceModels
    self.failingCalls = failingCalls
    self.failingExports = failingExports
    self.heldLocks = heldLocks
    self.store = store
  }
}
