import Glibc
import Model
import Ports
import XenProtocol

/// qemu-traditional: it has no socket, but three nodes of xenstore (`xenstore_process_dm_command_event`, xenstore.c,
/// and `acpi_php_add`, hw/piix4acpi.c, qemu-xen-traditional of Xen 4.17).
extension SandboxServer {
  /// Returns the directory of the nodes that a guest's qemu-traditional serves; nil if it has another QEMU.
  private func traditionalNodes(of model: DeviceModelServer) -> String? {
    guard model.version == .traditional else { return nil }
    return "/local/domain/\(model.stubDomain ?? .zero)/device-model/\(model.domain)"
  }

  /// Adds watches for commands. An existing watch is no error.
  func watchDeviceModels() throws(StoreError) {
    for nodes in deviceModels.values.compactMap(traditionalNodes) {
      do throws(StoreError) { try store.watch(nodes) } catch  where error.errno == EEXIST { continue }
    }
  }

  /// Executes the command after a node has changed.
  func deviceModelChanged(_ path: String, at now: ContinuousClock.Instant) throws(StoreError) {
    for model in deviceModels.values where model.isRunning && !model.isStopped {
      guard let nodes = traditionalNodes(of: model), path == nodes + "/command",
        let command = try store.read(path), let parameter = try store.read(nodes + "/parameter")
      else { continue }
      switch command {
      case "pci-ins":
        let answer = model.insert(parameter)
        if case .done(let place) = answer { try store.write(nodes + "/parameter", place) }
        if answer != .nothing {
          try store.write(nodes + "/state", answer == .refused ? "pci-insert-failed" : "pci-inserted")
        }
      case "pci-rem": model.eject(parameter, at: now)
      default: continue
      }
    }
  }

  /// Does what is due in each device model.
  func stepDeviceModels(at now: ContinuousClock.Instant) throws(StoreError) {
    for model in deviceModels.values where !model.isStopped {
      let gone = model.step(at: now)
      if !gone.isEmpty, let nodes = traditionalNodes(of: model) { try store.write(nodes + "/state", "pci-removed") }
    }
  }
}

extension DeviceModelServer {
  /// The result of a `pci-ins`.
  enum Insertion: Hashable {
    case nothing, refused
    /// Slot and function in one number, as QEMU writes it.
    case done(String)
  }

  /// Reads the address from `0000:03:00.0@28,msitranslate=0,power_mgmt=0`, and the place between `@` and the comma.
  private static func parse(_ parameter: String) -> (address: PCIAddress, place: UInt8?)? {
    let words = (parameter.split(separator: ",").first ?? "").split(separator: "@")
    guard let text = words.first, let address = PCIAddress(text) else { return nil }
    guard words.count > 1 else { return (address, nil) }
    return UInt8(words[1], radix: 16).map { (address, $0) }
  }

  func insert(_ parameter: String) -> Insertion {
    let fault = takeFault("device_add")
    if fault?.kind == .silent { return .nothing }
    guard fault?.kind != .refuses, let (address, place) = Self.parse(parameter) else { return .refused }
    var arguments: [(name: String, value: JSONText)] = [
      ("driver", .text(EmulatedMachine.passthrough)), ("id", .text(DeviceModelName(address).description)),
      ("hostaddr", .text("\(address)")),
    ]
    if let place { arguments.append(("addr", .integer(place))) }
    do throws(QMPFailure) { try machine.add(arguments, find: find) } catch { return .refused }
    guard let device = machine.devices.last else { return .refused }
    return .done("0x" + String(device.slot << 3 | device.function, radix: 16))
  }

  /// Removes a device. If the device is not there, it does nothing and sends no answer.
  func eject(_ parameter: String, at now: ContinuousClock.Instant) {
    guard takeFault("device_del") == nil, let (address, _) = Self.parse(parameter) else { return }
    // A second request finds the first one in progress; it also sends no answer.
    do throws(QMPFailure) {
      try machine.remove([("id", .text(DeviceModelName(address).description))], at: now)
    } catch { return }
  }
}
