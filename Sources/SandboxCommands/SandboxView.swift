import Model
package import Rendering
package import Sandbox

/// The devices of a sandbox's guests and hypervisor, for people and for programs.
struct SandboxView: View {
  var status: SandboxStatus

  var document: SandboxStatus { status }

  func text(_ style: TextStyle) -> TerminalText {
    var lines = ["\(status.host) · \(status.store.rawValue) xenstored, process \(status.storeProcess)", ""]
    for domain in status.domains {
      var parts = ["domid \(domain.id)", domain.kind.rawValue.uppercased()]
      parts.append(domain.isShutDown ? "shut down" : domain.isPaused ? "paused" : "running")
      if domain.answers != .normal { parts.append("answers \(domain.answers.rawValue)") }
      if domain.isLockHeld { parts.append("lock held") }
      if let stub = domain.stubDomain { parts.append("QEMU in domain \(stub)") }
      if let target = domain.target { parts.append("stub domain of \(target)") }
      if let model = domain.deviceModel {
        parts += model.isRunning ? [] : ["no QEMU"]
        parts += model.faults.map { "QEMU \($0.rawValue)" }
      }
      lines.append("\(domain.name)  \(parts.joined(separator: ", "))")
      for (seen, device) in domain.guestDevices.sorted(by: { $0.key < $1.key }) {
        lines.append("    the guest has \(device) at \(seen)")
      }
      for device in domain.deviceModel?.devices ?? [] {
        let place = hex(UInt64(device.slot), 2) + "." + hex(UInt64(device.function), 1)
        let what = device.address.map { "\($0)" } ?? "a bridge"
        lines.append(
          "    QEMU shows \(what) at \(place), \(device.name)" + (device.isLeaving ? ", asked to release it" : ""))
      }
      // pciback holds an HVM guest's devices, and the guest has them through QEMU.
      let emulated = (domain.deviceModel?.devices ?? []).compactMap(\.address)
      for (seen, device) in domain.exported.sorted(by: { $0.key < $1.key })
      where domain.guestDevices[seen] != device && !emulated.contains(device) {
        lines.append("    exported, not in the guest: \(device) at \(seen)")
      }
    }
    lines.append("Devices")
    for device in status.devices {
      let driver = device.driver.map { "driver \($0)" } ?? "no driver"
      lines.append("    \(device.address)  \(device.id)  \(driver), owner \(device.owner)")
    }
    return lines.map { style.printable($0) + "\n" }.joined()
  }
}

extension SandboxStatus: VersionedDocument {
  package static let head = DocumentHead(kind: "SandboxStatus", formatVersion: 1)
}
