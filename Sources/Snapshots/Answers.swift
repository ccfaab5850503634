package import Model
package import Ports
package import XenProtocol

/// What the ports of one host answered, by request. A request that is not here was never made.
// Size 1/7: one group of answers for each part of a host.
package struct Answers: Hashable, Sendable, Codable {
  package var hypervisor = HypervisorAnswers()
  package var store = StoreAnswers()
  package var tree = TreeAnswers()
  package var inventory = InventoryAnswers()
  package var usage = UsageAnswers()
  package var toolstack = ToolstackAnswers()
  package var records = RecordAnswers()

  package init() {}
}

/// Xen's answers.
package struct HypervisorAnswers: Hashable, Sendable, Codable {
  package var facts: Recorded<HypervisorFacts>?
  package var domains: Recorded<[HypervisorDomain]>?
  /// Second looks at single domains, by number.
  package var domain: [String: Recorded<HypervisorDomain?>] = [:]
  /// Whether a guest has the device.
  package var devices: [PCIAddress: Recorded<AssignmentProbe>] = [:]
  /// Whether the domain of this number can have devices. The answer is the same for each device.
  package var passthrough: [String: Recorded<AssignmentProbe>] = [:]
  package var companions: [PCIAddress: Recorded<[PCIAddress]>] = [:]
  package var reservedMemory: [PCIAddress: Recorded<[ClosedRange<UInt64>]>] = [:]

  package init() {}
}

/// xenstored's answers, by path. Only nodes that Berth reads are here.
package struct StoreAnswers: Hashable, Sendable, Codable {
  /// Whether xenstored could be reached.
  package var connection: Recorded<Bool>?
  /// Null if there is no node.
  package var values: [String: String?] = [:]
  /// The names of children; null if there is no node.
  package var lists: [String: [String]?] = [:]
  package var failedReads: [String: HostError] = [:]
  package var failedLists: [String: HostError] = [:]

  package init() {}
}

/// The kernel's answers about single devices, and about drivers.
package struct TreeAnswers: Hashable, Sendable, Codable {
  package var hasPCIBack: Recorded<Bool>?
  /// The devices on pciback, in order.
  package var pcibackDevices: Recorded<[PCIAddress]>?
  package var permissiveDevices: Recorded<[PCIAddress]>?
  package var isPermissiveForAll: Recorded<Bool>?
  /// Null if there is no device.
  package var facts: [PCIAddress: Recorded<DeviceFacts?>] = [:]
  package var hasVirtualFunctions: [PCIAddress: Recorded<Bool>] = [:]
  /// Whether the kernel has an object for the back end of the domain of this number.
  package var backEndObjects: [String: Recorded<Bool>] = [:]
  /// What the kernel's log has of exports since the host booted; null if it could not be read.
  package var exports: Recorded<[ExportRecord]?>?
  package var bindings: [PCIAddress: Recorded<DriverBinding?>] = [:]
  package var slots: Recorded<[PCIAddress]>?

  package init() {}
}

/// The PCI functions of dom0.
package struct InventoryAnswers: Hashable, Sendable, Codable {
  /// Their names and chains, as if no fact was asked for.
  package var names: Recorded<[PCIFunction]>?
  /// The same functions with all facts.
  package var functions: Recorded<[PCIFunction]>?

  package init() {}
}

/// What dom0 uses its devices for, and how it starts.
package struct UsageAnswers: Hashable, Sendable, Codable {
  package var host: HostUsage?
  /// What an attempt to open each block device exclusively showed, by name.
  package var openings: [String: DiskOpening.Answer] = [:]
  package var boot: BootFacts?

  package init() {}
}

/// libxl's files, and what device models say.
package struct ToolstackAnswers: Hashable, Sendable, Codable {
  /// The parts of saved configurations that Berth reads, by domain; null if there is no file.
  package var savedConfigurations: [String: Recorded<String?>] = [:]
  package var locks: Recorded<[UserdataLock]>?
  package var deviceModels: [String: Recorded<EmulatedBus>] = [:]

  package init() {}
}

/// What QEMU shows to a guest.
package struct EmulatedBus: Hashable, Sendable, Codable {
  package var devices: [EmulatedDevice]
  /// In order; nil if the device model cannot tell.
  package var usedSlots: [UInt8]?

  package init(devices: [EmulatedDevice], usedSlots: [UInt8]?) { (self.devices, self.usedSlots) = (devices, usedSlots) }
}

/// Berth's own files, with the liveness of their writers as it was seen.
package struct RecordAnswers: Hashable, Sendable, Codable {
  package var owned: Recorded<OwnFiles<OwnershipRecord>>?
  package var intents: Recorded<OwnFiles<Intent>>?
  package var preparations: Recorded<OwnFiles<PreparationRecord>>?
  package var runs: Recorded<RunMarks>?

  package init() {}
}

/// The marks of run locks.
package struct RunMarks: Hashable, Sendable, Codable {
  package var marks: [DomainUUID: RunMark]
  package var damaged: [DamagedFile]

  package init(marks: [DomainUUID: RunMark], damaged: [DamagedFile]) { (self.marks, self.damaged) = (marks, damaged) }
}

/// The key of a domain between two reboots: `5 <uuid>`.
func key(_ domain: DomainKey) -> String { "\(domain.id) \(domain.uuid)" }
