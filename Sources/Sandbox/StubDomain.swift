package import Model

/// The QEMU of a guest, in a scenario's words.
package enum ScenarioDeviceModel: String, Sendable, Codable, CaseIterable {
  case upstream = "qemu-xen"
  case traditional = "qemu-traditional"

  var version: DeviceModelVersion { self == .upstream ? .upstream : .traditional }
}

/// The domain in which an HVM guest's QEMU runs.
package struct ScenarioStubDomain: Hashable, Sendable {
  /// Its number; nil takes the next free one.
  package var id: DomainID?
  package var uuid: DomainUUID
  /// How its pcifront behaves.
  package var answers: GuestAnswers
  package var delay: Duration

  package init(
    uuid: DomainUUID, id: DomainID? = nil, answers: GuestAnswers = .normal, delay: Duration = .milliseconds(1)
  ) {
    (self.uuid, self.id, self.answers, self.delay) = (uuid, id, answers, delay)
  }
}

extension ScenarioDomain {
  /// The stub domain as a domain: PV, without an IOMMU. It runs before its guest does (`libxl__spawn_stub_dm`,
  /// libxl_dm.c, Xen 4.17).
  var stub: ScenarioDomain? {
    stubDomain.map {
      ScenarioDomain(
        name: name + "-dm", uuid: $0.uuid, id: $0.id, kind: .pv, hasIOMMU: false, answers: $0.answers, delay: $0.delay)
    }
  }
}
