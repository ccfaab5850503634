package import Model
package import XenProtocol

/// A manifest that is put together from what a host has, or from the files of another tool.
package struct ImportedManifest: Hashable, Sendable {
  /// The host that the manifest is for; nil for every host.
  package var hostName: String?
  /// The policy that the manifest states; nil if it states none.
  package var prune: Policy.Prune?
  package var domains: [ImportedDomain]
  /// What is to be known of the manifest as a whole.
  package var remarks: [ImportRemark]

  package init(
    hostName: String?, prune: Policy.Prune? = nil, domains: [ImportedDomain] = [], remarks: [ImportRemark] = []
  ) {
    self.hostName = hostName
    self.prune = prune
    self.domains = domains
    self.remarks = remarks
  }

  /// What the manifest declares: without what stands in it as a comment.
  package var desired: DesiredState {
    var policy = Policy()
    if let prune { policy.prune = prune }
    return DesiredState(
      policy: policy, domains: domains.filter(\.isDeclared).map(\.desired).sorted { $0.name < $1.name },
      completeness: .assumed)
  }

  /// All remarks, in the order in which the manifest has them.
  package var allRemarks: [(domain: ImportedDomain?, device: ImportedDevice?, remark: ImportRemark)] {
    var all: [(ImportedDomain?, ImportedDevice?, ImportRemark)] = remarks.map { (nil, nil, $0) }
    for domain in domains {
      all += domain.remarks.map { (domain, nil, $0) }
      for device in domain.devices { all += device.remarks.map { (domain, device, $0) } }
    }
    return all.map { (domain: $0.0, device: $0.1, remark: $0.2) }
  }

  /// Gives each device a name by its class: `net0`, `disk0`, in order of address.
  package mutating func nameDevices() {
    var places: [(domain: Int, device: Int)] = []
    for domain in domains.indices { places += domains[domain].devices.indices.map { (domain, $0) } }
    places.sort { left, right in
      let (one, two) = (domains[left.domain].devices[left.device], domains[right.domain].devices[right.device])
      return one.address == two.address ? left < right : one.address < two.address
    }
    var counts: [String: Int] = [:]
    for place in places {
      let word = Self.word(for: domains[place.domain].devices[place.device].function?.deviceClass)
      domains[place.domain].devices[place.device].label = "\(word)\(counts[word, default: 0])"
      counts[word, default: 0] += 1
    }
  }

  /// Returns the word for a class of 24 bits (PCI Code and ID Assignment 1.15, section 1).
  private static func word(for deviceClass: UInt32?) -> String {
    guard let deviceClass else { return "device" }
    switch (deviceClass >> 16, deviceClass >> 8 & 0xFF) {
    case (0x01, 0x08): return "nvme"
    case (0x01, _): return "disk"
    case (0x02, _): return "net"
    case (0x03, _): return "gpu"
    case (0x04, _): return "audio"
    case (0x0C, 0x03): return "usb"
    default: return "device"
    }
  }
}

/// A domain of an imported manifest.
package struct ImportedDomain: Hashable, Sendable {
  package var name: Name
  package var uuid: DomainUUID?
  /// Nil if the domain does not exist on the host, or if the host was not asked.
  package var id: DomainID?
  package var kind: DomainKind?
  package var lifecycle: DomainLifecycle?
  package var stubDomain: DomainID?
  package var devices: [ImportedDevice]
  package var remarks: [ImportRemark]
  /// The file that it is from; nil if it is from the host.
  package var file: String?
  /// Whether the whole domain stands in the manifest only as a comment.
  package var isLeftOut = false

  package init(
    name: Name, uuid: DomainUUID? = nil, kind: DomainKind? = nil, devices: [ImportedDevice] = [],
    remarks: [ImportRemark] = []
  ) {
    self.name = name
    self.uuid = uuid
    self.kind = kind
    self.devices = devices
    self.remarks = remarks
  }

  /// Whether the manifest declares the domain: it has a device that is not left out.
  package var isDeclared: Bool { !isLeftOut && devices.contains { !$0.isLeftOut } }

  fileprivate var desired: DesiredDomain {
    let kept = devices.filter { !$0.isLeftOut }
    return DesiredDomain(
      name: name, uuid: uuid,
      devices: kept.filter(\.selector.isPlain).map { device in
        DesiredDevice(
          address: device.address, id: device.selector.id, label: device.label, options: device.options)
      },
      selections: kept.filter { !$0.selector.isPlain }.map { device in
        DeviceSelection(selector: device.selector, label: device.label, options: device.options)
      })
  }
}

