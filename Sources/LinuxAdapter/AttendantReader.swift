import Model

/// By what people and the firmware work with a host: its consoles, keyboards, security modules, watchdogs.
struct AttendantReader {
  private let root: Root
  private let files = FactFiles()

  init(root: Root) { self.root = root }

  /// Reads what can be read into `usage`.
  func read(into usage: inout HostUsage) {
    do throws(ReadFailure) { usage.attendants.consoles = try consoles() } catch { usage.unread[.consoles] = error }
    do throws(ReadFailure) { usage.attendants.keyboards = try keyboards() } catch { usage.unread[.keyboards] = error }
    do throws(ReadFailure) {
      usage.attendants.securityModules = try members(of: root.securityModules, named: "tpm")
      usage.attendants.watchdogs = try members(of: root.watchdogs, named: "watchdog")
      usage.attendants.managementControllers = try members(of: root.managementControllers, named: "ipmi")
    } catch { usage.unread[.attendants] = error }
  }

  /// Returns the members of a class with a name and a number, each with the functions in its folder's path.
  private func members(of folder: String, named word: String) throws(ReadFailure) -> [Attendant] {
    try files.names(folder).filter { $0.hasPrefix(word) && decimal($0.dropFirst(word.count)) != nil }.map {
      (name) throws(ReadFailure) in
      let target = try files.link("\(folder)/\(name)") ?? ""
      return Attendant(name: name, functions: FactFiles.functions(in: target))
    }
  }

  /// Reads `ttyS0                -W- (EC   p a)    4:64` (`show_console_dev`, Linux fs/proc/consoles.c, 6.1). What has no
  /// number sends messages elsewhere, and nobody works at it.
  private func consoles() throws(ReadFailure) -> [Attendant] {
    try files.lines(root.consoles).map { (line) throws(ReadFailure) -> Attendant? in
      let words = line.split(separator: " ")
      guard words.count > 2, let open = line.firstIndex(of: "("), let close = line.firstIndex(of: ")"), open < close
      else { throw ReadFailure(place: root.consoles, .malformed) }
      guard line[open..<close].contains("E"), words.last?.contains(":") == true else { return nil }
      let name = String(words[0])
      let target = try files.link("\(root.terminals)/\(name)") ?? ""
      return Attendant(name: name, functions: FactFiles.functions(in: target))
    }.compactMap(\.self)
  }

  /// Reads the blocks of lines that describe devices of input (`input_devices_seq_show`, Linux drivers/input/input.c, 6.1).
  ///
  /// A keyboard has the keys with the numbers 1 to 31, from Escape to S. udev distinguishes it from a button in the same
  /// way (`test_key`, src/udev/udev-builtin-input_id.c, systemd 252).
  private func keyboards() throws(ReadFailure) -> [Attendant] {
    let needed: UInt64 = 0xFFFF_FFFE
    var keyboards: [Attendant] = []
    var (name, path) = ("", "")
    for line in try files.lines(root.inputDevices) {
      if line.hasPrefix("I: ") { (name, path) = ("", "") }
      if line.hasPrefix("N: Name=") { name = String(line.dropFirst(8).filter { $0 != "\"" }) }
      if line.hasPrefix("S: Sysfs=") { path = String(line.dropFirst(9)) }
      guard line.hasPrefix("B: KEY=") else { continue }
      guard let keys = line.dropFirst(7).split(separator: " ").last.flatMap({ hexadecimal($0, digits: 1...16) }) else {
        throw ReadFailure(place: root.inputDevices, .malformed)
      }
      if keys & needed == needed { keyboards.append(Attendant(name: name, functions: FactFiles.functions(in: path))) }
    }
    return keyboards
  }
}
