import Model
import Planning
import TestSupport
import Testing

@Suite struct HostStatusTests {
  private let one = Sample.address(1)
  private let two = Sample.address(2)

  private func status(_ desired: DesiredState, _ records: [OwnershipRecord]) -> HostStatus {
    let observation = Observation(host: HostFacts(name: "host"), records: records)
    return HostStatus(
      index: ObservationIndex(observation), desired: desired,
      plan: makePlan(desired: desired, observation: observation))
  }

  /// Returns the devices that Berth owns in each domain.
  private func owned(_ status: HostStatus) -> [String] {
    status.domains.map { domain in
      let devices = domain.devices.filter(\.isOwned).map(\.address.description)
      return ([domain.name.text, domain.uuid?.description ?? "no uuid"] + devices).joined(separator: " ")
    }
  }

  @Test func `a record with the manifest's uuid is the domain's, and not one that only has its name`() {
    let names = (0..<12).map { "d\($0)" }
    var desired = Sample.desired(Dictionary(uniqueKeysWithValues: names.map { (Name($0), []) }))
    var records: [OwnershipRecord] = []
    for index in desired.domains.indices {
      desired.domains[index].uuid = Sample.uuid(100 + index)
      records.append(OwnershipRecord(uuid: Sample.uuid(index), name: desired.domains[index].name, devices: [one]))
      records.append(OwnershipRecord(uuid: Sample.uuid(100 + index), name: "old", devices: [two]))
    }
    let found = owned(status(desired, records))
    for (index, domain) in desired.domains.enumerated() {
      #expect(found.contains("\(domain.name) \(Sample.uuid(100 + index)) \(two)"))
      #expect(found.contains("\(domain.name) \(Sample.uuid(index)) \(one)"), "the other record stands alone")
    }
  }

  @Test func `no domain gets the record of another one's uuid`() {
    var desired = Sample.desired(["a": [], "b": []])
    desired.domains[1].uuid = Sample.uuid(1)
    let found = owned(status(desired, [OwnershipRecord(uuid: Sample.uuid(1), name: "a", devices: [one])]))
    #expect(found == ["a no uuid", "b \(Sample.uuid(1)) \(one)"])
  }

  @Test func `a declaration with a uuid means no other domain of its name`() {
    var desired = Sample.desired(["net": [one]])
    desired.domains[0].uuid = Sample.uuid(2)
    let observation = Observation(
      host: HostFacts(name: "host"), domains: [Sample.domain(1, "net"), Sample.domain(2, "net")],
      devices: [Sample.device(one)])
    let status = HostStatus(
      index: ObservationIndex(observation), desired: desired,
      plan: makePlan(desired: desired, observation: observation))
    let declaring = status.domains.filter { $0.devices.contains(where: \.isDeclared) }
    #expect(declaring.map(\.uuid) == [Sample.uuid(2)])
  }

  @Test func `of several records with the domain's name, the one last seen to live is its`() {
    let times: [Int64?] = [40, 70, nil, 60, nil, 50]
    let records = times.enumerated().map { index, time in
      OwnershipRecord(uuid: Sample.uuid(9 - index), name: "net", devices: [one], goneSince: time)
    }
    func first(_ records: [OwnershipRecord]) -> [String] {
      status(Sample.desired(["net": [one]]), records).domains.filter { $0.devices.contains(where: \.isDeclared) }
        .map { $0.uuid?.description ?? "" }
    }
    #expect(first(records) == [Sample.uuid(5).description], "of those not yet found gone, the smallest uuid")
    #expect(first(records.filter { $0.goneSince != nil }) == [Sample.uuid(8).description])
  }
}
