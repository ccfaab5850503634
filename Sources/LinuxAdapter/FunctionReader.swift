import Glibc
import Model

/// Reads the facts of one PCI function. A failure makes one fact unknown, and the others are read all the same.
struct FunctionReader {
  private(set) var function: PCIFunction
  private let root: Root
  private let folder: String
  /// What is left of the link's target behind the last host bridge.
  private var way: [FunctionName] = []
  /// What was read of the files that can make their readers wait.
  private var answers: [BoundedRead.Question: BoundedRead.Answer] = [:]

  init(name: FunctionName, root: Root) {
    function = PCIFunction(name: name)
    self.root = root
    folder = "\(root.pciDevices)/\(name)"
  }

  // MARK: The path

  /// Reads every function in the path of the folder.
  ///
  /// `../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0`: behind Intel VMD a second host
  /// bridge begins.
  mutating func readChain() {
    do throws(ReadFailure) {
      guard let target = try link() else { throw ReadFailure(place: folder, .malformed) }
      let parts = target.split(separator: "/")
      function.chain = parts.compactMap { FunctionName($0) }
      let last = parts.lastIndex { $0.hasPrefix("pci") && $0.contains(":") } ?? parts.startIndex
      way = parts[last...].compactMap { FunctionName($0) }
      guard way.last == function.name else { throw ReadFailure(place: folder, .malformed) }
    } catch {
      function.chain = [function.name]
      function.unread[.path] = error
    }
  }

  mutating func readSecondaryBus() {
    attempt(.path) { reader throws(ReadFailure) in
      reader.function.secondaryBus = try reader.number("secondary_bus_number").flatMap { UInt8(exactly: $0) }
    }
  }

  /// Sets the path. `buses` has the first bus behind each bridge.
  mutating func readPath(buses: [FunctionName: UInt8]) {
    guard function.unread[.path] == nil else { return }
    attempt(.path) { reader throws(ReadFailure) in
      var steps: [PCIPath.Step] = []
      var first: UInt8 = 0
      for (index, name) in reader.way.enumerated() {
        if index > 0 {
          guard let bus = buses[reader.way[index - 1]], bus <= name.bus else {
            throw ReadFailure(
              place: "\(reader.root.pciDevices)/\(reader.way[index - 1])/secondary_bus_number", .malformed)
          }
          first = bus
        }
        steps.append(PCIPath.Step(bus: name.bus - first, place: name.place))
      }
      reader.function.path = PCIPath(segment: reader.function.name.segment, steps: steps)
    }
  }

  mutating func setSlots(_ labels: Result<[String: [String]], ReadFailure>) {
    switch labels {
    case .success(let labels):
      // A slot's address has no function.
      function.slots = labels[String(function.name.description.dropLast(2))] ?? []
    case .failure(let failure): function.unread[.slot] = failure
    }
  }

  // MARK: The facts

  /// Returns the files for these facts that can make their readers wait. They are read for all functions together.
  func questions(_ facts: Set<FunctionFact>, isBridge: Bool) -> [BoundedRead.Question] {
    var questions: [BoundedRead.Question] = []
    if isBridge { questions.append(.init("\(folder)/secondary_bus_number")) }
    if facts.contains(.driverOverride) { questions.append(.init("\(folder)/driver_override")) }
    if facts.contains(.virtualFunctions) { questions.append(.init("\(folder)/sriov_numvfs")) }
    if facts.contains(.serial) || facts.contains(.isolation) {
      questions.append(.init("\(folder)/config", .configuration))
    }
    return questions
  }

  mutating func take(_ found: some Sequence<(BoundedRead.Question, BoundedRead.Answer)>) {
    for (question, answer) in found { answers[question] = answer }
  }

  mutating func read(_ facts: Set<FunctionFact>) {
    for fact in facts { attempt(fact) { reader throws(ReadFailure) in try reader.read(fact) } }
  }

  private mutating func attempt(
    _ fact: FunctionFact, _ body: (inout FunctionReader) throws(ReadFailure) -> Void
  ) {
    do throws(ReadFailure) { try body(&self) } catch { function.unread[fact] = error }
  }

