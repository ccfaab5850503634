/// One PCI function of a host, as sysfs shows it. A fact that is nil is absent, unless `unread` names it.
package struct PCIFunction: Hashable, Sendable, Codable {
  package let name: FunctionName
  package var id: DeviceID?
  /// The card's own vendor and device numbers.
  package var subsystem: DeviceID?
  /// Class, subclass and programming interface, 24 bits.
  package var deviceClass: UInt32?
  package var revision: UInt8?
  /// Every function in the path of the function's folder, from the root down; the last one is the function itself. A
  /// virtual machine that has any of them has what is below it.
  package var chain: [FunctionName]
  package var path: PCIPath?
  /// The name of the bound driver; nil if no driver is bound.
  package var driver: String?
  /// The only driver that may bind, by `driver_override`; nil if any may.
  package var driverOverride: String?
  /// The labels of the function's slot. Several labels may have one place.
  package var slots: [String] = []
  /// The serial number of PCI Express, as `lspci` prints it: `a0-36-9f-ff-ff-12-34-56`.
  package var serial: String?
  package var interfaces: [NetworkInterface] = []
  package var nvme: [NVMeController] = []
  package var virtualisation = Virtualisation()
  package var reset: ResetMethods?
  package var power: PowerState?
  package var isolation: IsolationFacts?
  package var interrupt: Interrupt?
  package var resources: [DeviceResource] = []
  /// Whether the firmware chose the function as its display; nil if it is no display.
  package var isBootDisplay: Bool?
  /// The other functions that Xen takes for the same requester, as far as dom0 has them; nil if Xen did not say.
  package var companions: [FunctionName]?
  /// The memory of the host that the firmware has reserved for the function, by 4 KiB frame; nil if Xen did not say.
  package var reservedMemory: [ClosedRange<UInt64>]?
  /// The first bus behind a bridge; nil if the function is none.
  package var secondaryBus: UInt8?
  /// The facts that could not be read, and why.
  package var unread: [FunctionFact: ReadFailure] = [:]

  package init(name: FunctionName) {
    self.name = name
    chain = [name]
  }

  /// The function's address for Xen; nil if Xen cannot have one for it.
  package var address: PCIAddress? { name.address }

  /// Whether pciback has the function.
  package var isOnPCIBack: Bool { driver == DriverBinding.pciback }

  /// Whether the function is a bridge (class 06), which cannot be passed through; nil if the class is unknown.
  package var isBridge: Bool? { deviceClass.map { $0 >> 16 == 0x06 } }
}

/// Why a fact could not be read.
package struct ReadFailure: Error, Hashable, Sendable, Codable {
  package enum Cause: Hashable, Sendable {
    /// A call failed with this error number.
    case failed(Int32)
    /// The content was not understood.
    case malformed
    /// The kernel did not answer in time. A driver may hang in its `remove` or its `probe`.
    case unanswered
    /// The function is switched off (D3cold), or does not answer: each byte of its configuration space reads as ones.
    case silent
    /// The address was set by a program, and nothing tells the card's own one.
    case overwritten
    /// Xen refused to answer with this error number; 0 if there was none.
    case refused(Int32)
  }

  /// The file, the folder, or the function of libxenctrl.
  package let place: String
  package let cause: Cause
  package init(place: String, _ cause: Cause) { (self.place, self.cause) = (place, cause) }
}

/// A network interface of a PCI function.
package struct NetworkInterface: Hashable, Sendable, Codable {
  package let name: String
  /// The address that the card itself has; nil if it has none, or if only another one is known.
  package let address: MACAddress?
  package init(name: String, address: MACAddress?) { (self.name, self.address) = (name, address) }
}

/// An NVMe controller of a PCI function.
package struct NVMeController: Hashable, Sendable, Codable {
  package let name: String
  package let serial: String?
  package let model: String?
  package init(name: String, serial: String?, model: String?) {
    (self.name, self.serial, self.model) = (name, serial, model)
  }
}

/// A function's part in single-root I/O virtualisation.
package struct Virtualisation: Hashable, Sendable, Codable {
  /// The physical function to which this virtual one belongs.
  package var parent: FunctionName?
  /// The virtual functions that exist.
  package var children: [FunctionName] = []
  /// How many virtual functions the function can have; nil if it cannot have any.
  package var limit: Int?
  package init() {}
}

/// How the kernel can reset a function.
package struct ResetMethods: Hashable, Sendable, Codable {
  /// Whether the function has a file `reset`. Without it, the function keeps what its last guest wrote into it.
  package let isPossible: Bool
  /// The methods in the kernel's order: `flr`, `pm`, `bus` and others; nil if the kernel does not list them (before
  /// Linux 5.15).
  package let methods: [String]?
  package init(isPossible: Bool, methods: [String]?) { (self.isPossible, self.methods) = (isPossible, methods) }
}

/// A function's power state. The configuration space of a function in D3cold reads as ones.
package struct PowerState: Hashable, Sendable, Codable {
  /// `D0`, `D3hot`, `D3cold`, `unknown` and others (`pci_power_names`, Linux drivers/pci/pci.c, 6.1).
  package let state: String?
  package let mayReachD3Cold: Bool?
  package init(state: String?, mayReachD3Cold: Bool?) { (self.state, self.mayReachD3Cold) = (state, mayReachD3Cold) }
}

/// What a device says of itself as a product.
package struct ProductData: Hashable, Sendable {
  package var name: String?
  package var partNumber: String?
  package var serial: String?
  package init() {}
}

/// A function's interrupt.
package struct Interrupt: Hashable, Sendable, Codable {
  /// The legacy line; nil if there is none.
  package let line: UInt32?
  /// Whether the function uses message-signalled interrupts, so that it does not share its line.
  package let usesMessages: Bool
  package init(line: UInt32?, usesMessages: Bool) { (self.line, self.usesMessages) = (line, usesMessages) }
}

/// All PCI functions of a host.
package struct Inventory: Hashable, Sendable {
  /// In order of their names.
  package var functions: [PCIFunction]
  /// The facts that were asked for.
  package var facts: Set<FunctionFact>

  package init(functions: [PCIFunction], facts: Set<FunctionFact>) { (self.functions, self.facts) = (functions, facts) }
}

extension ReadFailure.Cause: TextCodable {
  /// Reads `malformed`, or `failed 13` with an error number.
  package init?(text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    switch (words.first, words.dropFirst().first.map { Int32($0) }, words.count) {
    case ("failed", let number??, 2): self = .failed(number)
    case ("refused", let number??, 2): self = .refused(number)
    case ("malformed", nil, 1): self = .malformed
    case ("silent", nil, 1): self = .silent
    case ("unanswered", nil, 1): self = .unanswered
    case ("overwritten", nil, 1): self = .overwritten
    default: return nil
    }
  }

  package var text: String {
    switch self {
    case .failed(let number): "failed \(number)"
    case .refused(let number): "refused \(number)"
    case .malformed: "malformed"
    case .silent: "silent"
    case .unanswered: "unanswered"
    case .overwritten: "overwritten"
    }
  }
}
