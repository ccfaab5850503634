import Model
import Ports

/// dom0's PCI functions as they are recorded, or as they were.
struct SnapshotInventory: InventoryPort {
  let book: AnswerBook
  let live: (any InventoryPort)?

  private static let all = Set(FunctionFact.allCases)

  /// Returns the functions with these facts alone, as a reader that was asked for no others has them.
  func inventory(of facts: Set<FunctionFact>) throws(HostError) -> Inventory {
    let names = try book.answer(
      \.inventory.names, or: .tree(unanswered("inventory")),
      live
    ) { (live) throws(HostError) in try live.inventory(of: []).functions }
    guard !facts.isEmpty else { return Inventory(functions: names, facts: facts) }
    let whole = try book.answer(
      \.inventory.functions, or: .tree(unanswered("inventory")),
      live
    ) { (live) throws(HostError) in try live.inventory(of: Self.all).functions }
    let bare = Dictionary(names.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return Inventory(
      functions: whole.map { $0.keeping(facts, of: bare[$0.name] ?? PCIFunction(name: $0.name)) }, facts: facts)
  }

  func productData(of device: FunctionName) throws(HostError) -> ProductData? {
    throw .tree(unanswered("product-data", device))
  }
}

extension PCIFunction {
  /// Returns the function with these of its facts. `bare` is what is known without any.
  func keeping(_ facts: Set<FunctionFact>, of bare: PCIFunction) -> PCIFunction {
    var function = bare
    function.chain = chain
    for fact in facts { function.take(fact, from: self) }
    return function
  }

  private mutating func take(_ fact: FunctionFact, from other: PCIFunction) {
    unread[fact] = other.unread[fact]
    switch fact {
    case .ids: (id, subsystem, deviceClass) = (other.id, other.subsystem, other.deviceClass)
    case .revision: revision = other.revision
    case .path: (path, secondaryBus) = (other.path, other.secondaryBus)
    case .driver: driver = other.driver
    case .driverOverride: driverOverride = other.driverOverride
    case .slot: slots = other.slots
    case .serial: serial = other.serial
    case .interfaces: interfaces = other.interfaces
    case .nvme: nvme = other.nvme
    case .virtualFunctions: virtualisation = other.virtualisation
    case .reset: reset = other.reset
    case .power: power = other.power
    case .isolation: isolation = other.isolation
    case .interrupt: interrupt = other.interrupt
    case .resources: resources = other.resources
    case .bootDisplay: isBootDisplay = other.isBootDisplay
    // Xen has these, and another port answers them.
    case .companions, .reservedMemory: break
    }
  }
}

/// What dom0 uses its devices for, as it is recorded, or as it was.
struct SnapshotUsage: HostUsagePort {
  let book: AnswerBook
  let live: (any HostUsagePort)?

  /// The failure of each question that the snapshot has no answer to.
  private static let missing = ReadFailure(place: "the snapshot", .failed(ErrorNumber.noEntry.rawValue))

  func usage() -> HostUsage {
    let usage = book.answer(\.usage.host, live) { $0.usage() }
    if let usage { return usage }
    var unknown = HostUsage()
    for fact in HostUsage.Fact.allCases { unknown.unread[fact] = Self.missing }
    return unknown
  }

  func openings(of disks: [String]) -> [DiskOpening] {
    disks.map { disk in
      let answer = book.answer(
        \.usage.openings[disk],
        live
      ) { $0.openings(of: [disk]).first?.answer ?? .failed(Self.missing) }
      return DiskOpening(disk: disk, answer: answer ?? .failed(Self.missing))
    }
  }
}

/// How dom0 starts, as it is recorded, or as it was.
struct SnapshotBoot: BootPort {
  let book: AnswerBook
  let live: (any BootPort)?

  func boot() -> BootFacts {
    book.answer(\.usage.boot, live) { $0.boot().withoutOtherWords } ?? BootFacts()
  }

  func bootID() -> String? { boot().bootID }

  func nativeDrivers(of functions: [PCIFunction]) throws(DeviceTreeError) -> [FunctionName: [NativeDriver]] {
    throw unanswered("native-drivers")
  }

  func replaceModuleOptions(with bytes: [UInt8]) throws(RecordError) -> String {
    throw refusedChange(of: "write")
  }
}

extension BootFacts {
  /// The facts with letters in place of each word of the command line that Berth does not read. The length stays.
  ///
  /// Command lines have passwords, for example that of an iSCSI target (`rd.iscsi.password`, dracut.cmdline(7)).
  fileprivate var withoutOtherWords: BootFacts {
    var facts = self
    facts.commandLine = commandLine.map { line in
      line.split(separator: " ", omittingEmptySubsequences: false).map { word in
        ["xen-pciback.", "xen_pciback."].contains { word.hasPrefix($0) }
          ? String(word) : String(repeating: "x", count: word.utf8.count)
      }.joined(separator: " ")
    }
    return facts
  }
}
