import Model
import Planning
import Ports
import XenProtocol

/// What became of devices that QEMU was asked to show.
struct Shown {
  /// Where QEMU shows each.
  var places: [PCIAddress: EmulatedDevice] = [:]
  /// Those it refused, with its words.
  var refused: [PCIAddress: String] = [:]
  /// Why it is not known what became of the others.
  var open: OutcomeDetail?
}

extension DomainWorker {
  /// Asks QEMU to show the guest devices that are on the bus.
  ///
  /// The device model's lock is held for each conversation and let go between two. The caller must hold no lock.
  /// In a stub domain a device is in sysfs a moment later than its pcifront is connected, so there QEMU is asked again
  /// where it cannot open the device (`device_pci_add_stubdom_ready`, libxl_pci.c, Xen 4.17).
  func show(_ held: [Held]) throws(Stop) -> Shown {
    if route.deviceModel == .traditional { return try showByNodes(held) }
    var shown = Shown()
    var pending = held
    let deadline = ContinuousClock.now + options.waitTimeout
    while true {
      var late: [Held] = []
      do throws(HostError) {
        try host.deviceModels.withDeviceModel(of: key, until: deadline) { (qemu) throws(HostError) in
          for held in pending {
            switch try Self.offer(held, to: qemu) {
            case nil: continue
            case let text? where isLate(text): late.append(held)
            case let text?: shown.refused[held.step.device] = text
            }
          }
          let devices = try qemu.devices()
          for held in pending {
            let name = DeviceModelName(held.step.device)
            shown.places[held.step.device] = devices.first { $0.name == name }
          }
        }
      } catch {
        guard case .deviceModel = error else { throw .failed(error) }
        // A device model that ends with its domain says nothing of its own.
        _ = try look()
        shown.open = OutcomeDetail(error)
        return shown
      }
      pending = late
      guard !pending.isEmpty else { return shown }
      switch try pauseBetweenConversations(.seconds(1), until: deadline) {
      case .goOn: continue
      case .interrupted: shown.open = "stopped before QEMU could open it"
      case .late: shown.open = "QEMU in the stub domain could not open it in time"
      }
      return shown
    }
  }

  /// Nil where QEMU has the device now; else its words.
  private static func offer(
    _ held: Held, to qemu: borrowing any DeviceModelConversation & ~Copyable
  ) throws(HostError) -> String? {
    let options = held.step.options
    do throws(HostError) {
      try qemu.add(held.step.device, slot: options.virtualSlot, permissive: options.permissive)
      return nil
    } catch {
      guard case .deviceModel(let failure) = error else { throw error }
      switch failure.code {
      // The name is the device's, and this guest's: an earlier run, or another toolstack, was here before.
      case .duplicate: return nil
      case .refused: return failure.detail ?? "it gave no reason"
      default: throw error
      }
    }
  }

  /// Whether QEMU's words say that the stub domain's kernel does not have the device yet.
  private func isLate(_ text: String) -> Bool {
    route.stubDomain != nil && text.contains("Could not open")
  }

