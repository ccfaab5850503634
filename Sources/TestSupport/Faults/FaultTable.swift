import Glibc
import Ports

extension PortRequest {
  /// All faults of this request: each code that the adapters return for it, and the other possible results of a request
  /// with an effect.
  ///
  /// A request that gets no answer in time may have its effect all the same: at once, or after the run. Untrue errors are
  /// left out, such as ESRCH for a living domain, or ENODEV for a device that it owns. Xen and the kernel
  /// are believed, because there is no one else to ask.
  package var faults: [Fault] {
    switch self {
    case .connect: stores([.unreachable, .notPermitted, .timedOut])
    case .read, .list: stores([.lost, .timedOut, .notPermitted, .refused, .other]) + [outage]
    case .begin: stores([.lost, .timedOut, .notPermitted, .refused, .other])
    case .write, .makeDirectory, .remove:
      stores([.lost, .timedOut, .notPermitted, .refused, .other]) + [.isLost, outage]
    case .commit:
      stores([.conflict, .lost, .timedOut, .notPermitted, .refused, .other]) + [
        .conflicts, .failsDone(.store(StoreError(.lost, operation: "commit", errno: EPIPE))),
        .failsDone(.store(StoreError(.timedOut, operation: "commit", errno: ETIMEDOUT))), .isLost, outage,
      ]
    case .wait: stores([.lost, .timedOut, .notPermitted, .refused, .other]) + [.stalls, .stops, outage]
    case .domains, .hostFacts: calls([.unreachable, .notPermitted, .invalid, .timedOut, .other]) + [outage]
    case .probe: calls([.unreachable, .notPermitted, .timedOut, .other]) + [outage]
    case .companions, .reservedMemory:
      calls([.unreachable, .notPermitted, .noIOMMU, .invalid, .timedOut, .other]) + [outage]
    case .assign:
      calls([.unreachable, .notPermitted, .busy, .notOwner, .noIOMMU, .invalid, .timedOut, .other])
        + [.failsDone(silence), .isDoneLate(silence), .isLost, outage]
    case .deassign:
      calls([.unreachable, .notPermitted, .busy, .noIOMMU, .invalid, .timedOut, .other])
        + [.failsDone(silence), .isDoneLate(silence), .isLost, outage]
    case .unmap:
      calls([.unreachable, .notPermitted, .timedOut, .other]) + [.failsDone(silence), .isLost, outage]
    case .ports, .frames, .map, .interrupt:
      calls([.unreachable, .notPermitted, .invalid, .timedOut, .other]) + [.failsDone(silence), .isLost, outage]
    case .hasPCIBack, .pciback, .object, .exports: trees([.notPermitted, .malformed, .other]) + [outage]
    case .facts, .grants, .neighbours: trees([.notPermitted, .malformed, .other]) + [outage]
    case .serial: trees([.notPermitted, .malformed, .timedOut, .other]) + [outage]
    case .reset: trees([.notPermitted, .timedOut, .other]) + [.isLost, outage]
    case .permissive: trees([.missing, .notPermitted, .timedOut, .other]) + [.isLost, outage]
    case .permissiveList, .virtualFunctions, .permissiveForAll:
      trees([.notPermitted, .malformed, .other]) + [outage]
    case .binding, .driverLoaded, .slots: trees([.notPermitted, .malformed, .other]) + [outage]
    case .override, .removeSlot: trees([.missing, .notPermitted, .timedOut, .other]) + [.isLost, outage]
    case .unbindDriver, .bindDriver, .offer, .loadModule:
      trees([.missing, .notPermitted, .other]) + [.isLost, outage]
    case .listen: [.isLost]
    case .lock: files([.busy, .notPermitted, .missing, .other]) + [outage]
    case .saved: files([.notPermitted, .missing, .empty, .other]) + [outage]
    case .save: files([.notPermitted, .missing, .other]) + [.isLost, outage]
    case .waiter: [.isLost]
    case .records, .ownRecord, .intents: records([.notPermitted, .damaged, .other]) + [outage]
    case .preparations, .preparation, .holdPreparation: records([.notPermitted, .damaged, .other]) + [outage]
    case .writePreparation, .removePreparation:
      records([.notPermitted, .other]) + [synchronised, .isLost, outage]
    case .record: records([.notPermitted, .damaged, .other]) + [synchronised, .isLost, outage]
    case .openIntent: records([.notPermitted, .damaged, .other]) + [synchronised, .isLost, outage]
    case .closeIntent, .discardIntent: records([.notPermitted, .other]) + [synchronised, .isLost, outage]
    case .conversation:
      models([.unreachable, .busy, .notPermitted, .timedOut, .lost, .malformed]) + [outage]
    case .devices: models([.refused, .timedOut, .lost, .malformed]) + [outage]
    case .addDevice:
      models([.refused, .duplicate, .timedOut, .lost, .malformed]) + [
        .failsDone(.deviceModel(DeviceModelError(.timedOut, operation: rawValue, detail: "no answer in time"))),
        .isLost,
        outage,
      ]
    case .removeDevice:
      models([.refused, .unknownDevice, .timedOut, .lost, .malformed]) + [
        .failsDone(.deviceModel(DeviceModelError(.timedOut, operation: rawValue, detail: "no answer in time"))),
        .isLost,
        outage,
      ]
    }
  }

