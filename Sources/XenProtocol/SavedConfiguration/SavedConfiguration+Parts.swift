import Model

extension SavedConfiguration {
  /// The keys of what a toolstack does with a domain that has shut down, by Xen's reason for that (`SHUTDOWN_*`,
  /// xen/include/public/sched.h).
  package static let eventKeys: [UInt8: String] = [
    0: "on_poweroff", 1: "on_reboot", 3: "on_crash", 4: "on_watchdog", 5: "on_soft_reset",
  ]

  /// More bytes than any of libxl's words for an event has.
  private static let longestWord = 32

  /// The parts that Berth reads, as the text of another file: the devices, and the words for events.
  ///
  /// Everything else is left out. A configuration also has the passwords of a guest's displays.
  package var readParts: String {
    let text = bytes.dropLast()
    let devices = elements.map { String(decoding: text[$0.range], as: UTF8.self) }
    var members = ["\"\(Self.listKey)\": [\(devices.joined(separator: ", "))]"]
    for key in Self.eventKeys.values.sorted() {
      guard let word = word(key), word.utf8.count <= Self.longestWord else { continue }
      members.append("\"\(key)\": \(jsonString(word))")
    }
    return "{" + members.joined(separator: ", ") + "}"
  }
}