  /// Asks QEMU to take devices from the guest, and waits until it shows them no more.
  ///
  /// Returns those that are gone; of the others an outcome is noted. The caller must hold no lock.
  func withdraw(_ steps: [Removal]) throws(Stop) -> [Removal] {
    if route.deviceModel == .traditional { return try withdrawByNodes(steps) }
    let deadline = ContinuousClock.now + options.waitTimeout
    // Names lack the segment: what is listed under a name is what QEMU shows under it, not a device that is not listed.
    let listed = Set(try look().backEnd.entries.compactMap(\.device))
    let staying = Set(listed.subtracting(steps.map(\.device)).map { DeviceModelName($0) })
    var left = steps.filter { listed.contains($0.device) || !staying.contains(DeviceModelName($0.device)) }
    guard !left.isEmpty else { return steps }
    var isAsked = false
    var pause = Duration.milliseconds(50)
    report(.waiting(eventDomain, steps.map { StepID($0, in: key.uuid) }, until: deadline))
    while true {
      do throws(HostError) {
        let devices = try host.deviceModels.withDeviceModel(of: key, until: deadline) {
          (qemu) throws(HostError) -> [EmulatedDevice] in
          if !isAsked { for step in left { try Self.askBack(DeviceModelName(step.device), qemu) } }
          return try qemu.devices()
        }
        isAsked = true
        let present = Set(devices.map(\.name))
        left.removeAll { !present.contains(DeviceModelName($0.device)) }
      } catch {
        guard case .deviceModel(let cause) = error else { throw .failed(error) }
        _ = try look()
        let isRefused = cause.code == .refused || cause.code == .unreachable || cause.code == .notPermitted
        conclude(
          left, isRefused ? .failed : .unknown, "QEMU did not take it from the guest: \(error)")
        break
      }
      guard !left.isEmpty else { break }
      let end = try pauseBetweenConversations(pause, until: deadline)
      guard case .goOn = end else {
        conclude(
          left, .unknown,
          "QEMU asked the guest to let go, and it has not \(end == .late ? "in time" : "yet: interrupted"); "
            + "the next apply takes it up", evidence: ["QEMU still shows it"])
        break
      }
      pause = min(pause * 2, .seconds(1))
    }
    return steps.filter { step in !left.contains { $0.device == step.device } }
  }

  private static func askBack(
    _ name: DeviceModelName, _ qemu: borrowing any DeviceModelConversation & ~Copyable
  ) throws(HostError) {
    do throws(HostError) { try qemu.remove(name) } catch {
      guard error.deviceModelCode == .unknownDevice else { throw error }
    }
  }

  private enum Pause { case goOn, interrupted, late }

  /// Lets others talk to QEMU. It tells of its events only to who is connected, and being connected keeps others out.
  private func pauseBetweenConversations(
    _ pause: Duration, until deadline: ContinuousClock.Instant
  ) throws(Stop) -> Pause {
    guard ContinuousClock.now < deadline else { return .late }
    let end = min(deadline, ContinuousClock.now + pause)
    let outcome = try wait(until: end, watching: [StorePath.home(key.id).child("vm")]) { () throws(Stop) -> Void? in
      try self.read(StorePath.home(self.key.id).child("vm")) == nil ? () : nil
    }
    switch outcome {
    case .satisfied: throw .gone
    case .interrupted: return .interrupted
    case .timedOut: return .goOn
    }
  }

  /// Writes down where QEMU shows devices: in the saved configuration, and in the guest's own back end as libxl does.
  func recordPlaces(_ places: [PCIAddress: EmulatedDevice], of held: [Held]) throws(Stop) {
    guard !places.isEmpty else { return }
    _ = try locked { (userdata) throws(HostError) in
      let listed = try transact { view -> ([PCIAddress: BackEndEntry], [StoreEdit]) in
        var listed: [PCIAddress: BackEndEntry] = [:]
        var edits: [StoreEdit] = []
        for (device, place) in places.sorted(by: { $0.key < $1.key }) {
          guard let entry = view.backEnd.entry(for: device) else { continue }
          listed[device] = entry
          guard !route.hasFrontEndDriver, entry.options.virtualSlot != place.slot else { continue }
          edits.append(
            .write(
              StorePath.backEnd(busID).child("\(EntryNode.vdevfn.rawValue)-\(entry.index)"),
              String(UInt64(place.slot) << 3 | UInt64(place.function), radix: 16)))
        }
        return (listed, edits)
      }
      guard let listed, case .present(let saved) = try savedConfiguration(userdata) else { return }
      let devices = held.compactMap { held -> SavedDevice? in
        guard let place = places[held.step.device], listed[held.step.device] != nil else { return nil }
        var options = held.step.options
        options.virtualSlot = place.slot
        return SavedDevice(address: held.step.device, options: options)
      }
      let new = try adding(devices, to: saved)
      try save(new, over: saved, userdata)
    }
  }
}
