import Model
import XenProtocol

/// A device that some store connects with a living domain whose back end does not list it.
struct UnlistedDevice {
  let address: PCIAddress
  let device: ObservedDevice?
  let guest: Guest
  /// Whether the domain's saved configuration lists it.
  let isSaved: Bool
  /// Whether the domain claims it.
  var isClaimed: Bool { device?.claim == guest.id }

  /// The first rule that holds is reported, so the order matters.
  ///
  /// A device that a run is at work on is no drift. The trace of a killed run explains all later findings. A device that
  /// the guest still has outweighs lines in files.
  static let rules: [DriftRule<UnlistedDevice>] = [
    .drift(.exportPending) { finder, device in
      guard finder.isAnnounced(device), device.isSaved || device.isClaimed else { return nil }
      return "a run of Berth is at work on it"
    },
    .inOrder { finder, device in finder.isAnnounced(device) },
    .drift(.orphanEntry) { finder, device in
      finder.listings[device.address]?.first { $0.isOrphan && $0.guest === device.guest }.map {
        "dev-\($0.entry.index) names it, but num_devs is \(device.guest.countText)"
      }
    },
    .drift(.leftoverIntent) { finder, device in
      guard finder.planner.leftByDeadRuns(in: device.guest).contains(device.address) else { return nil }
      return "the run that was to attach or detach it is gone; Xen: \(device.device.assignmentText)"
    },
    .drift(.deviceModelOnly) { finder, device in
      guard finder.remnant(of: device) == .emulated else { return nil }
      return "QEMU lists \(DeviceModelName(device.address)), but the back end does not"
    },
    .drift(.halfRemoved) { finder, device in
      finder.remnant(of: device) == .exported
        ? "pciback holds it for the guest, but the back end does not list it" : nil
    },
    // A device that libxl saved for a domain it is still building is on its way.
    .inOrder { _, device in device.guest.lifecycle == .building || device.guest.lifecycle == .destroying },
    // Before the line in a file that names the device, too.
    .drift(.rightsLeft) { finder, device in
      finder.planner.rightsLeft(in: device.guest)[device.address]?.evidence
    },
    // Before the two rules that ask for the saved line or the claim alone.
    .drift(.overwritten) { _, device in
      guard device.isSaved, device.isClaimed else { return nil }
      return "claimed and saved for the domain, but its back end does not list it; "
        + "Xen: \(device.device.assignmentText)"
    },
    .drift(.configOnly) { _, device in
      device.isSaved ? "libxl-json lists it, but the back end does not" : nil
    },
    // The claim of a device that another domain's back end lists is reported there as foreign.
    .drift(.claimOnly) { finder, device in
      guard device.isClaimed, finder.planner.index.listings[device.address] == nil else { return nil }
      return "/libxl/pci/\(device.address.storeKey)/domid names the domain; Xen: \(device.device.assignmentText)"
    },
    // Last, since Berth's record is the only trace then.
    .drift(.recordOnly) { finder, device in
      guard finder.recorders[device.address]?.contains(where: { $0.uuid == device.guest.uuid }) == true else {
        return nil
      }
      return "Berth's record names it, but no store of the domain does"
    },
  ]
}

extension DriftFinder {
  /// Whether a live run said that it is at work on the device.
  fileprivate func isAnnounced(_ device: UnlistedDevice) -> Bool {
    planner.index.announced[device.guest.key]?.contains(device.address) == true
  }

  fileprivate func remnant(of device: UnlistedDevice) -> Remnant? {
    planner.index.remnants[device.guest.id]?[device.address]
  }
}

extension Guest {
  fileprivate var countText: String {
    switch backEnd?.count {
    case .number(let number): "\(number)"
    case .invalid(let text): "\"\(text)\""
    case .absent, nil: "absent"
    }
  }
}
