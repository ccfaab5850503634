import Glibc
package import Model
package import Ports

/// How dom0 starts, from proc and from the kernel's lists of modules.
package struct BootReader: BootPort {
  /// More than the aliases of all of Linux's modules, of which Debian 12 has 1.3 MB.
  private static let mostBytes = 16 << 20

  private let root: Root

  /// `root` is `/`, or the folder that replaces it for a sandbox or a captured host.
  package init(root: String) { self.root = Root(root) }

  package func boot() -> BootFacts {
    var facts = BootFacts()
    facts.kernel = kernel
    facts.commandLine = line(root.commandLine)
    if let kernel, let list = text(root.modules(of: kernel) + "/modules.builtin") {
      facts.isPCIBackBuiltIn = list.split(separator: "\n").contains { Self.module(atPath: $0) == "xen_pciback" }
    }
    // The kernel prints `(null)` for a parameter that nobody set (`param_get_charp`, Linux kernel/params.c, 6.1).
    facts.hideParameter = line(root.pcibackHide).map { $0 == "(null)" ? "" : $0 }
    facts.moduleOptions = moduleOptions()
    if let kernel { facts.image = root.images(of: kernel).lazy.compactMap(dated).first }
    facts.bootID = bootID()
    return facts
  }

  package func bootID() -> String? { line(root.bootID).map { String($0.prefix(64)) } }

  /// Reads the lines `options xen-pciback hide=…` (modprobe.d(5)). A folder with more files than a system has is cut.
  private func moduleOptions() -> [BootFacts.ModuleOptions] {
    let names: [String]
    do throws(SystemFailure) { names = try listFolder(root.moduleConfigurations) } catch { return [] }
    return names.filter { $0.hasSuffix(".conf") }.prefix(500).flatMap { name -> [BootFacts.ModuleOptions] in
      let path = "\(root.moduleConfigurations)/\(name)"
      guard let file = dated(path), let text = text(path) else { return [] }
      // A backslash at its end continues a line.
      return text.replacing("\\\n", with: " ").split(separator: "\n").flatMap { line -> [BootFacts.ModuleOptions] in
        let words = line.split { $0 == " " || $0 == "\t" }
        guard words.first == "options", words.count > 2, Self.module(String(words[1])) == "xen_pciback" else {
          return []
        }
        return words.dropFirst(2).filter { $0.hasPrefix("hide=") }.map {
          BootFacts.ModuleOptions(path: path, hide: String($0.dropFirst(5)), changedAt: file.changedAt)
        }
      }
    }
  }

  /// Returns a regular file with its time; nil if there is none.
  private func dated(_ path: String) -> BootFacts.DatedFile? {
    var found = stat()
    guard unsafe stat(path, &found) == 0, found.st_mode & S_IFMT == S_IFREG else { return nil }
    return BootFacts.DatedFile(path: path, changedAt: Int64(found.st_mtim.tv_sec))
  }

  package func nativeDrivers(
    of functions: [PCIFunction]
  ) throws(DeviceTreeError) -> [FunctionName: [NativeDriver]] {
    guard let kernel else {
      throw DeviceTreeError(SystemFailure("read", ENOENT), root.kernelRelease)
    }
    let path = root.modules(of: kernel) + "/modules.alias"
    let bytes: [UInt8]
    do throws(SystemFailure) { bytes = try readFile(path, atMost: Self.mostBytes) } catch {
      throw DeviceTreeError(error, path)
    }
    let wanted = functions.compactMap { function in Self.alias(of: function).map { (function.name, Array($0.utf8)) } }
    var found: [FunctionName: Set<String>] = [:]
    // `alias pci:v00008086d00001533sv*sd*bc*sc*i* igb` (modules.alias, depmod(8)).
    for line in bytes.split(separator: UInt8(ascii: "\n")) where line.starts(with: "alias pci:".utf8) {
      let words = line.split(separator: UInt8(ascii: " "))
      guard words.count == 3 else { continue }
      for (name, alias) in wanted where Self.matches(words[1], alias) {
        found[name, default: []].insert(Self.module(String(decoding: words[2], as: UTF8.self)))
      }
    }
    return Dictionary(
      functions.map { function in
        var modules = found[function.name] ?? []
        var drivers: [NativeDriver] = []
        if let driver = function.driver, driver != DriverBinding.pciback {
          if let module = module(ofDriverOf: function.name) {
            modules.insert(module)
          } else {
            drivers.append(NativeDriver(builtIn: driver))
          }
        }
        // These take a device only if somebody asks them to.
        modules.subtract(["xen_pciback", "pci_stub", "vfio_pci"])
        return (function.name, modules.sorted().map { NativeDriver(module: $0) } + drivers)
      }, uniquingKeysWith: { first, _ in first })
  }

  package func replaceModuleOptions(with bytes: [UInt8]) throws(RecordError) -> String {
    let path = root.moduleOptions
    try replaceTextFile(path, with: bytes)
    return path
  }

  // MARK: Files

  private var kernel: String? {
    line(root.kernelRelease).flatMap {
      $0.isEmpty || $0.utf8.contains(UInt8(ascii: "/")) || $0.hasPrefix(".") ? nil : $0
    }
  }

  /// Returns the text of a file; nil if it cannot be read.
  private func text(_ path: String) -> String? {
    do throws(SystemFailure) {
      return String(decoding: try readFile(path, atMost: Self.mostBytes), as: UTF8.self)
    } catch { return nil }
  }

  /// Returns the first line of a file; nil if the file cannot be read.
  private func line(_ path: String) -> String? { text(path).map { String($0.prefix { $0 != "\n" }) } }

  /// Returns the module of the driver that has a function; nil if the driver is a part of the kernel, or if that cannot be
  /// read.
  private func module(ofDriverOf function: FunctionName) -> String? {
    do throws(SystemFailure) {
      return try readLink("\(root.pciDevices)/\(function)/driver/module")?.split(separator: "/").last
        .map { Self.module(String($0)) }
    } catch { return nil }
  }

  // MARK: Names

  /// `kernel/drivers/net/igb.ko` is `igb`.
  private static func module(atPath path: Substring) -> String {
    module(String((path.split(separator: "/").last ?? "").prefix { $0 != "." }))
  }

  private static func module(_ name: String) -> String { name.replacing("-", with: "_") }

  /// Returns what udev asks modprobe for (`pci_uevent`, Linux drivers/pci/pci-driver.c, 6.1); nil if the ids are not known.
  static func alias(of function: PCIFunction) -> String? {
    guard let id = function.id, let deviceClass = function.deviceClass else { return nil }
    func upper(_ number: UInt64, _ digits: Int) -> String { hex(number, digits).uppercased() }
    let subsystem = function.subsystem ?? DeviceID(vendor: 0, device: 0)
    return "pci:v\(upper(UInt64(id.vendor), 8))d\(upper(UInt64(id.device), 8))"
      + "sv\(upper(UInt64(subsystem.vendor), 8))sd\(upper(UInt64(subsystem.device), 8))"
      + "bc\(upper(UInt64(deviceClass >> 16 & 0xFF), 2))sc\(upper(UInt64(deviceClass >> 8 & 0xFF), 2))"
      + "i\(upper(UInt64(deviceClass & 0xFF), 2))"
  }

  /// Returns whether a pattern fits a text as a whole, where `*` stands for any part.
  static func matches(_ pattern: some Collection<UInt8>, _ text: [UInt8]) -> Bool {
    let pattern = Array(pattern)
    var (position, place) = (0, 0)
    /// Where to continue if the last `*` has to stand for one byte more.
    var retry: (position: Int, place: Int)?
    while place < text.count {
      if position < pattern.count, pattern[position] == UInt8(ascii: "*") {
        position += 1
        retry = (position, place)
      } else if position < pattern.count, pattern[position] == text[place] {
        position += 1
        place += 1
      } else if let last = retry {
        position = last.position
        place = last.place + 1
        retry = (position, place)
      } else {
        return false
      }
    }
    return pattern[position...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
