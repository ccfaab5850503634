package import Model

/// Where the documents for one host declare domains and their devices.
package struct DeclarationMarks: Sendable {
  /// The locations of one domain's entries.
  private struct Domain {
    let mark: SourceMark
    var byName: [Name: SourceMark] = [:]
    var byAddress: [PCIAddress: SourceMark] = [:]
  }

  private var domains: [Name: Domain] = [:]

  init(_ documents: [ManifestDocument]) {
    var addresses: [Name: PCIAddress] = [:]
    for definition in documents.flatMap(\.spec.definitions) {
      addresses[definition.name.value] = definition.value.address?.value
    }
    for declared in documents.flatMap(\.spec.domains) where domains[declared.name.value] == nil {
      var domain = Domain(mark: declared.name.mark)
      for device in declared.value.devices {
        switch device.reference {
        case .name(let name):
          domain.byName[Name(name)] = device.mark
          if let address = addresses[Name(name)] { domain.byAddress[address] = device.mark }
        case .address(let address): domain.byAddress[address] = device.mark
        }
      }
      domains[declared.name.value] = domain
    }
  }

  /// Returns the location of a domain's entry for a device: that of this name, or else that of this address. If there is
  /// none, returns the location of the domain; nil if no document declares it.
  package func mark(of domain: Name, label: String?, address: PCIAddress?) -> SourceMark? {
    guard let domain = domains[domain] else { return nil }
    return label.flatMap { domain.byName[Name($0)] } ?? address.flatMap { domain.byAddress[$0] } ?? domain.mark
  }
}