/// A device of an imported domain.
package struct ImportedDevice: Hashable, Sendable {
  /// The name in the manifest's `devices`.
  package var label = ""
  package var address: PCIAddress
  package var selector: DeviceSelector
  package var options: DeviceOptions
  /// What sysfs shows of the device; nil if the host does not have it, or was not asked.
  package var function: PCIFunction?
  package var remarks: [ImportRemark] = []
  /// The line of its entry in the domain's file; nil if it is from the host.
  package var line: Int?
  /// Whether the device stands in the manifest only as a comment.
  package var isLeftOut = false

  /// Identifies the device as well as the inventory can.
  package init(_ address: PCIAddress, options: DeviceOptions = DeviceOptions(), in inventory: Inventory?) {
    self.address = address
    self.options = options
    function = inventory?.functions.first { $0.address == address }
    selector = DeviceSelector(address: address)
    if let function, let inventory { selector.identify(function, in: inventory) }
  }
}

extension DeviceSelector {
  /// Adds what tells the function from another one that may be at its address some day.
  ///
  /// A serial number serves if no other function has it. Without one, the path through the bridges shows whether the
  /// firmware has numbered the buses in another way. What only the device's own driver shows is not added: pciback has
  /// the device while a guest does, and then nothing proves it.
  fileprivate mutating func identify(_ function: PCIFunction, in inventory: Inventory) {
    id = function.readID
    if let found = function.serial, inventory.functions.count(where: { $0.serial == found }) == 1 {
      serial = found
    } else if function.chain.count > 1 {
      path = function.path
    }
  }
}

extension PCIFunction {
  /// The id, if the function answers.
  var readID: DeviceID? { id.flatMap { $0.isRead ? $0 : nil } }
}

extension DeviceID {
  /// Whether the numbers are a device's. A function that does not answer reads as ones or zeros, which no manifest takes.
  fileprivate var isRead: Bool { [vendor, device].contains { $0 != 0 && $0 != 0xFFFF } }
}

/// A part of an imported manifest that may stand in it as a comment only.
protocol ImportedPart {
  var isLeftOut: Bool { get set }
  var remarks: [ImportRemark] { get set }
}

extension ImportedDomain: ImportedPart {}
extension ImportedDevice: ImportedPart {}

extension ImportedPart {
  /// Makes a comment of the part, with the reason.
  mutating func leaveOut(_ reason: ImportRemark) {
    isLeftOut = true
    remarks.append(reason)
  }
}

/// What could not be carried over into a manifest, or what a person should know of it.
package enum ImportRemark: Hashable, Sendable {
  /// The host's name can be no manifest's.
  case hostName(String)
  /// The manifest keeps what it does not declare: otherwise an apply would take it from its domain.
  case keepsUndeclared
  /// An apply makes changes that belong to no living domain, whatever the manifest declares.
  case hostRepairs(Int)
  /// The domain's name can be no manifest's.
  case domainName
  /// Another domain has the same name.
  case nameShared
  /// If the domain was declared, an apply would change this.
  case domainWouldChange([DeviceStep])
  /// If the device was declared, an apply would do this, or could not do what it has to.
  case deviceWouldChange(DeviceStep)
  /// The device is Berth's, so an apply does this.
  case ownedChanges(DeviceStep)
  /// No device, or not exactly one, is what would have to be declared.
  case deviceUnresolved(UnresolvedStep)
  /// The bus of this other domain lists the device, or another file declares the device for it.
  case listedTwice(Name)
  /// The slot at which the guest sees the device.
  case slot(UInt8, SlotObstacle)
  /// A line of libxl's saved configuration that is not one device by its address.
  case savedLine(OtherSavedLine)
  /// What another tool's configuration has, and a manifest does not.
  case configuration(ConfigurationRemark)
  /// An earlier file has a domain of this name or UUID.
  case declaredTwice(file: String)
  /// The host has no such domain now.
  case domainAbsent
  /// The domain with this UUID has another name.
  case otherName(Name)
  /// The domain with this name has another UUID.
  case otherUUID(DomainUUID)
  /// The host has no such device.
  case deviceAbsent
  /// The device is a bridge.
  case bridge
  /// Another driver has the device, or none.
  case notOnPCIBack(driver: String?)
  /// The host could not be asked, for this reason.
  case hostUnknown(String)
}

/// Why a manifest cannot declare the slot at which a guest sees a device.
package enum SlotObstacle: Hashable, Sendable {
  /// Only HVM guests have a choice.
  case kind
  /// Another device of the domain has the same slot.
  case shared
  /// Several functions cannot have one slot.
  case wholeSlot
}
