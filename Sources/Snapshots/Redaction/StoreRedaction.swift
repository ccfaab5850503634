import Model

/// Replaces names and paths in the values of xenstore's nodes. What a node holds follows from its path.
struct StoreRedaction {
  let redactor: Redactor

  /// The nodes whose values are numbers, states, versions, and addresses of PCI.
  private static let plain: Set<String> = [
    "vm", "target", "type", "dm-version", "state", "num_devs", "online", "frontend", "domid", "driver_path",
    "device-model-domid", "bridge", "physical-device",
  ]
  private static let plainBeginnings = ["key-", "dev-", "vdev-", "opts-", "vdevfn-", "state-"]

  func redacted(_ answers: StoreAnswers) -> StoreAnswers {
    var new = answers
    new.connection = redactor.recorded(answers.connection)
    for (path, value) in answers.values {
      new.values[path] = .some(value.map { redacted($0, at: path) })
    }
    new.failedReads = answers.failedReads.mapValues { redactor.host($0) }
    new.failedLists = answers.failedLists.mapValues { redactor.host($0) }
    return new
  }

  private func redacted(_ value: String, at path: String) -> String {
    let parts = path.split(separator: "/")
    guard let last = parts.last else { return value }
    if last == "name" { return redactor.replace(value, path.hasPrefix("/libxl/pci/") ? .device : .domain) }
    if last.hasPrefix("name-") { return redactor.replace(value, .device) }
    if ["params", "physical-device-path"].contains(last) { return disk(value) }
    // A guest writes what it likes.
    if last == "error", !path.hasPrefix("/local/domain/0/") { return value.isEmpty ? value : "…" }
    if Self.plain.contains(String(last)) || Self.plainBeginnings.contains(where: { last.hasPrefix($0) }) {
      return value
    }
    return redactor.text(value)
  }

  /// Replaces the path in a text such as `aio:/images/web.img`.
  private func disk(_ text: String) -> String {
    guard let slash = text.firstIndex(of: "/") else { return text.isEmpty ? text : redactor.item(text) }
    let opening = text[..<slash]
    // The words before a path are QEMU's or the hotplug script's.
    let isKnown = opening.isEmpty || opening.hasSuffix(":")
    return isKnown ? opening + redactor.path(String(text[slash...])) : redactor.path(text)
  }
}