  /// The hypervisor gives no answer in time.
  private var silence: HostError {
    .hypervisor(HypervisorError(.timedOut, operation: rawValue, errno: ETIMEDOUT))
  }

  /// The end of the whole port.
  private var outage: Fault {
    switch self {
    case .connect, .read, .list, .begin, .write, .makeDirectory, .remove, .commit, .wait:
      .outage(.store(StoreError(.unreachable, operation: rawValue, errno: ECONNREFUSED)))
    case .domains, .hostFacts, .probe, .companions, .reservedMemory, .assign, .deassign, .ports, .frames, .map, .unmap,
      .interrupt:
      .outage(.hypervisor(HypervisorError(.notPermitted, operation: rawValue, errno: EACCES)))
    case .hasPCIBack, .pciback, .facts, .grants, .serial, .neighbours, .reset, .permissive, .object, .listen, .exports,
      .permissiveList, .virtualFunctions, .permissiveForAll, .binding, .driverLoaded, .override,
      .unbindDriver, .bindDriver, .offer, .slots, .removeSlot, .loadModule:
      .outage(.tree(DeviceTreeError(.other, operation: rawValue, place: "sysfs", errno: EIO)))
    case .lock, .saved, .save, .waiter:
      .outage(.userdata(UserdataError(.other, operation: rawValue, place: "userdata", errno: ENOSPC)))
    case .records, .ownRecord, .record, .openIntent, .intents, .closeIntent, .discardIntent, .preparations,
      .preparation, .holdPreparation, .writePreparation, .removePreparation:
      .outage(.record(RecordError(.other, operation: rawValue, place: "record", errno: ENOSPC)))
    case .conversation, .devices, .addDevice, .removeDevice:
      .outage(.deviceModel(DeviceModelError(.unreachable, operation: rawValue, place: "no socket")))
    }
  }

  /// The file has its new name, but its folder cannot be written to disk.
  private var synchronised: Fault {
    .failsDone(.record(RecordError(.other, operation: "fsync", place: "record", errno: EIO)))
  }

  private func stores(_ codes: [StoreCode]) -> [Fault] {
    codes.map { .fails(.store(StoreError($0, operation: rawValue, errno: EIO))) }
  }
  private func calls(_ codes: [HypervisorCode]) -> [Fault] {
    codes.map { .fails(.hypervisor(HypervisorError($0, operation: rawValue, errno: EIO))) }
  }
  private func trees(_ codes: [DeviceTreeCode]) -> [Fault] {
    codes.map { .fails(.tree(DeviceTreeError($0, operation: rawValue, place: "sysfs", errno: EIO))) }
  }
  private func files(_ codes: [UserdataCode]) -> [Fault] {
    codes.map { .fails(.userdata(UserdataError($0, operation: rawValue, place: "userdata", errno: EIO))) }
  }
  private func records(_ codes: [RecordCode]) -> [Fault] {
    codes.map { .fails(.record(RecordError($0, operation: rawValue, place: "record", errno: EIO))) }
  }
  private func models(_ codes: [DeviceModelCode]) -> [Fault] {
    codes.map { .fails(.deviceModel(DeviceModelError($0, operation: rawValue, detail: "\($0.rawValue), says QEMU"))) }
  }
}