  private mutating func read(_ fact: FunctionFact) throws(ReadFailure) {
    switch fact {
    case .path, .slot: break
    // Xen has these.
    case .companions, .reservedMemory: break
    case .ids: try readIDs()
    case .revision:
      function.revision = try parsed("revision", byte)
      if function.revision == nil { throw missing("revision") }
    case .driver: function.driver = try linkName("driver")
    case .driverOverride:
      // `(null)` if there is none (`driver_override_show`, Linux drivers/pci/pci-sysfs.c, 6.1).
      function.driverOverride = try text("driver_override").flatMap { $0 == "(null)" || $0.isEmpty ? nil : $0 }
    case .serial:
      let serial = try configuration { $0.serial() }
      switch serial {
      case .known(let text): function.serial = text
      case .hidden(let number): throw ReadFailure(place: folder + "/config", .failed(number))
      }
    case .isolation:
      function.isolation = try configuration { $0.isolation() }
    case .interfaces: try readInterfaces()
    case .nvme: try readControllers()
    case .virtualFunctions: try readVirtualFunctions()
    case .reset:
      function.reset = ResetMethods(
        isPossible: try isThere("reset"),
        methods: try text("reset_method").map { $0.split(separator: " ").map(String.init) })
    case .power:
      function.power = PowerState(
        state: try text("power_state"), mayReachD3Cold: try number("d3cold_allowed").map { $0 != 0 })
    case .interrupt:
      let line = try parsed("irq") { UInt32($0) }
      function.interrupt = Interrupt(
        line: line.flatMap { DeviceGrants.isInterrupt($0) ? $0 : nil }, usesMessages: try !names("msi_irqs").isEmpty)
    case .resources:
      function.resources = try parsed("resource", DeviceResource.list) ?? []
    case .bootDisplay: function.isBootDisplay = try number("boot_vga").map { $0 != 0 }
    }
  }

  private mutating func readIDs() throws(ReadFailure) {
    guard let names = try parsed("modalias", { ModuleAlias($0) }) else { throw missing("modalias") }
    (function.id, function.subsystem, function.deviceClass) = (names.id, names.subsystem, names.deviceClass)
  }

  private mutating func readControllers() throws(ReadFailure) {
    for name in try names("nvme") {
      let file = "nvme/\(name)/serial"
      guard let serial = try text(file) else { throw missing(file) }
      let model = try text("nvme/\(name)/model")
      function.nvme.append(
        NVMeController(
          name: name, serial: serial.isEmpty ? nil : serial, model: model.flatMap { $0.isEmpty ? nil : $0 }))
    }
  }

  private mutating func readVirtualFunctions() throws(ReadFailure) {
    // The links are made by `pci_iov_add_virtfn`, and the numbers shown by `sriov_totalvfs_show` (Linux
    // drivers/pci/iov.c, 6.1).
    function.virtualisation.parent = try linkName("physfn").flatMap { FunctionName($0) }
    guard let limit = try number("sriov_totalvfs") else { return }
    function.virtualisation.limit = limit
    guard let existing = try number("sriov_numvfs"), existing > 0 else { return }
    for name in try names("") where name.hasPrefix("virtfn") {
      if let child = try linkName(name).flatMap({ FunctionName($0) }) { function.virtualisation.children.append(child) }
    }
    function.virtualisation.children.sort()
  }

  // MARK: Network interfaces

  private mutating func readInterfaces() throws(ReadFailure) {
    for name in try names("net") {
      do throws(ReadFailure) {
        function.interfaces.append(NetworkInterface(name: name, address: try ownAddress(of: name)))
      } catch {
        function.interfaces.append(NetworkInterface(name: name, address: nil))
        function.unread[.interfaces] = error
      }
    }
  }

  /// Returns the address that the card itself has; nil if it has none.
  ///
  /// A bond gives its own address to its cards, and a person can set any. Then `addr_assign_type` is not 0
  /// (`NET_ADDR_PERM`, include/uapi/linux/netdevice.h, Linux 6.1), and the bonding driver shows the card's own one.
  private func ownAddress(of interface: String) throws(ReadFailure) -> MACAddress? {
    let folder = "net/\(interface)"
    guard let text = try text("\(folder)/address") else { throw missing("\(folder)/address") }
    guard let shown = MACAddress(text) else { return nil }
    switch try number("\(folder)/addr_assign_type") {
    case 0, nil: return shown.isIdentity ? shown : nil
    // `NET_ADDR_RANDOM`: the card has no address of its own.
    case 1: return nil
    default: break
    }
    if let bond = try linkName("\(folder)/master"), let cards = try content("\(root.bonds)/\(bond)"),
      let address = permanentAddress(of: interface, inBond: cards)
    {
      return address
    }
    throw ReadFailure(place: "\(self.folder)/\(folder)/address", .overwritten)
  }

  // MARK: Files

