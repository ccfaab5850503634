import Model
import Planning
import Ports
import XenProtocol

/// QEMU, which is talked to over QMP.
///
/// The device model's lock is held for each conversation, and released between two.
struct QMPGuestModel: GuestModel {
  let session: DomainSession
  let report: RunReport

  /// Asks QEMU to show the guest devices that are on the bus.
  ///
  /// In a stub domain a device is in sysfs a moment later than its pcifront is connected. There QEMU is asked again if
  /// it cannot open the device (`device_pci_add_stubdom_ready`, libxl_pci.c, Xen 4.17).
  func show(_ held: [ClaimedDevice]) throws(EngineError) -> DeviceModelAnswer {
    var shown = DeviceModelAnswer()
    var pending = held
    let deadline = session.answerDeadline()
    while true {
      var late: [ClaimedDevice] = []
      do throws(HostError) {
        try session.host.deviceModels.withDeviceModel(of: session.key, until: deadline) { (qemu) throws(HostError) in
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
        guard case .deviceModel = error else { throw .host(error) }
        // A device model that ends with its domain says nothing of its own.
        _ = try session.look()
        shown.open = OutcomeDetail(error)
        return shown
      }
      pending = late
      guard !pending.isEmpty else { return shown }
      switch try pauseBetweenConversations(.seconds(1), until: deadline) {
      case .goOn: continue
      case .interrupted: shown.open = OutcomeDetail(.stoppedBeforeQEMU)
      case .late: shown.open = OutcomeDetail(.openedTooLate)
      }
      return shown
    }
  }

  /// Returns nil if QEMU has the device now; otherwise its words.
  private static func offer(
    _ held: ClaimedDevice, to qemu: borrowing any DeviceModelConversation & ~Copyable
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

  /// What QEMU says if its kernel does not have the device yet: the first in every version, the others from 9.1 on
  /// (`xen_host_pci_fill_local_addr`, hw/xen/xen-host-pci-device.c, QEMU 10.0).
  private static let lateTexts = [
    "Could not open", "Failed to find PCI device", "Failed to read or parse", "Failed to read device/pci/0/backend",
  ]

  /// Returns whether QEMU's words say that the stub domain's kernel does not have the device yet.
  private func isLate(_ text: String) -> Bool {
    session.route.stubDomain != nil && Self.lateTexts.contains { text.contains($0) }
  }

  /// Asks QEMU to take devices from the guest, and waits until QEMU no longer shows them.
  ///
  /// Returns those that are gone; of the others an outcome is reported.
  func withdraw(_ steps: [Removal]) throws(EngineError) -> [Removal] {
    let deadline = session.answerDeadline()
    // Names lack the segment: what is listed under a name is what QEMU shows under it, not a device that is not listed.
    let listed = Set(try session.look().backEnd.entries.compactMap(\.device))
    let staying = Set(listed.subtracting(steps.map(\.device)).map { DeviceModelName($0) })
    var left = steps.filter { listed.contains($0.device) || !staying.contains(DeviceModelName($0.device)) }
    guard !left.isEmpty else { return steps }
    var isAsked = false
    var backoff = Backoff(from: .milliseconds(50), to: .seconds(1))
    report.announceWait(steps, until: deadline)
    while true {
      do throws(HostError) {
        let devices = try session.host.deviceModels.withDeviceModel(of: session.key, until: deadline) {
          (qemu) throws(HostError) -> [EmulatedDevice] in
          if !isAsked { for step in left { try Self.askBack(DeviceModelName(step.device), qemu) } }
          return try qemu.devices()
        }
        isAsked = true
        let present = Set(devices.map(\.name))
        left.removeAll { !present.contains(DeviceModelName($0.device)) }
      } catch {
        guard case .deviceModel(let cause) = error else { throw .host(error) }
        _ = try session.look()
        // The last look began too late to be answered. What was seen before it counts.
        if isAsked, cause.code == .timedOut || cause.code == .busy, ContinuousClock.now >= deadline {
          concludeKept(left, .late)
        } else {
          conclude(left, cause, error, isAsked: isAsked)
        }
        break
      }
      guard !left.isEmpty else { break }
      let end = try pauseBetweenConversations(backoff.next(), until: deadline)
      guard case .goOn = end else {
        concludeKept(left, end)
        break
      }
    }
    return steps.filter { step in !left.contains { $0.device == step.device } }
  }

  /// QEMU has asked the guest, and the guest keeps the devices.
  private func concludeKept(_ left: [Removal], _ end: Pause) {
    report.conclude(
      left, .unknown, OutcomeDetail(end == .late ? .keptTooLong : .keptAtStop),
      evidence: ["QEMU still showed it at the last look"])
  }

  private func conclude(_ left: [Removal], _ cause: DeviceModelError, _ error: HostError, isAsked: Bool) {
    switch cause.code {
    case .unreachable:
      report.conclude(
        left, .failed, OutcomeDetail(isAsked ? .endedQEMU : .endedQEMUUnasked, session.name.title(of: session.key.id)),
        evidence: ["\(error)"])
    case .refused, .notPermitted: report.conclude(left, .failed, OutcomeDetail(.notRemovedByQEMU, error))
    case .duplicate, .unknownDevice, .busy, .timedOut, .lost, .malformed:
      report.conclude(left, .unknown, OutcomeDetail(.notRemovedByQEMU, error))
    }
  }

  private static func askBack(
    _ name: DeviceModelName, _ qemu: borrowing any DeviceModelConversation & ~Copyable
  ) throws(HostError) {
    do throws(HostError) { try qemu.remove(name) } catch {
      guard error.deviceModelCode == .unknownDevice else { throw error }
    }
  }

  private enum Pause { case goOn, interrupted, late }

  /// Lets others talk to QEMU. It sends its events only to a client that is connected, and that keeps others out.
  private func pauseBetweenConversations(
    _ pause: Duration, until deadline: ContinuousClock.Instant
  ) throws(EngineError) -> Pause {
    guard ContinuousClock.now < deadline else { return .late }
    let end = min(deadline, ContinuousClock.now + pause)
    let outcome = try session.wait(until: end, watching: [StorePath.home(session.key.id).child("vm")]) {
      () throws(EngineError) -> Void? in
      try session.read(StorePath.home(session.key.id).child("vm")) == nil ? () : nil
    }
    switch outcome {
    case .satisfied: throw .domainGone
    case .interrupted: return .interrupted
    case .timedOut: return .goOn
    }
  }
}
