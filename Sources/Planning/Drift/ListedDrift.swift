import Model
import Ports
import XenProtocol

/// A device that a living domain's back end lists.
struct ListedDevice {
  let address: PCIAddress
  let device: ObservedDevice?
  let guest: Guest
  /// The first entry that names it.
  let entry: BackEndEntry
  /// Every entry that names it, in all living domains.
  let holders: [DriftFinder.Listing]

  var state: String { "state-\(entry.index) is \(entry.state)" }

  /// The rules in groups. The first rule of each group that holds is reported.
  static let rules: [[DriftRule<ListedDevice>]] = [
    [
      .drift(.duplicateEntry) { _, listed in
        let copies = listed.holders.filter { $0.guest === listed.guest }
        guard copies.count > 1 else { return nil }
        return "dev-\(copies.map { "\($0.entry.index)" }.joined(separator: " and dev-")) name it"
      }
    ],
    [
      .drift(.leftoverIntent) { finder, listed in
        guard finder.planner.index.abandoned[listed.guest.key]?.contains(listed.address) == true,
          finder.planner.index.unconnected[listed.guest.id] == nil
        else { return nil }
        return "the run that was to attach or detach it is gone; \(listed.state)"
      }
    ],
    [
      .drift(.attachedTwice) { _, listed in
        listed.holders.first { $0.guest !== listed.guest }.map { "the back end of \($0.guest.label) lists it too" }
      }
    ],
    progress,
    [
      .drift(.rightsLeft) { finder, listed in
        guard let replacement = finder.planner.replacement(of: listed.address, in: listed.guest) else { return nil }
        let grants = finder.planner.grants(of: listed.address, in: listed.guest)
        guard !grants.isEmpty else { return nil }
        return "\(replacement); \(LeftRights(records: grants).evidence)"
      }
    ],
    [
      .drift(.permissiveLeft) { finder, listed in
        guard listed.guest.isGuardedByPCIBack, listed.device?.isPermissive == true, !listed.entry.options.permissive,
          finder.declared[listed.address]?.options.permissive != true
        else { return nil }
        return "pciback's `permissive` lists it, but opts-\(listed.entry.index) says permissive=0"
      }
    ],
    [
      .drift(.sharedGuestAddress) { _, listed in
        guard let place = listed.exportedPlace else { return nil }
        return listed.guest.entries.first {
          $0.index != listed.entry.index && $0.isExported && $0.virtualAddress == place
        }.map { "dev-\(listed.entry.index) and dev-\($0.index) are both at \(place) in the guest" }
      }
    ],
    [
      .drift(.mislabelled) { finder, listed in
        guard let place = listed.exportedPlace, let other = finder.exportedElsewise(at: place, in: listed.guest),
          other != listed.address
        else { return nil }
        return "Berth saw \(other) exported at \(place), and no entry names that device now"
      }
    ],
    [
      .drift(.storeOnly) { _, listed in
        listed.guest.isSaved(listed.address) == false ? "libxl-json does not list it" : nil
      }
    ],
    [
      .drift(.claimMissing) { _, listed in
        listed.device?.claim == nil ? "/libxl/pci/\(listed.address.storeKey)/domid is not there" : nil
      },
      .drift(.claimForeign) { finder, listed in
        guard let claim = listed.device?.claim, claim != listed.guest.id else { return nil }
        return "/libxl/pci/\(listed.address.storeKey)/domid names \(finder.words(claim))"
      },
    ],
  ]

  /// How far the device is on its way between host and guest.
  ///
  /// The order matters, because each rule assumes that the earlier ones found nothing. An entry that is to go needs no
  /// export, and a lost device needs no QEMU.
  private static let progress: [DriftRule<ListedDevice>] = [
    .drift(.neverConnected) { finder, listed in
      finder.planner.index.unconnected[listed.guest.id].map { listed.guest.unconnectedText($0) }
    },
    .drift(.halfRemoved) { _, listed in
      listed.entry.isMarked ? "\(listed.state), back end \(listed.guest.busText)" : nil
    },
    .drift(.notOnPCIBack) { _, listed in
      guard listed.device?.facts?.isOnPCIBack != true else { return nil }
      let driver = listed.device?.facts.map { "its driver is \($0.driver ?? "none")" } ?? "the host has no such device"
      return "\(listed.state); \(driver)"
    },
    .drift(.revokedButListed) { _, listed in
      listed.device?.assignment == .free ? "\(listed.state); Xen says that no guest has it" : nil
    },
    .drift(.exportPending) { _, listed in
      listed.isSettled ? nil : "\(listed.state), back end \(listed.guest.busText)"
    },
    .drift(.deviceModelLacks) { _, listed in
      listed.guest.isEmulated(listed.address) == false ? "QEMU does not list \(DeviceModelName(listed.address))" : nil
    },
  ]

  /// Where the guest sees the device; nil if pciback has not exported it.
  private var exportedPlace: PCIAddress? { entry.isExported ? entry.virtualAddress : nil }

  /// Whether nothing more is to be expected of the entry: exported, or waiting for a guest that has never run.
  private var isSettled: Bool { entry.isExported || guest.lifecycle == .cold || guest.lifecycle == .building }
}

extension DriftFinder {
  /// Returns the device that Berth saw exported at an address of the guest, if its own entry is gone now.
  fileprivate func exportedElsewise(at place: PCIAddress, in guest: Guest) -> PCIAddress? {
    let bus = guest.backEnd?.domain ?? guest.id
    return exports[guest.uuid]?.first { export in
      export.domain == bus && export.virtualAddress == place && !guest.lists(export.device)
        && planner.index.devices[export.device]?.claim == guest.id
    }?.device
  }
}

extension Guest {
  /// `4, front end 7`.
  var busText: String { "\(backEnd?.state ?? .absent), front end \(backEnd?.frontEndState ?? .absent)" }
}