  /// Returns a file's value; nil if there is no file.
  private func parsed<Value>(_ name: String, _ parse: (String) -> Value?) throws(ReadFailure) -> Value? {
    guard let text = try text(name) else { return nil }
    guard let value = parse(text) else { throw ReadFailure(place: "\(folder)/\(name)", .malformed) }
    return value
  }

  /// Returns the failure for a file that each function has.
  private func missing(_ name: String) -> ReadFailure { ReadFailure(place: "\(folder)/\(name)", .failed(ENOENT)) }

  /// Returns a file's text without blanks at its ends; nil if there is no file.
  private func text(_ name: String) throws(ReadFailure) -> String? {
    guard let text = try content("\(folder)/\(name)") else { return nil }
    // What is not text has become this character.
    guard !text.unicodeScalars.contains("\u{FFFD}") else {
      throw ReadFailure(place: "\(folder)/\(name)", .malformed)
    }
    return trimmed(text)
  }

  /// Returns a file's decimal number; nil if there is no file.
  private func number(_ name: String) throws(ReadFailure) -> Int? { try parsed(name) { decimal($0) } }

  private func content(_ path: String) throws(ReadFailure) -> String? {
    do throws(SystemFailure) {
      if let answer = answers[.init(path)] { return try attribute(try answer.get()) }
      return try readAttribute(path)
    } catch {
      if error.errno == ENOENT { return nil }
      throw ReadFailure(error, path)
    }
  }

  private func isThere(_ name: String) throws(ReadFailure) -> Bool {
    do throws(SystemFailure) { return try exists("\(folder)/\(name)") } catch {
      throw ReadFailure(place: "\(folder)/\(name)", .failed(error.errno))
    }
  }

  /// Returns the names in a folder below the function's; none if there is no such folder.
  private func names(_ name: String) throws(ReadFailure) -> [String] {
    let path = name.isEmpty ? folder : "\(folder)/\(name)"
    do throws(SystemFailure) { return try listFolder(path) } catch {
      if error.errno == ENOENT { return [] }
      throw ReadFailure(place: path, .failed(error.errno))
    }
  }

  /// Returns the target of the function's own link; nil if there is a folder in its place.
  private func link() throws(ReadFailure) -> String? {
    do throws(SystemFailure) { return try readLink(folder) } catch {
      throw ReadFailure(place: folder, .failed(error.errno))
    }
  }

  /// Returns the last part of a link's target; nil if there is no link.
  private func linkName(_ name: String) throws(ReadFailure) -> String? {
    do throws(SystemFailure) {
      return try readLink("\(folder)/\(name)")?.split(separator: "/").last.map(String.init)
    } catch { throw ReadFailure(place: "\(folder)/\(name)", .failed(error.errno)) }
  }

  /// Asks the configuration space. A nil answer means that the space ended too early.
  private func configuration<Value>(
    _ body: (ConfigurationSpace) -> Value?
  ) throws(ReadFailure) -> Value {
    let path = folder + "/config"
    do throws(SystemFailure) {
      let question = BoundedRead.Question(path, .configuration)
      guard let answer = answers[question] else { throw SystemFailure("read", EIO) }
      let space = ConfigurationSpace(try answer.get())
      guard space.answers() else { throw SystemFailure("read", 0) }
      guard let value = body(space) else { throw SystemFailure("read", EPERM) }
      return value
    } catch {
      throw error.errno == 0 ? ReadFailure(place: path, .silent) : ReadFailure(error, path)
    }
  }
}

/// Returns a text without blanks and line ends at its ends.
private func trimmed(_ text: String) -> String {
  var rest = text[...]
  while let last = rest.last, last.isWhitespace { rest.removeLast() }
  while let first = rest.first, first.isWhitespace { rest.removeFirst() }
  return String(rest)
}

/// Returns a card's own address from what the bonding driver shows of a bond (`bond_info_show_slave`, Linux
/// drivers/net/bonding/bond_procfs.c, 6.1).
private func permanentAddress(of interface: String, inBond text: String) -> MACAddress? {
  var isHere = false
  for line in text.split(separator: "\n") {
    if line.hasPrefix("Slave Interface: ") { isHere = line.dropFirst(17) == interface }
    if isHere, line.hasPrefix("Permanent HW addr: ") { return MACAddress(line.dropFirst(19)) }
  }
  return nil
}

/// Returns the number in a text such as `0x03`; nil if the text is none.
private func byte(_ text: String) -> UInt8? {
  guard text.hasPrefix("0x") else { return nil }
  return hexadecimal(text.dropFirst(2), digits: 1...2).map { UInt8($0) }
}
