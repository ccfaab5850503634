import Model

/// The devices of an observation, by address. If several have one address, the first of them counts.
struct DeviceTable {
  /// In the observation's order.
  let all: [ObservedDevice]
  private let places: [PCIAddress: Int]

  init(_ devices: [ObservedDevice]) {
    all = devices
    var places = [PCIAddress: Int](minimumCapacity: devices.count)
    for place in devices.indices.reversed() { places[devices[place].address] = place }
    self.places = places
  }

  /// Returns the device at an address; nil if nobody looked there.
  subscript(address: PCIAddress) -> ObservedDevice? { places[address].map { all[$0] } }
}
