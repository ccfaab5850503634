import Model
import Planning

/// The PCI functions of a host for programs: `{"formatVersion": 1, "kind": "DeviceList", …}`.
///
/// Keys without a value are left out. docs/devices.md describes each.
package struct DevicesDocument: VersionedDocument, Sendable {
  package static let head = DocumentHead(kind: "DeviceList", formatVersion: 1)
  let host: String
  /// Whether Xen and xenstored answered. Without them, nothing is known of domains.
  let isXenKnown: Bool
  let devices: [FunctionDocument]
  let warnings: [String]
}

struct FunctionDocument: Encodable, Sendable {
  let address: String
  let id: String?
  let name: String?
  let subsystem: String?
  let deviceClass: String?
  let className: String?
  let revision: String?
  let path: String?
  /// The functions above it, from the root down.
  let behind: [String]
  let slots: [String]
  let driver: String?
  let driverOverride: String?
  let serial: String?
  /// Nil if the device says nothing, or was not asked: only an explanation asks.
  let product: ProductDocument?
  let interfaces: [InterfaceDocument]
  let nvme: [ControllerDocument]
  let physicalFunction: String?
  let virtualFunctions: [String]
  let virtualFunctionLimit: Int?
  let reset: ResetDocument?
  let powerState: String?
  let isBootDisplay: Bool?
  let availability: String
  let meaning: String
  let remedy: String?
  let domain: DomainReferenceDocument?
  let claim: UInt32?
  let assignment: String
  let isolation: IsolationDocument?
  let uses: [UseDocument]
  let interlocks: [InterlockDocument]
  let sharesInterruptWith: [String]
  let sharesPageWith: [String]
  /// The other functions with the same requester id. Nil if Xen did not say, or was not asked.
  let companions: [String]?
  /// Nil if Xen did not say, or was not asked; then so is the next one.
  let reservedMemory: [MemoryDocument]?
  let sharesReservedMemoryWith: [String]?
  let unknown: [UnknownFactDocument]

  enum CodingKeys: String, CodingKey {
    case address, id, name, subsystem
    case deviceClass = "class"
    case className, revision, path, behind, slots, driver, driverOverride, serial, product, interfaces, nvme
    case physicalFunction, virtualFunctions, virtualFunctionLimit, reset, powerState, isBootDisplay, availability,
      meaning, remedy
    case domain, claim
    case assignment, isolation, uses, interlocks, sharesInterruptWith, sharesPageWith, companions, reservedMemory,
      sharesReservedMemoryWith, unknown
  }

  init(_ device: InventoryEntry, names: FunctionNames, product: ProductData? = nil) {
    let function = device.function
    address = function.name.description
    id = function.id?.description
    name = function.id.flatMap(names.device)
    subsystem = function.subsystem?.description
    deviceClass = function.deviceClass.map { hex(UInt64($0), 6) }
    className = function.deviceClass.flatMap(names.deviceClass)
    revision = function.revision.map { hex(UInt64($0), 2) }
    path = function.path?.description
    behind = function.chain.dropLast().map(\.description)
    slots = function.slots
    driver = function.driver
    driverOverride = function.driverOverride
    serial = function.serial
    self.product = product.map(ProductDocument.init)
    interfaces = function.interfaces.map { InterfaceDocument(name: $0.name, mac: $0.address?.description) }
    nvme = function.nvme.map { ControllerDocument(name: $0.name, serial: $0.serial, model: $0.model) }
    physicalFunction = function.virtualisation.parent?.description
    virtualFunctions = function.virtualisation.children.map(\.description)
    virtualFunctionLimit = function.virtualisation.limit
    reset = function.reset.map { ResetDocument(isPossible: $0.isPossible, methods: $0.methods) }
    powerState = function.power?.state
    isBootDisplay = function.isBootDisplay
    availability = device.availability.name
    meaning = device.availability.meaning
    remedy = device.remedy
    if case .inUse(let holder) = device.availability {
      domain = DomainReferenceDocument(name: holder.name?.text, domid: holder.id?.rawValue)
    } else {
      domain = nil
    }
    claim = device.claim?.rawValue
    assignment = device.assignment.rawValue
    isolation = device.isolation.map(IsolationDocument.init)
    uses = device.uses.map(UseDocument.init)
    interlocks = device.interlocks.map(InterlockDocument.init)
    sharesInterruptWith = device.interruptSharers.map(\.description)
    sharesPageWith = device.pageSharers.map(\.description)
    companions = device.companions?.map(\.description)
    reservedMemory = function.reservedMemory?.map { MemoryDocument(DeviceResource(frames: $0)) }
    sharesReservedMemoryWith = device.reservedMemorySharers?.map(\.description)
    unknown = function.unread.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      UnknownFactDocument(fact: $0.key.rawValue, file: $0.value.place, reason: Words.cause($0.value.cause))
    }
  }
}

struct ProductDocument: Encodable, Sendable {
  let name: String?
  let partNumber: String?
  let serial: String?

  init(_ product: ProductData) {
    (name, partNumber, serial) = (product.name, product.partNumber, product.serial)
  }
}

struct InterfaceDocument: Encodable, Sendable {
  let name: String
  let mac: String?
}

struct ControllerDocument: Encodable, Sendable {
  let name: String
  let serial: String?
  let model: String?
}

struct ResetDocument: Encodable, Sendable {
  let isPossible: Bool
  let methods: [String]?
}

struct DomainReferenceDocument: Encodable, Sendable {
  let name: String?
  let domid: UInt32?
}

struct IsolationDocument: Encodable, Sendable {
  /// `isolated`, `not-isolated` or `unknown`.
  let answer: String
  let sharedWith: [String]

  init(_ isolation: Isolation) {
    answer =
      switch isolation {
      case .isolated: "isolated"
      case .shared: "not-isolated"
      case .unknown: "unknown"
      }
    sharedWith = isolation.neighbours.map(\.description)
  }
}

/// A range of the host's memory, both ends included.
struct MemoryDocument: Encodable, Sendable {
  let first: String
  let last: String

  init(_ memory: DeviceResource) {
    (first, last) = ("0x" + hex(memory.range.lowerBound, 1), "0x" + hex(memory.range.upperBound, 1))
  }
}

struct UseDocument: Encodable, Sendable {
  /// `mount` or `swap`.
  let kind: String
  /// The folder of a mount; the device or the file of a swap area.
  let name: String
  let chain: [String]

  init(_ use: DeviceUse) {
    switch use.subject {
    case .mount(let point): (kind, name) = ("mount", point)
    case .swap(let area): (kind, name) = ("swap", area)
    }
    chain = use.chain
  }
}

/// One reason not to take a device from dom0.
struct InterlockDocument: Encodable, Sendable {
  struct Link: Encodable, Sendable {
    let what: String
    let name: String
  }

  let name: String
  let meaning: String
  /// `refuse`, `refuse-unless-spare` or `warn`.
  let strength: String
  let isRefusal: Bool
  let chain: [Link]

  init(_ interlock: Interlock) {
    name = interlock.name.rawValue
    meaning = interlock.name.explanation.meaning
    strength = interlock.strength.rawValue
    isRefusal = interlock.isRefusal
    chain = interlock.chain.map { Link(what: $0.what.rawValue, name: $0.name) }
  }
}

struct UnknownFactDocument: Encodable, Sendable {
  let fact: String
  let file: String
  let reason: String
}
