package import Model

extension ObservationIndex {
  /// Adds the devices that guests have, by their buses and by the hypervisor's claims, and the names of the guests.
  package func addHolders(to served: inout ServedDevices) {
    for (id, guest) in living { served.names[id] = guest.name.text }
    for (device, ids) in listings {
      if let id = ids.first { served.holders[FunctionName(device)] = id }
    }
    for observed in devices.all {
      let device = observed.address
      if let claim = observed.claim, served.holders[FunctionName(device)] == nil {
        served.holders[FunctionName(device)] = claim
      }
    }
  }
}
